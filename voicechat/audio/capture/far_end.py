"""The far end: the speaker's sound aligned with the microphone's, frame by frame.

An echo canceller needs a constant delay. Counting frames keeps it only while none is lost: an
underrun of the speaker or an overflow of the microphone shifts the two sides for good. So the
callback times of both streams are tracked, and losses are compensated. Slow drift between the
clocks is estimated from the echo itself (clock_drift).

    time of a side's next frame = start of the stream + frames taken - frames waiting
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.devices.streams import SampleRing
from voicechat.speech.pcm import Samples

_RATE: Final = 16_000
_MOST: Final = 40 * FRAME
"""Most far-end samples that wait."""
_CUSHION: Final = FRAME * 3 // 2
"""Far-end samples that wait at first, so that the canceller's delay stays constant."""
_OBSERVED: Final = 50
"""Callbacks in the estimate of a stream's start: half a second or a second."""
_ENOUGH: Final = 25
"""Callbacks that are enough after a loss; streams start unsteadily and need all of them."""
_EVERY: Final = 10
"""Frames between two checks."""
_LOST_S: Final = 0.012
"""Misalignment in s that means lost frames; two checks confirm it."""
_NEAR_S: Final = 0.004
"""Misalignment in s within the jitter of callbacks. Values in between count if the device reported
a loss, or if they persist.
"""
_LASTS: Final = 10
"""Checks after which a misalignment counts as persistent."""
_MOST_S: Final = 0.3
"""A larger misalignment in s is a reset clock or device, not a loss."""
_PATIENCE: Final = 5
"""Checks during which to wait for sound that should be played earlier."""


_REACH: Final = 8
"""Samples on either side of an interpolated position; also the delay of the interpolation."""
_STEPS: Final = 256
"""Positions between two samples with precomputed taps."""
_BEYOND: Final = 11
"""Extra positions before and after: half of the largest drift."""


def _taps() -> NDArray[np.float32]:
    """Return the windowed sinc of each position, newest sample first: (positions, taps)."""
    places = np.arange(-_BEYOND, _STEPS + _BEYOND + 1) / _STEPS
    spots = np.arange(_REACH, -_REACH, -1) - places[:, np.newaxis]
    taps = np.sinc(spots) * np.cos(spots * (np.pi / (2 * _REACH + 2))) ** 2
    even: NDArray[np.float32] = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return even


_TAPS: Final = _taps()


class SampleQueue:
    """FIFO of int16 samples for a single thread."""

    def __init__(self) -> None:
        self._rest: Samples = np.empty(0, np.int16)

    def prepend_silence(self, frames: int) -> None:
        """Insert silence in front of the waiting samples."""
        self._rest = np.concatenate((np.zeros(frames, np.int16), self._rest))

    def __len__(self) -> int:
        return len(self._rest)

    def put(self, samples: Samples) -> None:
        if len(samples):
            self._rest = np.concatenate((self._rest, samples))

    def take(self, count: int) -> Samples | None:
        """Take and return the oldest `count` samples; None if there are fewer."""
        if len(self._rest) < count:
            return None
        frame, self._rest = self._rest[:count], self._rest[count:]
        return frame


class StreamStart:
    """Estimates the start time of a stream from its callbacks.

    A callback may be late but never early, so the earliest estimate is used.
    """

    def __init__(self, rate: int) -> None:
        self._rate: Final = rate
        self._told: deque[float] = deque(maxlen=_OBSERVED)
        self._frames = 0
        self._enough = _OBSERVED

    def observe(self, mark: tuple[int, float]) -> None:
        """Process a callback mark: frames of the stream so far, and the callback time."""
        frames, moment = mark
        if frames != self._frames:
            self._frames = frames
            self._told.append(moment - frames / self._rate)

    def clear(self) -> None:
        """Restart the estimate after a loss of frames."""
        self._told.clear()

    @property
    def at(self) -> float | None:
        """Monotonic start time in s; None while there are too few callbacks."""
        if len(self._told) < self._enough:
            return None
        self._enough = _ENOUGH
        return min(self._told)


