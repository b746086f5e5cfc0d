"""What happened by itself and the model is to speak of: a timer rang, a list was finished.

The person sees it at once. The model is told when nobody speaks and nothing is being answered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from voicechat.core import commands, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.core.text import clean

MOST_WAITING = 16
"""Announcements that wait for a moment to tell them; the oldest is then only shown."""


class Announcements:
    """The tidings that the model was not told of yet."""

    def __init__(self, buffer: EffectBuffer) -> None:
        self._buffer = buffer
        self._waiting: deque[Item] = deque(maxlen=MOST_WAITING)
        self._count = 0

    def come(self, event: inputs.Announce) -> None:
        """Something happened: show it."""
        self._count += 1
        text = clean(event.text)
        item = Item(f"told_{self._count}", Role.SYSTEM, text, ItemStatus.COMPLETED)
        self._buffer.transcript.add(item)
        self._buffer.changed(item)
        self._waiting.append(item)

    def tell(self) -> bool:
        """Nobody speaks: tell the model. False when there is nothing to tell."""
        waiting = tuple(self._waiting)
        self._waiting.clear()
        for item in waiting:
            self._buffer.send(commands.CreateMessage(item.item_id, Role.SYSTEM.value, item.text))
        return bool(waiting)

    def retold(self, item_ids: Iterable[str]) -> bool:
        """A new session was told of these items. True when some were news to the model."""
        told = set(item_ids)
        left = [item for item in self._waiting if item.item_id not in told]
        news = len(left) < len(self._waiting)
        self._waiting.clear()
        self._waiting.extend(left)
        return news
