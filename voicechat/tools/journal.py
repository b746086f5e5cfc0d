"""The journal of tool calls: each is recorded on disk before it runs.

Each session has a locked file of its own; one line records that a call began, another that it
ended. The file is emptied when no call runs and deleted with its session. An unlocked file belongs
to a session that was killed: the calls that it lists may or may not have run. The user hears about
them, and they never run again.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import platformdirs

from voicechat.core.text import clean

SHOWN_CHARACTERS = 400
"""Characters of a call's arguments that are kept to show the user."""

MAX_BYTES = 4 << 20
"""Bytes of a journal that are read."""

_RECENT_S = 60.0
"""Seconds; an empty file younger than this may belong to a session that is starting."""


@dataclass(frozen=True, slots=True)
class UnfinishedCall:
    """A call that was cut off: it may or may not have run."""

    name: str
    arguments: str
    """The beginning of the arguments."""


class _Line(msgspec.Struct, omit_defaults=True):
    begins: str = ""
    """The call's key."""
    name: str = ""
    arguments: str = ""
    ended: str = ""


def journals_folder() -> Path:
    """Return the folder of the journals, which need not exist."""
    return platformdirs.user_state_path("voicechat", appauthor=False) / "calls"


class Journal:
    """The calls of one session. Thread-safe.

    The first call creates the file. Call `close`, which deletes it, when no more calls run.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Prepare a journal. `folder` is `journals_folder()` by default."""
        self._path = (folder or journals_folder()) / f"{uuid.uuid4().hex}.jsonl"
        self._lock = threading.Lock()
        self._file: int | None = None
        self._started: set[str] = set()
        self._open: set[str] = set()

    def begin(self, call_id: str, name: str, arguments: str) -> bool:
        """Record durably that a call begins. Blocks for some milliseconds: call it on a thread.

        Returns False when the call began before: it must not run. Raises `OSError` when it cannot
        be recorded; it counts as begun then, too.
        """
        key = _key(call_id, arguments)
        with self._lock:
            if key in self._started:
                return False
            self._started.add(key)
            if self._file is None:
                self._file = _create(self._path)
            self._open.add(key)
            self._write(_Line(begins=key, name=name, arguments=arguments[:SHOWN_CHARACTERS]))
            os.fsync(self._file)
        return True

    def end(self, call_id: str, arguments: str) -> None:
        """Record that a call ended or was stopped."""
        key = _key(call_id, arguments)
        with self._lock, suppress(OSError):
            self._open.discard(key)
            if self._file is None:
                return
            if self._open:
                self._write(_Line(ended=key))
            else:
                os.ftruncate(self._file, 0)

    def close(self) -> None:
        """Delete the file after every call has ended."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
                with suppress(OSError):
                    self._path.unlink()

    def _write(self, line: _Line) -> None:
        assert self._file is not None
        os.write(self._file, msgspec.json.encode(line) + b"\n")


def unfinished_calls(folder: Path | None = None) -> list[UnfinishedCall]:
    """Return the unfinished calls of sessions that were killed, and delete their journals."""
    found: list[UnfinishedCall] = []
    with suppress(OSError):
        for path in sorted((folder or journals_folder()).glob("*.jsonl")):
            with suppress(OSError):
                found += _collect(path)
    return found


def _collect(path: Path) -> list[UnfinishedCall]:
    """Return the unfinished calls of a journal without a session, and delete it."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        status = os.fstat(descriptor)
        is_recent = time.time() - status.st_mtime < _RECENT_S
        if (is_recent and not status.st_size) or not _lock_file(descriptor):
            return []
        found = _read(os.read(descriptor, MAX_BYTES))
        path.unlink()
        return found
    finally:
        os.close(descriptor)


def _read(content: bytes) -> list[UnfinishedCall]:
    started: dict[str, UnfinishedCall] = {}
    for text in content.split(b"\n"):
        try:
            line = msgspec.json.decode(text, type=_Line)
        except msgspec.MsgspecError:
            continue  # the last line of a session that was killed while it wrote
        if line.begins:
            started[line.begins] = UnfinishedCall(clean(line.name), clean(line.arguments))
        started.pop(line.ended, None)
    return list(started.values())


def _key(call_id: str, arguments: str) -> str:
    text = f"{call_id}\0{arguments}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()


def _create(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o600)
    _lock_file(descriptor)
    return descriptor


if sys.platform == "win32":
    import msvcrt

    _LOCK_OFFSET = 1 << 30

    def _lock_file(descriptor: int) -> bool:
        """Lock the file for this process. False when another one holds it."""
        position = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            # A byte that is never written, so that the lines themselves can be read.
            os.lseek(descriptor, _LOCK_OFFSET, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, position, os.SEEK_SET)
        return True
else:
    import fcntl

    def _lock_file(descriptor: int) -> bool:
        """Lock the file for this process. False when another one holds it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
