"""Slash commands for messages of the conversation: find words, edit an earlier message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from voicechat.core.items import Entry, Item, Role
from voicechat.core.tool_calls import for_user
from voicechat.errors import UsageError

if TYPE_CHECKING:
    from voicechat.session.session import Session

MAX_FOUND = 20
"""Most entries that /find lists."""
MAX_LISTED = 20
"""Most earlier messages that /edit offers."""
_SURROUNDING = 60
"""Characters around the found words in the list."""
_NAMES = {Role.USER: "you", Role.ASSISTANT: "voice", Role.SYSTEM: "note"}


def text_of(entry: Entry) -> str:
    """Return the text of an entry that /find searches."""
    if isinstance(entry, Item):
        return "" if entry.hidden else entry.shown or entry.text
    return "\n".join((entry.name, entry.arguments, for_user(entry.output or "")))


def entries_with(session: Session, words: str) -> list[Entry]:
    """Return the entries whose text contains these words as they are written, oldest first."""
    wanted = words.casefold()
    return [each for each in session.transcript.entries if wanted in text_of(each).casefold()]


def find(session: Session, words: str) -> str:
    """List the newest entries that contain the words."""
    if not words:
        raise UsageError("/find takes the words to find.")
    found = entries_with(session, words)
    if not found:
        return f"“{words[:40]}” is not in this conversation."
    lines = [f"{_name(each)}: {_excerpt(text_of(each), words)}" for each in found[-MAX_FOUND:]]
    omitted = len(found) - len(lines)
    return "\n".join([*([f"{omitted} earlier entries are left out."] if omitted else []), *lines])


def _name(entry: Entry) -> str:
    return _NAMES[entry.role] if isinstance(entry, Item) else "tool"


def _excerpt(text: str, words: str) -> str:
    """Return the line of the text around the words."""
    text = " ".join(text.split())
    at = max(0, text.casefold().find(" ".join(words.casefold().split())))
    start, end = max(0, at - _SURROUNDING), at + len(words) + _SURROUNDING
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


# ------------------------------------------------------------------------------ earlier messages


def _own_messages(session: Session) -> list[Item]:
    """Return the messages of the user with words, the last one first."""
    entries = reversed(session.transcript.entries)
    items = (each for each in entries if isinstance(each, Item) and each.role is Role.USER)
    return [each for each in items if each.text.strip()][:MAX_LISTED]


def earlier_messages(session: Session, argument: str) -> Sequence[str]:
    """Offer the messages of the user with their numbers, to be changed."""
    messages = _own_messages(session)
    return [f"{number} {each.text.strip()}" for number, each in enumerate(messages, 1)]


def edit(session: Session, argument: str) -> str | None:
    """List the messages of the user, or go on from one of them with another text."""
    messages = _own_messages(session)
    if not messages:
        raise UsageError("There is no message to edit.")
    if not argument:
        listed = [f"{n}: {' '.join(each.text.split())[:70]}" for n, each in enumerate(messages, 1)]
        return "\n".join((*reversed(listed), "Type /edit NUMBER and the new text."))
    first, _, text = argument.partition(" ")
    if not first.isdecimal() or not 1 <= int(first[:9]) <= len(messages):
        raise UsageError(f"/edit takes a number from 1 (the last message) to {len(messages)}.")
    if not text.strip():
        raise UsageError("/edit takes the new text after the number.")
    session.edit_message(messages[int(first) - 1].item_id, text.strip())
    return None
