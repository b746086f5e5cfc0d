"""Telling a new session what was said in an old one, as far as it was really said and heard."""

from __future__ import annotations

from collections.abc import Iterator

from voicechat.core import events as ev
from voicechat.core.items import Item, Role, ToolCall, Transcript

UNKNOWN_OUTCOME = '{"error": "The connection was lost; whether this was done is not known."}'


def unanswered(transcript: Transcript) -> bool:
    """Whether the last word is the person's, or a tool's: an answer to it is still to come."""
    last = transcript.entries[-1] if transcript.entries else None
    if isinstance(last, Item):
        return last.role is Role.USER and bool(last.text.strip())
    return last is not None


def retell(transcript: Transcript, start: int = 0) -> Iterator[ev.Command]:
    """The conversation from entry `start` on: both sides, the assistant's only as far as heard."""
    for entry in transcript.entries[start:]:
        if isinstance(entry, ToolCall):
            if entry.state.final and entry.arguments:
                yield ev.RetellCall(entry.call_id, entry.name, entry.arguments)
                yield ev.RetellResult(entry.call_id, entry.output or UNKNOWN_OUTCOME)
        elif entry.shown.strip() and not entry.hidden:
            yield ev.CreateMessage(entry.item_id, entry.role.value, entry.shown)
