"""Playout tap: the sound that left the speaker, for recordings, with ducking, gaps and cues."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from voicechat.audio.devices.streams import SampleRing
from voicechat.audio.messages import Played
from voicechat.speech.pcm import Resampler

_BLOCKS_PER_S: Final = 50


class PlayoutTap:
    """Yields each block once it was heard. Single thread; the callback only writes the ring."""

    def __init__(self, rate: int) -> None:
        """Deliver blocks at `rate` Hz."""
        self._rate: Final = rate
        self._ring: SampleRing | None = None
        self._ring_rate = rate
        self._resampler = Resampler(rate, rate)
        self._waiting: deque[Played] = deque(maxlen=10 * _BLOCKS_PER_S)

    def attach(self, ring: SampleRing | None, rate: int) -> None:
        """Read from the ring of a newly opened speaker; None turns the tap off."""
        self._ring, self._ring_rate = ring, rate
        self._resampler = Resampler(rate, self._rate)

    def blocks(self, now: float) -> Iterator[Played]:
        """Yield the blocks heard since the last call."""
        ring = self._ring
        if ring is None:
            return
        while (taken := ring.read(self._ring_rate // _BLOCKS_PER_S)) is not None:
            at = ring.last_at - ring.available / self._ring_rate
            self._waiting.append(Played(self._resampler.convert(taken).tobytes(), at))
        while self._waiting and self._waiting[0].at <= now:
            yield self._waiting.popleft()

    def cut(self, at: float) -> None:
        """Drop what the device discarded instead of playing, from `at` on.

        Its first sound after that may be earlier than what it discarded, and be here already.
        """
        kept = [played for played in self._waiting if played.at <= at]
        self._waiting.clear()
        self._waiting.extend(kept)
