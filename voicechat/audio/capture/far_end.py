"""The speaker's sound beside the microphone's, frame for frame, kept there by the clock.

The canceller wants one constant delay. Counting frames gives it only while none is lost: a
speaker that runs dry and a microphone that overflows move the two sides against each other, for
good. So the moments of both streams are followed, and what was lost is made up for. Two clocks
that differ move them apart slowly; that is told by the echo itself (drift.py).

    moment of a side's next frame = the stream's beginning + frames taken - frames that wait
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.ring_buffers import SampleQueue, SampleRing
from voicechat.speech.levels import Samples

_RATE: Final = 16_000
_MOST: Final = 40 * FRAME
"""More of the speaker's sound than this never waits."""
_CUSHION: Final = FRAME * 3 // 2
"""So much of it waits at first, that the canceller's delay stays what it is."""
_OBSERVED: Final = 50
"""Callbacks whose moments are compared: half a second or a whole one."""
_ENOUGH: Final = 25
"""So many tell enough after a loss; at first all are waited for, as streams begin unsteadily."""
_EVERY: Final = 10
"""Frames between two looks at the clock."""
_LOST_S: Final = 0.012
"""So far apart, the two have lost frames: two looks at the clock are enough to believe it,"""
_NEAR_S: Final = 0.004
"""and less than this is how much the moments of callbacks err. What lies between is believed when
the device itself told of a loss, or when it lasts."""
_LASTS: Final = 10
"""Looks at the clock."""
_MOST_S: Final = 0.3
"""No loss is so long; the clock or the device was set anew."""
_PATIENCE: Final = 5
"""Looks at the clock that sound which should come earlier is waited for."""


_REACH: Final = 8
"""Samples on either side that tell what lies between two; the sound comes so much later."""
_STEPS: Final = 256
"""Places between two samples for which the taps are known,"""
_BEYOND: Final = 11
"""and so many before and after them: half of the highest rate."""


def _taps() -> NDArray[np.float32]:
    """For each place: a sinc in a window, the latest sample first."""
    places = np.arange(-_BEYOND, _STEPS + _BEYOND + 1) / _STEPS
    spots = np.arange(_REACH, -_REACH, -1) - places[:, np.newaxis]
    taps = np.sinc(spots) * np.cos(spots * (np.pi / (2 * _REACH + 2))) ** 2
    even: NDArray[np.float32] = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return even


_TAPS: Final = _taps()


class StreamStart:
    """When a stream's first frame was, told from the moments of its callbacks.

    A callback may be late and is never early, so the earliest is believed.
    """

    def __init__(self, rate: int) -> None:
        self._rate: Final = rate
        self._told: deque[float] = deque(maxlen=_OBSERVED)
        self._frames = 0
        self._enough = _OBSERVED

    def observe(self, mark: tuple[int, float]) -> None:
        """A callback: frames the stream then had, and the moment."""
        frames, moment = mark
        if frames != self._frames:
            self._frames = frames
            self._told.append(moment - frames / self._rate)

    def forget(self) -> None:
        """Frames were lost: what was told before is no longer true."""
        self._told.clear()

    @property
    def at(self) -> float | None:
        """The moment in seconds; None while too little was told."""
        if len(self._told) < self._enough:
            return None
        self._enough = _ENOUGH
        return min(self._told)


class FractionalReader:
    """Takes frames from a line a little faster or slower than they come."""

    def __init__(self, line: SampleQueue) -> None:
        self._line: Final = line
        self._past: Samples = np.zeros(2 * _REACH + 1, np.int16)
        self._part = 0.0
        """How far the last frame lay behind a sample at its end, 0.0 to 1.0."""

    def take(self, rate: float) -> Samples | None:
        """The next 10 ms, for which `rate` samples more than a frame are used up.

        None when there are fewer. Between samples the sound is told by a windowed sinc.
        """
        part = self._part + rate
        more = int(np.floor(part))
        fresh = self._line.take(FRAME + more)
        if fresh is None:
            return None
        self._part = part - more
        known = np.concatenate((self._past, fresh))
        self._past = known[-2 * _REACH - 1 :]
        known = known[-FRAME - 2 * _REACH + 1 :]
        middle = self._part - rate / 2
        if not middle:
            return known[_REACH - 1 : _REACH - 1 + FRAME]
        taps = _TAPS[round(middle * _STEPS) + _BEYOND]
        between: Samples = np.convolve(known, taps, "valid").clip(-32768, 32767).astype(np.int16)
        return between


