"""Which conversations are open in a program now, so that only one of them goes on with each.

Each open conversation is a locked byte of one file, at a place made of its id. The system unlocks
the bytes of a program that ends, however it ends. Where the file cannot be used, every
conversation counts as free.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from voicechat.errors import UsageError
from voicechat.history.database import history_path
from voicechat.history.stored_conversation import StoredConversation

_guard = threading.Lock()
_held: set[str] = set()
"""Ids of the conversations that are open in this process."""
_open_file: tuple[Path, int] | None = None
"""The file; closing any descriptor of it would unlock the bytes of this process."""


def claim(conversation_id: str) -> bool:
    """Mark a conversation as open in this process; return False if another one has it open."""
    with _guard:
        try:
            file = _opened()
            is_free = conversation_id in _held or _lock(file, _place(conversation_id))
        except OSError:
            return True
        if is_free:
            _held.add(conversation_id)
        return is_free


def release(conversation_id: str) -> None:
    """Let other programs continue a conversation."""
    with _guard, suppress(OSError):
        if conversation_id in _held:
            _held.discard(conversation_id)
            _unlock(_opened(), _place(conversation_id))


def refuse_if_open(conversation_id: str, title: str = "This conversation") -> None:
    """Raise `UsageError` if another program has the conversation open."""
    was_held = conversation_id in _held
    if not claim(conversation_id):
        raise UsageError(f"{title} is open in another voicechat.", "Close it there first.")
    if not was_held:
        release(conversation_id)


def claimed(stored: StoredConversation) -> StoredConversation:
    """Return a conversation to continue: a fork of it if it is open in another program."""
    if stored.is_fork or claim(stored.row.id):
        return stored
    return replace(stored, is_fork=True)


def _opened() -> int:
    global _open_file
    path = history_path().with_name("open-conversations.lock")
    if _open_file is None or _open_file[0] != path:
        if _open_file is not None:
            _held.clear()
            os.close(_open_file[1])
        _open_file = None
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _open_file = path, os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    return _open_file[1]


def _place(conversation_id: str) -> int:
    digest = hashlib.sha256(conversation_id.encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int, place: int) -> bool:
        os.lseek(file, place, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: int, place: int) -> None:
        os.lseek(file, place, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: int, place: int) -> bool:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):  # systems differ in what a lock raises
            return False
        return True

    def _unlock(file: int, place: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place)
