"""Whole requests to the history: each opens the file, does one thing and closes it.

They block on the disk: run them on a thread. All raise `HistoryUnusable` when the file cannot be
used, and `UsageError` for a conversation that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.history import history_edits, history_reader, open_conversations
from voicechat.history.database import opened
from voicechat.history.history_export import FORMATS, exported, local_time
from voicechat.history.history_reader import FoundConversation
from voicechat.history.stored_conversation import StoredConversation
from voicechat.system.private_files import create_private
from voicechat.system.text_table import counted, table


def find(words: str, limit: int = history_reader.MOST_LISTED) -> list[FoundConversation]:
    """Return the conversations that contain the words; without words, the last ones."""
    with opened() as connection:
        return history_reader.search(connection, words, limit)


def load(name: str | None = None) -> StoredConversation:
    """Return the conversation whose id begins with `name`; without a name, the last one."""
    with opened() as connection:
        if name is None:
            row = history_reader.latest(connection)
        else:
            row = history_reader.conversation_named(connection, name)
        return history_reader.load(connection, row)


def rename(conversation_id: str, title: str) -> None:
    """Give a conversation a title."""
    with opened() as connection:
        history_edits.rename(connection, conversation_id, title)


def hide(conversation_id: str, is_hidden: bool) -> None:
    """Delete a conversation in a way that can be undone, or undo that.

    Raises `UsageError` for one that is open in another program.
    """
    if is_hidden:
        open_conversations.refuse_if_open(conversation_id)
    with opened() as connection:
        history_edits.hide(connection, conversation_id, is_hidden)


def purge(conversation_ids: Iterable[str]) -> None:
    """Delete conversations permanently."""
    with opened() as connection:
        for conversation_id in conversation_ids:
            history_edits.purge(connection, conversation_id)


def export(name: str, path: str) -> None:
    """Create a private file with a conversation; the ending of its name is the format."""
    form = Path(path).suffix.removeprefix(".")
    if form not in FORMATS:
        endings = ", ".join(f".{each}" for each in FORMATS)
        raise UsageError(f"{clean(path)} has no known file extension.", f"Use one of {endings}.")
    write_document(path, exported(load(name), form))


def write_document(path: str, document: str) -> None:
    """Create a private file. Raises `UsageError` if it exists or cannot be written."""
    shown = clean(path)
    try:
        create_private(Path(path).expanduser(), document.encode())
    except FileExistsError:
        raise UsageError(f"{shown} already exists.", "Name a new file.") from None
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or clean(str(error))
        raise UsageError(f"{shown} cannot be written: {why}.") from None


def listing(found: Iterable[FoundConversation]) -> str:
    """Return conversations as a table; a line with the match follows each result of a search."""
    rows = list(found)
    cells = [
        (row.id, local_time(row.changed_at), counted(row.turns, "turn"), row.model, row.title)
        for row in (each.conversation for each in rows)
    ]
    lines = []
    for line, each in zip(table(cells, indent=0), rows, strict=True):
        lines += [line, *([f"    {each.excerpt}"] if each.excerpt else [])]
    return "\n".join(lines)
