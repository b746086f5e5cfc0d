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

_MOST: Final = 500e-6 * FRAME
"""No two clocks are further apart."""
_STEP: Final = 2e-4
"""Share of the lag that is believed to be drift: learned within five seconds."""
_FAINT: Final = 1e-3
"""Energy of a guess too soft to tell anything, full scale being 1.0."""
_SLOPE: Final[NDArray[np.complex64]] = (np.linspace(0.0, np.pi, FRAME + 1) * 1j).astype(
    np.complex64
)


class ClockDrift:
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
