"""The home folder: a temporary one for a user that has none, and folders that cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_temporary: list[str] = []


def is_temporary() -> bool:
    """Return True while `ensured` replaces the home folder."""
    return bool(_temporary)


@contextmanager
def ensured() -> Iterator[None]:
    """Set HOME to a temporary folder until the block ends, if the user has no home folder."""
    if os.environ.get("HOME") == "":
        del os.environ["HOME"]
    if os.path.expanduser("~") != "~":
        yield
        return
    import shutil
    import tempfile

    folder = "/nonexistent"
    with suppress(OSError):
        folder = tempfile.mkdtemp(prefix="voicechat-home-")
    os.environ["HOME"] = folder
    _temporary.append(folder)
    try:
        yield
    finally:
        _temporary.pop()
        del os.environ["HOME"]
        shutil.rmtree(folder, ignore_errors=True)


def unwritable(folder: Path) -> str:
    """Return why no file can be created in a folder, which need not exist; empty if one can."""
    place = next(each for each in (folder, *folder.parents) if os.path.exists(each))
    if not place.is_dir():
        return "not a directory"
    if hasattr(os, "statvfs"):
        status = os.statvfs(place)
        free = status.f_bavail if os.geteuid() else status.f_bfree
        if status.f_flag & os.ST_RDONLY:
            return "read-only file system"
        if not free or (status.f_files and not status.f_ffree):
            return "no space left on device"
    return "" if os.access(place, os.W_OK | os.X_OK) else "permission denied"