class FractionalReader:
    """Reads 10 ms frames from a queue at a fractional rate, with a windowed sinc."""

    def __init__(self, line: SampleQueue) -> None:
        self._line: Final = line
        self._past: Samples = np.zeros(2 * _REACH + 1, np.int16)
        self._part = 0.0
        """Position of the end of the last frame after a whole sample, 0.0 to 1.0."""

    def take(self, rate: float) -> Samples | None:
        """Return the next 160 samples, consuming `rate` samples more; None if there are too few."""
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
    """Far-end samples in step with the microphone's frames."""

    def __init__(self, microphone_rate: int, speaker_rate: int) -> None:
        self._line = SampleQueue()
        self._reader = FractionalReader(self._line)
        self._rates: Final = microphone_rate, speaker_rate
        self._nothing: Samples = np.zeros(FRAME, np.int16)
        self.realign()

    def realign(self) -> None:
        """Restart the alignment, because the streams were reopened."""
        self._aligned = False
        self._near_begins = StreamStart(self._rates[0])
        self._far_begins = StreamStart(self._rates[1])
        self._offset_s: float | None = None
        self._told = False
        self._misaligned_checks = 0
        self._patience = _PATIENCE
        self._least = _MOST
        self._drops = 0
        self._count = 0

    def put(self, samples: Samples) -> None:
        """Append far-end samples at 16 kHz."""
        self._line.put(samples)
        if len(self._line) > _MOST:
            self._line.take(len(self._line) - _MOST)

    def next(self, rate: float) -> Samples:
        """Return the far-end frame of the microphone's next 10 ms, or silence.

        `rate`: drift of the speaker's clock in samples per 10 ms.
        """
        frame = self._reader.take(rate)
        self._least = min(self._least, len(self._line)) if frame is not None else 0
        return self._nothing if frame is None else frame

    def align(self, near: int) -> None:
        """Align both sides when the microphone starts with `near` samples.

        Older far-end sound is dropped: a canceller cannot use a far end that comes after its echo.
        """
        if self._aligned or not near:
            return
        self._aligned = True
        surplus = len(self._line) - near - _CUSHION
        if surplus < 0:
            self._line.prepend_silence(-surplus)
        self._line.take(max(0, surplus))

    def track(self, microphone: SampleRing, near: int, speaker: SampleRing | None) -> bool:
        """Keep both sides aligned; return True if frames were lost since the last call.

        `near`: microphone samples read but not yet taken.
        """
        if speaker is None or not self._aligned:
            return False
        drops = microphone.drops + speaker.drops
        dropped, self._drops = drops != self._drops, drops
        if dropped:
            self._near_begins.clear()
            self._far_begins.clear()
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
        if self._offset_s is None:
            self._offset_s = apart
        return self._correct(apart - self._offset_s, least) or dropped

    def _correct(self, late: float, least: int) -> bool:
        """Compensate a far end that is `late` seconds late, once that is certain."""
        told, self._told = self._told, False
        lost = abs(late) >= _LOST_S
        self._misaligned_checks = self._misaligned_checks + 1 if abs(late) >= _NEAR_S else 0
        if not self._misaligned_checks:
            self._patience = _PATIENCE
        if abs(late) > _MOST_S:
            self._offset_s = None
        elif self._misaligned_checks >= (1 if told else 2 if lost else _LASTS):
            self._jump(round(late * _RATE), least)
            lost = True
        return lost

    def _jump(self, samples: int, least: int) -> None:
        """Shift the far end later by `samples`, or earlier if there are enough samples."""
        if samples > 0:
            self._line.prepend_silence(samples)
        elif least >= -samples:
            self._line.take(-samples)
        elif self._patience:
            self._patience -= 1
        else:
            self._offset_s = None
