"""The tables of the history as named migrations, applied in order, each once.

A file that names a migration which this version does not know comes from a newer version.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FULL_TEXT: Final = "full-text index"
"""The migration that needs SQLite with FTS5. Without FTS5, searches read every item."""

_CONVERSATIONS = """
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    is_renamed INTEGER NOT NULL DEFAULT 0,
    started_at REAL NOT NULL,
    changed_at REAL NOT NULL,
    model TEXT NOT NULL,
    voice TEXT NOT NULL,
    settings TEXT NOT NULL,
    turns INTEGER NOT NULL DEFAULT 0,
    parent_id TEXT,
    deleted_at REAL
);
CREATE INDEX conversations_by_change ON conversations (changed_at)
"""
"""Times are Unix times in seconds. `model` is PROVIDER/MODEL, `settings` a JSON object, `parent_id`
the conversation that this one continues from one of its turns."""

_ITEMS = """
CREATE TABLE items (
    number INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
    entry_id TEXT NOT NULL,
    position REAL NOT NULL,
    at REAL NOT NULL,
    role TEXT NOT NULL,
    text TEXT NOT NULL,
    status TEXT NOT NULL,
    spoken INTEGER NOT NULL,
    heard_chars INTEGER,
    heard_ms REAL NOT NULL,
    received_ms REAL NOT NULL,
    error TEXT,
    hidden INTEGER NOT NULL,
    picture TEXT,
    response_id TEXT,
    item_id TEXT NOT NULL,
    name TEXT NOT NULL,
    arguments TEXT NOT NULL,
    output TEXT,
    source TEXT NOT NULL,
    elapsed_ms REAL,
    UNIQUE (conversation, entry_id)
);
CREATE INDEX items_in_order ON items (conversation, position)
"""
"""Messages, and tool calls with the role "tool". `text[:heard_chars]` was heard."""

_RESPONSES = """
CREATE TABLE responses (
    number INTEGER PRIMARY KEY,
    conversation_id TEXT NOT NULL,
    response_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    at REAL NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    total_tokens INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    input_text_tokens INTEGER NOT NULL,
    input_audio_tokens INTEGER NOT NULL,
    input_image_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    output_text_tokens INTEGER NOT NULL,
    output_audio_tokens INTEGER NOT NULL,
    seconds REAL NOT NULL,
    cached_text_tokens INTEGER NOT NULL,
    cached_audio_tokens INTEGER NOT NULL,
    cached_image_tokens INTEGER NOT NULL,
    paused_seconds REAL NOT NULL,
    cost REAL
);
CREATE INDEX responses_by_time ON responses (at)
"""
"""One row per response; `kind` is the source of `core.effects.UsageChanged`. `cost` is in US
dollars at the price of the day, NULL if the price is unknown. Rows outlive their conversation:
deleting one does not change what was spent."""

_TURNS = """
CREATE TABLE turns (
    number INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    model TEXT NOT NULL,
    endpointing REAL NOT NULL,
    network REAL NOT NULL,
    thinking REAL NOT NULL,
    buffer REAL NOT NULL,
    spoken INTEGER NOT NULL
);
CREATE INDEX turns_by_model ON turns (model, spoken, at)
"""
"""Latency of the turns of the user in milliseconds; see `core.turn_latency.TurnLatency`."""

_FULL_TEXT = """
CREATE VIRTUAL TABLE items_text USING fts5 (
    text, name, arguments, output, content='items', content_rowid='number',
    tokenize="unicode61 remove_diacritics 2", prefix='2 3'
)
"""

_TRIGGERS = """
CREATE TRIGGER items_text_insert AFTER INSERT ON items BEGIN
    INSERT INTO items_text (rowid, text, name, arguments, output)
    VALUES (new.number, new.text, new.name, new.arguments, new.output);
END;
CREATE TRIGGER items_text_delete AFTER DELETE ON items BEGIN
    INSERT INTO items_text (items_text, rowid, text, name, arguments, output)
    VALUES ('delete', old.number, old.text, old.name, old.arguments, old.output);
END;
CREATE TRIGGER items_text_update AFTER UPDATE OF text, name, arguments, output ON items
WHEN old.text IS NOT new.text OR old.name IS NOT new.name
    OR old.arguments IS NOT new.arguments OR old.output IS NOT new.output
BEGIN
    INSERT INTO items_text (items_text, rowid, text, name, arguments, output)
    VALUES ('delete', old.number, old.text, old.name, old.arguments, old.output);
    INSERT INTO items_text (rowid, text, name, arguments, output)
    VALUES (new.number, new.text, new.name, new.arguments, new.output);
END
"""

MIGRATIONS: Final[Mapping[str, str]] = {
    "conversations": _CONVERSATIONS,
    "items": _ITEMS,
    "responses": _RESPONSES,
    FULL_TEXT: _FULL_TEXT,
    "turns": _TURNS,
}
"""SQL by the name of the migration. Add new ones at the end; never change or rename one."""

TRIGGERS: Final = _TRIGGERS
"""They keep the full-text index; dropped while an SQLite without FTS5 writes the file."""

TRIGGER_NAMES: Final = ("items_text_insert", "items_text_delete", "items_text_update")
