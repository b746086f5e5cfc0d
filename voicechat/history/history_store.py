"""Writing rows of the history: each function runs inside a transaction of the caller."""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from typing import Final

from voicechat.core.items import Usage
from voicechat.history.history_rows import ConversationRow, ItemRow, ResponseRow

_USAGE: Final = tuple(each.name for each in fields(Usage))

_ITEM: Final = tuple(name for name in ItemRow.__struct_fields__ if name != "conversation_id")
_FIXED: Final = ("entry_id", "at")
"""Columns of an item that keep their first value."""

_INSERT_ITEM: Final = (
    f"INSERT INTO items (conversation, {', '.join(_ITEM)})"
    f" SELECT number, {', '.join('?' * len(_ITEM))} FROM conversations WHERE id = ?"
    " ON CONFLICT (conversation, entry_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _ITEM if name not in _FIXED)
)

_RESPONSE: Final = ("conversation_id", "response_id", "kind", "at", "provider", "model", "cost")
_INSERT_RESPONSE: Final = (
    f"INSERT INTO responses ({', '.join((*_RESPONSE, *_USAGE))})"
    f" VALUES ({', '.join('?' * (len(_RESPONSE) + len(_USAGE)))})"
)


def save_conversation(connection: sqlite3.Connection, row: ConversationRow) -> None:
    """Insert or update a conversation. A title that the user chose stays."""
    connection.execute(
        "INSERT INTO conversations (id, title, started_at, changed_at, model, voice, settings,"
        " turns, parent_id, is_renamed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET changed_at = max(changed_at, excluded.changed_at),"
        " title = CASE WHEN is_renamed THEN title ELSE excluded.title END,"
        " model = excluded.model, voice = excluded.voice, settings = excluded.settings,"
        " turns = excluded.turns, deleted_at = NULL",
        (row.id, row.title, row.started_at, row.changed_at, row.model, row.voice, row.settings,
         row.turns, row.parent_id, row.is_renamed),
    )  # fmt: skip


def save_item(connection: sqlite3.Connection, row: ItemRow) -> None:
    """Insert or update an item of a conversation that is saved."""
    values = [getattr(row, name) for name in _ITEM]
    connection.execute(_INSERT_ITEM, (*values, row.conversation_id))


def remove_item(connection: sqlite3.Connection, conversation_id: str, entry_id: str) -> None:
    """Delete an item; nothing happens if there is none."""
    connection.execute(
        "DELETE FROM items WHERE entry_id = ? AND conversation ="
        " (SELECT number FROM conversations WHERE id = ?)",
        (entry_id, conversation_id),
    )


def add_response(connection: sqlite3.Connection, row: ResponseRow) -> None:
    """Add the usage of a response."""
    own = [getattr(row, name) for name in _RESPONSE]
    connection.execute(_INSERT_RESPONSE, (*own, *(getattr(row.usage, name) for name in _USAGE)))
