"""Clock drift between speaker and microphone, estimated from the residual echo.

At 100 ppm the echo moves by 1.6 samples per second, too fast for an adaptive filter at high
frequencies. But the residue of a filter that lags behind correlates with the derivative of its echo
estimate. The estimated drift drives a fractional resampler of the far end:

    residue, echo estimate ─► ClockDrift ─ rate ─► FractionalReader ─► aligned far end
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME

_MAX_DRIFT: Final = 500e-6 * FRAME
"""Largest drift of two clocks, in samples per frame."""
_STEP: Final = 2e-4
"""Share of the lag attributed to drift in a long conversation."""
_BOOST: Final = 8.0
"""Additional share at first, relative to `_STEP`; converges within three seconds."""
_BOOST_FRAMES: Final = 80.0
"""Frames in which the additional share halves."""
_AVERAGED_FRAMES: Final = 3_000
"""Most frames in the average of the rate: half a minute of an echo."""
_SETTLED_FRAMES: Final = 1_000
"""Frames after which the rate counts as settled even if the echo is not canceled well."""
_MIN_ENERGY: Final = 1e-3
"""Energy of an echo estimate that is too soft to show drift; full scale is 1.0."""
_SLOPE: Final[NDArray[np.complex64]] = (np.linspace(0.0, np.pi, FRAME + 1) * 1j).astype(
    np.complex64
)


class ClockDrift:
    """Estimates how much faster the speaker's clock runs: `rate`, in samples per 10 ms."""

    def __init__(self) -> None:
        self.rate = 0.0
        self._frames = 0
        self._settled_frames = 0
        self.certain_rate = 0.0
        """The average of `rate` since it is settled: for time without an echo.

        There an error adds up unseen; an echo that is a sample off is not canceled above 2 kHz.
        """

    def observe(
        self, error: NDArray[np.complex64], echo: NDArray[np.complex64], *, exact: bool = True
    ) -> None:
        """Process the spectra of the residue and of the echo estimate, complex64 of shape (161,).

        exact: the filter cancels the echo so well that the rate is hardly chance.
        A voice in `error` does not correlate with the estimate; it only lowers the weight.
        """
        slope = _SLOPE * echo
        slope_energy = float(np.vdot(slope, slope).real) / 2
        residue_energy = float(np.vdot(error, error).real)
        lag = float(np.vdot(slope, error).real) / (slope_energy + residue_energy + _MIN_ENERGY)
        self._frames += 1
        step = _STEP * (1 + _BOOST * 2 ** (-self._frames / _BOOST_FRAMES))
        self.rate = min(max(self.rate + step * lag, -_MAX_DRIFT), _MAX_DRIFT)
        if exact or self._frames > _SETTLED_FRAMES:
            self._settled_frames = min(self._settled_frames + 1, _AVERAGED_FRAMES)
            self.certain_rate += (self.rate - self.certain_rate) / self._settled_frames
