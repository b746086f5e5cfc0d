"""Recordings to transcribe: files, bytes, standard input and addresses, each as a file on disk."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
import re
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.transcription.recording_format import (
    HEAD_BYTES,
    SUPPORTED,
    RecordingFormat,
    described,
    recognized,
)

MAX_BYTES = 4 << 30
"""Largest recording in bytes: 12 hours of stereo at 48 kHz."""

STDIN = "-"
_MAX_BASE64 = 512 << 20
"""Largest base64 text in bytes: it is decoded in memory."""
_PIECE = 1 << 20
_SCHEME = re.compile(r"(ftp|ftps|sftp|file|s3|gs|data|rtsp|rtmp|ws|wss|blob):/?[\w/]", re.I)


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording on disk."""

    name: str
    """Clean name for messages."""
    path: Path
    format: RecordingFormat
    size: int
    """Bytes."""


def is_url(source: str) -> bool:
    """Return True for an address of the web."""
    return source.lower().startswith(("http://", "https://"))


def named_file(path: Path, name: str = "") -> Recording:
    """Return the recording in a file. Raises `UsageError` unless it is one."""
    name = name or clean(str(path))
    try:
        _refuse_other_addresses(str(path))
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{name} is a folder.", "Name the files in it.")
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{name} is not a file.", "Use - to read a pipe.")
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is invalid"
        raise UsageError(f"{name} cannot be read: {reason}.") from None
    return _checked(name, path, head, status.st_size)


def _refuse_other_addresses(source: str) -> None:
    """Raise `UsageError` for an address that is not of the web, such as ftp:."""
    found = _SCHEME.match(source)
    if found is not None and not os.path.lexists(source):
        raise UsageError(
            f"{clean(found[1])}: addresses are not supported.",
            "Name a file, or an address that begins with https://.",
        )


def _checked(name: str, path: Path, head: bytes, size: int) -> Recording:
    found = recognized(head)
    if found is None:
        what = described(head)
        raise UsageError(f"{name} {what}.", SUPPORTED if what.endswith("supported") else "")
    if size > MAX_BYTES:
        raise UsageError(f"{name} is larger than {MAX_BYTES >> 30} GB.", "Cut it into parts.")
    return Recording(name, path, found, size)


@asynccontextmanager
async def opened(
    source: str | os.PathLike[str] | bytes, head: bytes = b""
) -> AsyncIterator[Recording]:
    """Make the recording of a source available as a file while the block runs.

    source: a path, - for standard input, an address, or the bytes of a file. head: what was read
    of standard input already. Raises `UsageError` and `ConnectError`.
    """
    if isinstance(source, bytes):
        with _spooled("The recording", lambda file: _write(file, iter([source]))) as found:
            yield found
    elif source == STDIN:
        # A pipe may deliver slowly or never: on a thread, which does not delay the end.
        with _folder() as folder:
            path = folder / "recording"
            await _from_stdin(path, head)
            yield named_file(path, "Standard input")
    elif isinstance(source, str) and is_url(source):
        from voicechat.transcription.recording_download import download

        with _folder() as folder:
            path = folder / "recording"
            name = await download(source, path)
            yield named_file(path, name)
    else:
        yield await asyncio.to_thread(named_file, Path(source))


async def _from_stdin(path: Path, head: bytes) -> None:
    from voicechat.system.daemon_call import call_with_deadline

    def read() -> None:
        with _reported(), path.open("wb") as file, open(0, "rb", closefd=False) as pipe:
            _write(file, chain([head], iter(lambda: pipe.read(_PIECE), b"")))

    await call_with_deadline(read, 24 * 3600)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="voicechat-") as folder:
        yield Path(folder)


@contextmanager
def _spooled(name: str, fill: Callable[[IO[bytes]], None]) -> Iterator[Recording]:
    with _folder() as folder:
        path = folder / "recording"
        with _reported(), path.open("wb") as file:
            fill(file)
        yield named_file(path, name)


def _write(file: IO[bytes], content: Iterator[bytes]) -> None:
    written = 0
    for piece in content:
        written += file.write(piece)
        if written > MAX_BYTES:
            raise UsageError(f"The recording is larger than {MAX_BYTES >> 30} GB.")


@contextmanager
def _reported() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"The recording cannot be stored in {tempfile.gettempdir()}: {error.strerror}."
        ) from None


async def decoded_base64(source: str) -> bytes:
    """Return the bytes of the base64 text in a file or in standard input. Raises `UsageError`."""
    from voicechat.system.daemon_call import call_with_deadline

    name = "Standard input" if source == STDIN else clean(source)
    if is_url(source):
        raise UsageError("--base64 is for files and standard input.", "Leave --base64 out.")

    def read() -> bytes:
        if source != STDIN and not stat.S_ISREG(os.stat(source).st_mode):
            raise UsageError(f"{name} is not a file.", "Use - to read a pipe.")
        place: int | str = 0 if source == STDIN else source
        with open(place, "rb", closefd=source != STDIN) as file:
            return file.read(_MAX_BASE64 + 1)

    try:
        # A pipe may deliver slowly or never: on a thread, which does not delay the end.
        text = await call_with_deadline(read, 24 * 3600)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is invalid"
        raise UsageError(f"{name} cannot be read: {reason}.") from None
    if len(text) > _MAX_BASE64:
        raise UsageError(f"{name} is larger than {_MAX_BASE64 >> 20} MB.", "Decode it first.")
    return from_base64(text)


def from_base64(text: str | bytes) -> bytes:
    """Return the bytes of a base64 text or of a data URL (RFC 2397). Raises `UsageError`."""
    content = text.encode() if isinstance(text, str) else text
    head, comma, rest = content.strip().partition(b",")
    if comma and head.startswith(b"data:") and head.endswith(b";base64"):
        content = rest
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except binascii.Error:
        raise UsageError("The text is not base64.", "Encode the recording again.") from None