class FarEnd:
    """The speaker's sound, taken frame by frame beside the microphone's."""

    def __init__(self, microphone_rate: int, speaker_rate: int) -> None:
        self._line = SampleQueue()
        self._reader = FractionalReader(self._line)
        self._rates: Final = microphone_rate, speaker_rate
        self._nothing: Samples = np.zeros(FRAME, np.int16)
        self.rejoin()

    def rejoin(self) -> None:
        """The streams begin anew: they did not begin at the same time."""
        self._joined = False
        self._near_begins = StreamStart(self._rates[0])
        self._far_begins = StreamStart(self._rates[1])
        self._apart: float | None = None
        self._told = False
        self._off = 0
        self._patience = _PATIENCE
        self._least = _MOST
        self._drops = 0
        self._count = 0

    def put(self, samples: Samples) -> None:
        """What was handed to the speaker, at 16 kHz."""
        self._line.put(samples)
        if len(self._line) > _MOST:
            self._line.take(len(self._line) - _MOST)

    def next(self, rate: float) -> Samples:
        """What stands beside the microphone's next 10 ms; silence when there is none.

        `rate`: how much faster the speaker's clock runs, in samples per 10 ms.
        """
        frame = self._reader.take(rate)
        self._least = min(self._least, len(self._line)) if frame is not None else 0
        return self._nothing if frame is None else frame

    def join(self, near: int) -> None:
        """The microphone begins with `near` samples: what came long before them is not its echo.

        Sound that stands here too late would be cancelled after its echo, which is impossible.
        """
        if self._joined or not near:
            return
        self._joined = True
        surplus = len(self._line) - near - _CUSHION
        if surplus < 0:
            self._line.lead(-surplus)
        self._line.take(max(0, surplus))

    def follow(self, microphone: SampleRing, near: int, speaker: SampleRing | None) -> bool:
        """Keep the two sides together; True when frames were lost since the last call.

        `near`: samples of the microphone that were read but not yet taken.
        """
        if speaker is None or not self._joined:
            return False
        drops = microphone.drops + speaker.drops
        dropped, self._drops = drops != self._drops, drops
        if dropped:
            self._near_begins.forget()
            self._far_begins.forget()
            self._count = _EVERY
            self._told = True
            self._least = len(self._line) - near
        self._near_begins.observe(microphone.mark)
        self._far_begins.observe(speaker.mark)
        self._count += 1
        near_at, far_at = self._near_begins.at, self._far_begins.at
        if self._count < _EVERY or near_at is None or far_at is None:
            return dropped
        self._count = 0
        least, self._least = self._least, _MOST
        near_at += microphone.taken / self._rates[0] - near / _RATE
        far_at += speaker.taken / self._rates[1] - len(self._line) / _RATE
        apart = far_at - near_at
        if self._apart is None:
            self._apart = apart
        return self._correct(apart - self._apart, least) or dropped

    def _correct(self, late: float, least: int) -> bool:
        """Make up for what the far side is late by, seconds, once that is certain."""
        told, self._told = self._told, False
        lost = abs(late) >= _LOST_S
        self._off = self._off + 1 if abs(late) >= _NEAR_S else 0
        if not self._off:
            self._patience = _PATIENCE
        if abs(late) > _MOST_S:
            self._apart = None
        elif self._off >= (1 if told else 2 if lost else _LASTS):
            self._jump(round(late * _RATE), least)
            lost = True
        return lost

    def _jump(self, samples: int, least: int) -> None:
        """Sound comes later by so many samples; or earlier, if it is there so early."""
        if samples > 0:
            self._line.lead(samples)
        elif least >= -samples:
            self._line.take(-samples)
        elif self._patience:
            self._patience -= 1
        else:
            self._apart = None
