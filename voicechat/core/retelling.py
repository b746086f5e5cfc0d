"""Telling a new session what was said in an old one, as far as it was really said and heard."""

from __future__ import annotations

from collections.abc import Iterator

from voicechat.core import events as ev
from voicechat.core.items import Item, Transcript


def retell(transcript: Transcript) -> Iterator[ev.Command]:
    """The conversation so far as commands: both sides, the assistant's only as far as heard."""
    for entry in transcript.entries:
        if isinstance(entry, Item) and entry.shown.strip() and not entry.hidden:
            yield ev.CreateMessage(entry.item_id, entry.role.value, entry.shown)
