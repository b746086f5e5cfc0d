"""Small files of the user: read without blocking, private, replaced atomically."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from voicechat.errors import UsageError

FILE_LIMIT = 1 << 20
"""Bytes; a larger settings file is refused unread."""


def read_text(path: Path) -> tuple[str, os.stat_result | None]:
    """Read a file's text and status; ("", None) when there is no such file.

    Raises `UsageError` when it is not a regular file, exceeds `FILE_LIMIT` or is not UTF-8.
    """
    try:
        # Non-blocking: opening a FIFO without a writer would never return.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except (FileNotFoundError, NotADirectoryError):
        return "", None
    except (OSError, ValueError) as error:
        word = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{path} cannot be read: {word}.") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{path} is not a file.")
        if status.st_size > FILE_LIMIT:
            raise UsageError(f"{path} is larger than 1 MB and cannot be a settings file.")
        raw = os.read(descriptor, FILE_LIMIT)
    finally:
        os.close(descriptor)
    try:
        return raw.decode("utf-8-sig"), status
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line} is not UTF-8 text.") from None


def open_regular_file(path: Path) -> BinaryIO:
    """Open a file to read its bytes.

    Raises `OSError` when it cannot be read or is not a regular file: reading a FIFO could block
    for ever.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a file")
    return os.fdopen(descriptor, "rb")


def require_private(path: Path, status: os.stat_result) -> None:
    """Refuse a file with keys that belongs to another user; make a readable one private.

    Raises `UsageError`.
    """
    if os.name != "posix":
        return
    if status.st_uid not in {os.getuid(), 0}:
        raise UsageError(f"{path} holds keys but belongs to another user.")
    if stat.S_IMODE(status.st_mode) & 0o077:
        try:
            os.chmod(path, 0o600)
        except OSError:
            raise UsageError(
                f"{path} holds keys that other users can read.", f"Type: chmod 600 {path}"
            ) from None


def read_private(path: Path, limit: int) -> bytes:
    """Read a file of `write_private`; empty when others could write it or it exceeds `limit`.

    limit: bytes. Raises `OSError` when there is no such file or it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if os.name == "posix":
            foreign = status.st_uid not in {os.getuid(), 0} or status.st_mode & 0o022
        else:
            foreign = False
        if foreign or not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return b""
        return file.read(limit)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file atomically by one that only the user can read. Raises `OSError`."""
    path = path.resolve()  # a link stays a link, to the new content
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def create_private(path: str | Path, content: bytes) -> None:
    """Create a file that only the user can read.

    Raises `FileExistsError` when there is one, and `OSError`.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


@contextmanager
def locked(path: Path, wait_s: float = 5.0) -> Iterator[None]:
    """Hold the lock of a file while reading, changing and replacing it.

    The lock keeps out other threads and other processes. It is next to the file, as
    `.<name>.lock`, because `write_private` replaces the file itself.

    wait_s: seconds to wait for another holder.
    Raises `TimeoutError` when the other holder keeps it longer, `OSError` when the folder
    cannot be written.
    """
    import filelock

    path = path.resolve()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), mode=0o600)
    try:
        lock.acquire(timeout=wait_s, poll_interval=0.01)
    except filelock.Timeout:
        raise TimeoutError(errno.ETIMEDOUT, "another program is using it") from None
    try:
        yield
    finally:
        lock.release()
