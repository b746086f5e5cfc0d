"""Two clocks: the speaker's samples and the microphone's are never quite equally long.

At 100 millionths apart the echo comes 1.6 samples earlier or later each second, and no filter
keeps up with that at the high notes. But one that lags behind tells by how much: what it leaves
resembles the slope of what it guessed. From that the difference of the clocks is learned, and the
speaker's sound is read just so much faster or slower.

    residue, guess ─► Drift ─ rate ─► Reader ─► the speaker's sound, in step with the microphone's
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.ring_buffers import Line
from voicechat.speech.levels import Samples

_MOST: Final = 500e-6 * FRAME
"""No two clocks are further apart."""
_STEP: Final = 2e-4
"""Share of the lag that is believed to be drift: learned within five seconds."""
_FAINT: Final = 1e-3
"""Energy of a guess too soft to tell anything, full scale being 1.0."""
_SLOPE: Final[NDArray[np.complex64]] = (np.linspace(0.0, np.pi, FRAME + 1) * 1j).astype(
    np.complex64
)
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


class Drift:
    """Learns how much faster the speaker's clock runs: `rate`, in samples per 10 ms at 16 kHz."""

    def __init__(self) -> None:
        self.rate = 0.0

    def observe(self, error: NDArray[np.complex64], echo: NDArray[np.complex64]) -> None:
        """Weigh a frame: spectra (161 bins) of what a filter left and of what it guessed.

        A voice in `error` has nothing in common with the guess; it only lowers the weight.
        """
        slope = _SLOPE * echo
        steep = float(np.vdot(slope, slope).real) / 2
        left = float(np.vdot(error, error).real)
        ahead = float(np.vdot(slope, error).real) / (steep + left + _FAINT)
        self.rate = min(max(self.rate + _STEP * ahead, -_MOST), _MOST)


class Reader:
    """Takes frames from a line a little faster or slower than they come."""

    def __init__(self, line: Line) -> None:
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
