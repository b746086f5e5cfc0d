"""What really came out of the speaker, for a recording: ducked, faded, with gaps and cues."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

from voicechat.audio.messages import Played
from voicechat.audio.ring_buffers import CaptureRing
from voicechat.speech.levels import Resampler

_BLOCKS_PER_S: Final = 50


class Monitor:
    """Hands on each block when it was heard. One thread; the callback only sees the ring."""

    def __init__(self, rate: int) -> None:
        """`rate` is that of the blocks it gives."""
        self._rate: Final = rate
        self._ring: CaptureRing | None = None
        self._ring_rate = rate
        self._resampler = Resampler(rate, rate)
        self._waiting: deque[Played] = deque(maxlen=10 * _BLOCKS_PER_S)

    def attach(self, ring: CaptureRing | None, rate: int) -> None:
        """A speaker was opened; what its callback hands over is in `ring`, if it is wanted."""
        self._ring, self._ring_rate = ring, rate
        self._resampler = Resampler(rate, self._rate)

    def blocks(self, now: float) -> Iterator[Played]:
        """What was heard since the last call."""
        ring = self._ring
        if ring is None:
            return
        while (taken := ring.read(self._ring_rate // _BLOCKS_PER_S)) is not None:
            at = ring.last_at - ring.available / self._ring_rate
            self._waiting.append(Played(self._resampler.convert(taken).tobytes(), at))
        while self._waiting and self._waiting[0].at <= now:
            yield self._waiting.popleft()

    def cut(self, at: float) -> None:
        """The device threw away what it had not played by `at`."""
        while self._waiting and self._waiting[-1].at > at:
            self._waiting.pop()
