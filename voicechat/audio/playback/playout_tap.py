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
        self._waiting: deque[tuple[int, Played]] = deque(maxlen=10 * _BLOCKS_PER_S)
        """Blocks that are not heard yet, each with its end in the ring."""
        self._discarded = 0

    def attach(self, ring: SampleRing | None, rate: int) -> None:
        """Read from the ring of a newly opened speaker; None turns the tap off."""
        self._ring, self._ring_rate = ring, rate
        self._resampler = Resampler(rate, self._rate)
        self._discarded = 0
        waiting = [(0, played) for _, played in self._waiting]
        self._waiting = deque(waiting, self._waiting.maxlen)

    def blocks(self, now: float) -> Iterator[Played]:
        """Yield the blocks heard since the last call."""
        ring = self._ring
        if ring is None:
            return
        while (taken := ring.read(self._ring_rate // _BLOCKS_PER_S)) is not None:
            at = ring.last_at - ring.available / self._ring_rate
            played = Played(self._resampler.convert(taken).tobytes(), at)
            self._waiting.append((ring.taken, played))
        self._drop_discarded(*ring.discarded)
        while self._waiting and self._waiting[0][1].at <= now:
            yield self._waiting.popleft()[1]

    def _drop_discarded(self, until: int, frames: int) -> None:
        """Drop what the device discarded instead of playing: the newest frames until then."""
        begin = until - (frames - self._discarded)
        if begin == until:
            return
        self._discarded = frames
        kept = [each for each in self._waiting if not begin < each[0] <= until]
        self._waiting = deque(kept, self._waiting.maxlen)
