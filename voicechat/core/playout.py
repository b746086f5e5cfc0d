"""Playout: received, queued and heard milliseconds of every spoken item.

The ledger answers the one question of an interruption: how many milliseconds of which item
came out of the speaker? It never claims more than was received, and forgets an item when its
last sound was heard or thrown away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from voicechat.core.items import Item, ItemStatus
from voicechat.core.text_alignment import TextAlignment


@dataclass(slots=True)
class SpokenItem:
    """One item's sound."""

    item: Item
    alignment: TextAlignment = field(default_factory=TextAlignment)
    ended: bool = False
    """The speaker was told that no more sound will come."""
    outcome: ItemStatus = ItemStatus.COMPLETED
    """Status of the item after its last sound."""
    audible: bool = False
    """Its first sound came out of the speaker."""

    @property
    def sounded(self) -> bool:
        """True if any sound of it was received."""
        return self.item.received_ms > 0

    def hear(self, ms: float) -> None:
        """`ms` of the sound have been heard; never less than before, never more than received."""
        item = self.item
        item.heard_ms = max(item.heard_ms, min(ms, item.received_ms))
        item.heard_chars = self.alignment.heard(item.heard_ms)


class Playout:
    """The spoken items that still have sound to come or to be heard."""

    def __init__(self) -> None:
        self.spoken: dict[str, SpokenItem] = {}
        """Open accounts, by item id."""
        self.get = self.spoken.get
        """Return the account of an item while it is open, else None."""

    def open(self, item: Item) -> SpokenItem:
        """The account of the item; it is opened when there is none."""
        return self.spoken.setdefault(item.item_id, SpokenItem(item))

    def close(self, item_id: str) -> SpokenItem | None:
        """Close and return the account."""
        return self.spoken.pop(item_id, None)

    def of_response(self, response_id: str) -> list[SpokenItem]:
        """The open accounts of one response, in the order they were opened."""
        return [s for s in self.spoken.values() if s.item.response_id == response_id]

    @property
    def sounding(self) -> bool:
        """True if sound is waiting for the speaker or coming out of it."""
        return any(spoken.sounded for spoken in self.spoken.values())

    @property
    def audible(self) -> bool:
        """True if sound is coming out of the speaker now."""
        return any(spoken.audible for spoken in self.spoken.values())

    def __iter__(self) -> Iterator[SpokenItem]:
        return iter(list(self.spoken.values()))
