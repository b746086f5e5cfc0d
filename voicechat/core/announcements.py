"""Announcements: events that the model speaks about, such as a timer that rang.

The user sees an announcement at once. The model receives it between two turns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from voicechat.core import commands, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.core.text import clean

MAX_QUEUED = 16
"""Largest number of queued announcements; beyond that, the oldest one is only shown."""


class Announcements:
    """Queue of announcements that the model has not received yet."""

    def __init__(self, buffer: EffectBuffer) -> None:
        self._buffer = buffer
        self.waiting: deque[Item] = deque(maxlen=MAX_QUEUED)
        self._count = 0

    def add(self, event: inputs.Announce) -> None:
        """Show an announcement and queue it for the model."""
        # A conversation that continues an old transcript must not reuse its ids.
        self._count += 1
        while self._buffer.transcript.get(f"announcement_{self._count}"):
            self._count += 1
        text = clean(event.text)
        item = Item(f"announcement_{self._count}", Role.SYSTEM, text, ItemStatus.COMPLETED)
        self._buffer.transcript.add(item)
        self._buffer.changed(item)
        self.waiting.append(item)

    def send_all(self) -> bool:
        """Send all queued announcements to the model; return False if there are none."""
        waiting = tuple(self.waiting)
        self.waiting.clear()
        for item in waiting:
            self._buffer.send(commands.CreateMessage(item.item_id, Role.SYSTEM.value, item.text))
        return bool(waiting)

    def remove_seeded(self, sent: Iterable[commands.Command]) -> bool:
        """Remove announcements that seeding has sent; return True if there were any."""
        seeded = {each.item_id for each in sent if isinstance(each, commands.CreateMessage)}
        remaining = [item for item in self.waiting if item.item_id not in seeded]
        removed = len(remaining) < len(self.waiting)
        self.waiting.clear()
        self.waiting.extend(remaining)
        return removed
