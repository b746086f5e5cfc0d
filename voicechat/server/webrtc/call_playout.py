"""What a call plays: which sound belongs to which item, and how much of it was played."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

RATE = 24_000
"""Sample rate in Hz of the sound."""
MOST_S = 30.0
"""Above this much waiting sound, `wait_for_space` waits."""
_EXACT_S = 1e-4
"""Positions are sums of many lengths."""


class SoundOutput(Protocol):
    """Sends sound in real time; `OutgoingSound` is one."""

    sent_s: float
    """Seconds of sound that were sent."""

    @property
    def queued_s(self) -> float:
        """Seconds of sound that are not sent yet."""
        ...

    def write(self, pcm: bytes) -> None:
        """Queue PCM16 mono."""
        ...

    def clear(self) -> float:
        """Drop the queued sound; return its seconds."""
        ...


class _Part:
    """A run of sound of one item: where it begins and ends, in seconds of sent sound."""

    def __init__(self, response_id: str, item_id: str, begin: float) -> None:
        self.response_id, self.item_id = response_id, item_id
        self.begin = self.end = begin


class CallPlayout:
    """Plays the sound of responses in order. Call `advance` about every 20 ms."""

    def __init__(self, output: SoundOutput) -> None:
        self._output: Final = output
        self._parts: deque[_Part] = deque()
        self._played_s: dict[str, float] = {}
        """Seconds played of the items in `_parts` before their first part."""
        self._unfinished: set[str] = set()
        """The responses that may have more sound."""
        self._playing: str | None = None
        self._has_space = asyncio.Event()
        self._has_space.set()

    def add(self, response_id: str, item_id: str, pcm: bytes) -> None:
        """Play this sound, PCM16 mono at 24 kHz, after the rest."""
        last = self._parts[-1] if self._parts else None
        if last is None or (last.response_id, last.item_id) != (response_id, item_id):
            begin = self._output.sent_s + self._output.queued_s
            last = _Part(response_id, item_id, begin)
            self._parts.append(last)
        self._unfinished.add(response_id)
        self._output.write(pcm)
        last.end += len(pcm) / 2 / RATE
        if self._output.queued_s > MOST_S:
            self._has_space.clear()

    async def wait_for_space(self) -> None:
        """Wait until less sound is waiting."""
        await self._has_space.wait()

    def end(self, response_id: str) -> None:
        """Note that the response has no more sound."""
        self._unfinished.discard(response_id)

    def advance(self) -> list[tuple[str, str]]:
        """Return what changed: (started or stopped, response id), in order."""
        changes: list[tuple[str, str]] = []
        sent = self._output.sent_s
        while self._parts and self._parts[0].begin < sent - _EXACT_S:
            part = self._parts[0]
            if self._playing != part.response_id:
                changes += self._stopped()
                self._playing = part.response_id
                changes.append(("started", part.response_id))
            if part.end > sent + _EXACT_S:
                break
            self._parts.popleft()
            before = self._played_s.get(part.item_id, 0.0)
            self._played_s[part.item_id] = before + part.end - part.begin
        if self._is_over():
            changes += self._stopped()
        if not self._parts and not self._unfinished:
            self._played_s.clear()
        if self._output.queued_s <= MOST_S:
            self._has_space.set()
        return changes

    def _is_over(self) -> bool:
        """Return True if the playing response has no sound left, and gets none."""
        waiting = {part.response_id for part in self._parts}
        return self._playing not in waiting | self._unfinished

    def _stopped(self) -> list[tuple[str, str]]:
        stopped, self._playing = self._playing, None
        return [] if stopped is None else [("stopped", stopped)]

    def clear(self) -> tuple[str | None, Sequence[tuple[str, float]]]:
        """Drop the sound that is left.

        Returns the response that was playing, or None, and each item with sound that was dropped,
        with the milliseconds of it that were played.
        """
        sent = self._output.sent_s
        self._output.clear()
        heard = {part.item_id: self._played_s.get(part.item_id, 0.0) for part in self._parts}
        for part in self._parts:
            heard[part.item_id] += min(max(sent - part.begin, 0.0), part.end - part.begin)
        response_id = self._playing or (self._parts[0].response_id if self._parts else None)
        self._parts.clear()
        self._played_s.clear()
        self._playing = None
        self._has_space.set()
        return response_id, [(item_id, seconds * 1000) for item_id, seconds in heard.items()]
