"""Changes that the user makes to the history: rename, delete, undo, prune."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

from voicechat.history.database import transaction

UNDO_S: Final = 3600.0
"""Seconds after which a deletion that was not undone is final, if no one ended it before."""

DAY_S: Final = 86_400.0


def rename(connection: sqlite3.Connection, conversation_id: str, title: str) -> None:
    """Give a conversation a title that stays."""
    with transaction(connection):
        connection.execute(
            "UPDATE conversations SET title = ?, is_renamed = 1 WHERE id = ?",
            (title, conversation_id),
        )


def hide(connection: sqlite3.Connection, conversation_id: str, is_hidden: bool = True) -> None:
    """Hide a conversation until `purge` deletes it, or show it again."""
    with transaction(connection):
        connection.execute(
            "UPDATE conversations SET deleted_at = ? WHERE id = ?",
            (time.time() if is_hidden else None, conversation_id),
        )


def purge(connection: sqlite3.Connection, conversation_id: str) -> None:
    """Delete a conversation with its items permanently. Its usage stays."""
    with transaction(connection):
        connection.execute("DELETE FROM conversations WHERE id = ?", (conversation_id,))


def expired(connection: sqlite3.Connection, now: float, keep_days: float | None) -> list[str]:
    """Return the ids of conversations that are hidden for long or older than `keep_days`."""
    oldest = float("-inf") if keep_days is None else now - keep_days * DAY_S
    found = connection.execute(
        "SELECT id FROM conversations WHERE changed_at < ? OR deleted_at < ?",
        (oldest, now - UNDO_S),
    )
    return [name for (name,) in found]


def hidden(connection: sqlite3.Connection) -> list[str]:
    """Return the ids of the conversations that `hide` hid."""
    found = connection.execute("SELECT id FROM conversations WHERE deleted_at IS NOT NULL")
    return [name for (name,) in found]
