"""Playout: received and heard milliseconds of every spoken item.

This answers the central question of an interruption: how many milliseconds of which item were
played? A position never exceeds what was received. An item is closed when its last audio was
played or dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from voicechat.core.items import Item, ItemStatus
from voicechat.core.text_alignment import TextAlignment


@dataclass(slots=True)
class SpokenItem:
    """Playout state of one item."""

    item: Item
    alignment: TextAlignment = field(default_factory=TextAlignment)
    ended: bool = False
    """No more audio will be queued for it."""
    final_status: ItemStatus = ItemStatus.COMPLETED
    """Status of the item after its last audio."""
    audible: bool = False
    """Its first audio was played."""

    @property
    def has_audio(self) -> bool:
        """True if any audio of it was received."""
        return self.item.received_ms > 0

    def advance(self, ms: float) -> None:
        """Advance the position to `ms`; never backward, never beyond what was received."""
        item = self.item
        item.heard_ms = max(item.heard_ms, min(ms, item.received_ms))
        item.heard_chars = self.alignment.heard(item.heard_ms)


class Playout:
    """The spoken items whose audio is not complete or not played yet."""

    def __init__(self) -> None:
        self.spoken: dict[str, SpokenItem] = {}
        """Open items by id."""
        self.get = self.spoken.get
        """Return an open item by id, else None."""

    def open(self, item: Item) -> SpokenItem:
        """Return the state of an item; create it if there is none."""
        return self.spoken.setdefault(item.item_id, SpokenItem(item))

    def close(self, item_id: str) -> SpokenItem | None:
        """Close and return an item."""
        return self.spoken.pop(item_id, None)

    def of_response(self, response_id: str) -> list[SpokenItem]:
        """Return the open items of a response, in the order they were opened."""
        return [s for s in self.spoken.values() if s.item.response_id == response_id]

    @property
    def sounding(self) -> bool:
        """True if audio is queued or playing."""
        return any(spoken.has_audio for spoken in self.spoken.values())

    @property
    def audible(self) -> bool:
        """True if audio is playing."""
        return any(spoken.audible for spoken in self.spoken.values())

    def __iter__(self) -> Iterator[SpokenItem]:
        return iter(list(self.spoken.values()))
