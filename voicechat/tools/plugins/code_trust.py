"""Checks that code files belong to the user and cannot be changed by others."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_BYTES = 1 << 20
"""Bytes of a plugin's file."""


class UntrustedCode(Exception):
    """The reason to refuse a file and the remedy, as one sentence."""


def read_own(path: Path) -> bytes:
    """Read a file. Raises `UntrustedCode` unless it and every folder above it are trustworthy.

    They must belong to the user or to root, and others must not be able to write to them. Links
    are followed; their targets are checked.
    """
    real = Path(os.path.realpath(path))
    try:
        for folder in real.parents:
            _check(folder, os.stat(folder))
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(real, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise UntrustedCode(f"{path} cannot be read: {error.strerror}.") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UntrustedCode(f"{path} is not a file.")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > MAX_BYTES:
            raise UntrustedCode(f"{path} is larger than 1 MB.")
        _check(real, status)
        return file.read(MAX_BYTES)


def _check(path: Path, status: os.stat_result) -> None:
    if os.name != "posix":
        return
    if status.st_uid not in {os.getuid(), 0}:
        raise UntrustedCode(f"{path} belongs to another user; type: chown $USER {path}")
    # In a sticky folder like /tmp, users cannot replace the files of others.
    sticky = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & 0o022 and not sticky:
        raise UntrustedCode(f"Others can write to {path}; type: chmod go-w {path}")
