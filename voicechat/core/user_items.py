"""User items: typed text, pictures, and transcripts of speech."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import replace

from voicechat.core import effects, events
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.core.pictures import Picture
from voicechat.core.text import excerpt
from voicechat.core.turns import RecentIds

REPEATED = "no transcript, as before"
"""Reason at an item whose transcription failed like an earlier one."""

_NUMBERED = re.compile(r"\S*\d\S*")
"""Words that differ between failures of the same kind, such as ids."""

KEPT_BYTES = 10_000_000
"""Bytes of pictures kept for seeding; the oldest are dropped."""


class UserItems:
    """The items of the user."""

    def __init__(self, buffer: EffectBuffer, remedy: str = "") -> None:
        """`remedy` is advice to the user after a failed transcription."""
        self._buffer = buffer
        self._remedy = remedy
        self._failures = RecentIds()
        """Kinds of failed transcriptions that the user knows."""
        self._typed = 0
        self._returned = 0
        self._pictures: deque[Item] = deque()
        self._ignored = RecentIds()

    def typed(self, text: str, picture: Picture | None = None) -> Item:
        """Add a typed item, with a picture if there is one."""
        while self._buffer.transcript.get(f"typed_{self._typed}") or not self._typed:
            self._typed += 1
        item = Item(
            f"typed_{self._typed}",
            Role.USER,
            text,
            ItemStatus.COMPLETED,
            picture=picture,
            unsent=not self._buffer.online,
        )
        return self._add(item)

    def returned(self, tool: str, picture: Picture) -> Item:
        """Add a picture from the result of a tool, as a note."""
        while self._buffer.transcript.get(f"picture_{self._returned}") or not self._returned:
            self._returned += 1
        text = f"Image from {tool}: {picture.caption}"
        return self._add(
            Item(
                f"picture_{self._returned}",
                Role.SYSTEM,
                text,
                ItemStatus.COMPLETED,
                picture=picture,
            )
        )

    def sent(self) -> None:
        """Remove the mark of all items that waited for a connection."""
        for item in self._buffer.transcript.entries:
            if isinstance(item, Item) and item.unsent:
                item.unsent = False
                self._buffer.changed(item)

    def _drop_oldest_data(self) -> None:
        sizes = [len(item.picture.data) for item in self._pictures if item.picture]
        while sum(sizes) > KEPT_BYTES and len(sizes) > 1:
            oldest = self._pictures.popleft()
            if oldest.picture is not None:
                oldest.picture = replace(oldest.picture, data=b"")
            del sizes[0]

    def spoken(self, item_id: str, after: str | None = None) -> None:
        """Add a spoken item at its position; its text follows."""
        if item_id not in self._ignored:
            self._spoken(item_id, after)

    def hide_idle_timeout(self, event: events.IdleTimeout) -> None:
        """Hide the item of an idle timeout."""
        self._ignored.add(event.item_id)

    def forget(self, item_id: str) -> None:
        """Ignore all later events of this item."""
        self._ignored.add(item_id)

    def transcribed(self, event: events.UserTranscript) -> bool:
        """Apply a transcript; return False if the item turned out to be empty and was removed."""
        if event.item_id in self._ignored:
            return True
        item = self._spoken(event.item_id)
        item.text = event.text if event.replace or event.final else item.text + event.text
        if event.final:
            item.status, item.error = ItemStatus.COMPLETED, self._failure(event.error)
            if not item.text.strip() and not event.error:
                self._buffer.remove(item)
                return False
        self._buffer.changed(item)
        return True

    def _failure(self, error: str | None) -> str | None:
        """Return the reason to show at an item; report each kind of failure once."""
        if not error:
            return error
        error = excerpt(error)
        kind = _NUMBERED.sub("", error)
        if kind in self._failures:
            return REPEATED
        self._failures.add(kind)
        sentence = f"Your speech cannot be transcribed: {error.rstrip('.')}."
        self._buffer.do(effects.Notice(sentence, effects.Level.WARNING, self._remedy))
        return error

    def _spoken(self, item_id: str, after: str | None = None) -> Item:
        item = self._buffer.transcript.item(item_id)
        return item or self._add(Item(item_id, Role.USER, spoken=True), after)

    def _add(self, item: Item, after: str | None = None) -> Item:
        if item.picture is not None:
            self._pictures.append(item)
            self._drop_oldest_data()
        self._buffer.transcript.add(item, after)
        self._buffer.changed(item)
        return item
