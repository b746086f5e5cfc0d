"""Reading the history: lists, search, single conversations. All returned text is clean."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from voicechat.core.text import clean
from voicechat.core.text import excerpt as shortened
from voicechat.errors import UsageError
from voicechat.history.database import full_text_ready
from voicechat.history.history_rows import ConversationRow, ItemRow
from voicechat.history.stored_conversation import StoredConversation

MOST_LISTED: Final = 50
"""Conversations in a list, unless more are asked for."""

EXCERPT_CHARACTERS: Final = 120
"""Length of the text around a match."""

MOST_TITLE: Final = 120
"""Characters of a title; the file may hold longer ones."""

MOST_WORDS: Final = 16
"""Words of a search that count."""

_PAGE: Final = 1_000
_MOST_PAGES: Final = 10
"""Pages of matches that a search reads: the newest 10,000 matches."""

_CONVERSATION: Final = tuple(each.name for each in fields(ConversationRow))
_ITEM: Final = tuple(name for name in ItemRow.__struct_fields__ if name != "conversation_id")
_CONVERSATION_COLUMNS: Final = ", ".join(_CONVERSATION)
_ITEM_COLUMNS: Final = ", ".join(f"items.{name}" for name in _ITEM)

# Scripts without spaces between words, which the index holds as one long word.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")

_HINT = "voicechat history lists the conversations."


class NotFound(UsageError):
    """There is no conversation of this name, or more than one."""


@dataclass(frozen=True, slots=True)
class FoundConversation:
    """A conversation with the text around the newest match; empty if only its title matches."""

    conversation: ConversationRow
    excerpt: str = ""


def conversations(
    connection: sqlite3.Connection, limit: int = MOST_LISTED
) -> list[ConversationRow]:
    """Return the conversations that changed last, the newest first."""
    found = connection.execute(
        f"SELECT {_CONVERSATION_COLUMNS} FROM conversations WHERE deleted_at IS NULL"
        " ORDER BY changed_at DESC LIMIT ?",
        (limit,),
    )
    return [_conversation(row) for row in found]


def conversation_named(connection: sqlite3.Connection, name: str) -> ConversationRow:
    """Return the conversation whose id is `name` or begins with it.

    Raises `NotFound` if there is none or more than one.
    """
    found = connection.execute(
        f"SELECT {_CONVERSATION_COLUMNS} FROM conversations"
        " WHERE substr(id, 1, ?) = ? AND deleted_at IS NULL LIMIT 2",
        (len(name), name.lower()),
    ).fetchall()
    shown = clean(name)[:40]
    if not found or not name:
        raise NotFound(f"There is no conversation {shown!r}.", _HINT)
    if len(found) > 1:
        raise NotFound(f"Several conversations begin with {shown!r}.", "Type more of its id.")
    return _conversation(found[0])


def latest(connection: sqlite3.Connection) -> ConversationRow:
    """Return the conversation that changed last. Raises `UsageError` if there is none."""
    found = conversations(connection, 1)
    if not found:
        raise UsageError("The history has no conversation yet.", "Start one: voicechat")
    return found[0]


def items(connection: sqlite3.Connection, conversation_id: str) -> list[ItemRow]:
    """Return the items of a conversation in order."""
    found = connection.execute(
        f"SELECT {_ITEM_COLUMNS} FROM items JOIN conversations"
        " ON conversations.number = items.conversation WHERE id = ? ORDER BY position",
        (conversation_id,),
    )
    return [_item(conversation_id, row) for row in found]


def load(connection: sqlite3.Connection, row: ConversationRow) -> StoredConversation:
    """Return a conversation with its items, to continue or to export it."""
    return StoredConversation(row, tuple(items(connection, row.id)))


def _conversation(row: sqlite3.Row) -> ConversationRow:
    cells = {name: _cleaned(row[name]) for name in _CONVERSATION}
    for name in ("title", "model", "voice"):
        cells[name] = one_line(str(cells[name]))
    return ConversationRow(**cells)


def one_line(title: str) -> str:
    """Return a title on one line, of `MOST_TITLE` characters at most."""
    return shortened(" ".join(title[: 4 * MOST_TITLE].split()), MOST_TITLE)


def _item(conversation_id: str, row: sqlite3.Row) -> ItemRow:
    return ItemRow(conversation_id, **{name: _cleaned(row[name]) for name in _ITEM})


def _cleaned(value: Any) -> Any:
    return clean(value) if isinstance(value, str) else value


# ------------------------------------------------------------------------------ search


def search(
    connection: sqlite3.Connection, words: str, limit: int = MOST_LISTED
) -> list[FoundConversation]:
    """Return the conversations with an item or a title that has all these words.

    The last change comes first. The last word matches every word that begins like it. Without an
    index (SQLite without FTS5), and in scripts without spaces, the search reads every item.
    """
    wanted = words.split()[:MOST_WORDS]
    if not wanted:
        return [FoundConversation(row) for row in conversations(connection, limit)]
    excerpts = dict.fromkeys(_titled(connection, wanted, limit), "")
    for numbers in _matches(connection, wanted):
        excerpts |= {key: text for key, text in _newest(connection, numbers) if key not in excerpts}
        if len(excerpts) >= limit:
            break
    marks = ", ".join("?" * len(excerpts))
    found = connection.execute(
        f"SELECT number, {_CONVERSATION_COLUMNS} FROM conversations WHERE number IN ({marks})"
        " AND deleted_at IS NULL ORDER BY changed_at DESC LIMIT ?",
        (*excerpts, limit),
    )
    return [
        FoundConversation(_conversation(row), excerpt(clean(excerpts[row["number"]]), wanted))
        for row in found
    ]


def _titled(connection: sqlite3.Connection, words: Sequence[str], limit: int) -> list[int]:
    condition = " AND ".join([r"title LIKE ? ESCAPE '\'"] * len(words))
    found = connection.execute(
        f"SELECT number FROM conversations WHERE {condition} ORDER BY changed_at DESC LIMIT ?",
        (*(_pattern(word) for word in words), limit),
    )
    return [number for (number,) in found]


def _matches(connection: sqlite3.Connection, words: Sequence[str]) -> Iterator[list[int]]:
    """Yield the numbers of the items with all words, the newest first, page by page."""
    is_spaced = not _UNSPACED.search("".join(words))
    if full_text_ready(connection) and is_spaced:
        quoted = [f'"{word.replace(chr(34), "")}"' for word in words if _is_word(word)]
        condition, values = "items_text MATCH ?", [f"{' '.join(quoted)} *"] if quoted else []
        table, number = "items_text", "rowid"
    else:
        joined = "text || ' ' || name || ' ' || arguments || ' ' || coalesce(output, '')"
        parts = [rf"{joined} LIKE ? ESCAPE '\'"] * len(words)
        condition, values = " AND ".join(parts), [_pattern(word) for word in words]
        table, number = "items", "number"
    if not values:
        return
    rows = connection.execute(
        f"SELECT {number} FROM {table} WHERE {condition} ORDER BY {number} DESC", values
    )
    for _ in range(_MOST_PAGES):
        numbers = [found for (found,) in rows.fetchmany(_PAGE)]
        yield numbers
        if len(numbers) < _PAGE:
            return


def _newest(connection: sqlite3.Connection, numbers: Sequence[int]) -> Iterator[tuple[int, str]]:
    """Yield each conversation with these items once, with the text of the newest one."""
    marks = ", ".join("?" * len(numbers))
    rows = connection.execute(
        "SELECT conversation, max(number),"
        " CASE WHEN text = '' THEN name || ' ' || arguments || ' ' || coalesce(output, '')"
        " ELSE text END FROM items"
        f" WHERE number IN ({marks}) AND NOT hidden GROUP BY conversation",
        numbers,
    )
    for conversation, _, text in rows:
        yield conversation, text


def _is_word(word: str) -> bool:
    return any(character.isalnum() for character in word)


def _pattern(word: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", word)
    return f"%{escaped}%"


def excerpt(text: str, words: Sequence[str]) -> str:
    """Return the part of a text around the first of these words, on one line."""
    line = " ".join(text.split())
    lowered = line.lower()
    places = [at for word in words if (at := lowered.find(word.lower())) >= 0]
    start = max(0, min(places, default=0) - EXCERPT_CHARACTERS // 3)
    end = start + EXCERPT_CHARACTERS
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
