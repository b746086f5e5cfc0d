"""How the speaker comes back through the microphone: a chirp, and where it is in a recording.

A chirp correlates with itself at one moment only, so that it is found 20 dB below a room's
noise. Streams are placed in time by the moments of their callbacks, whose jitter a median takes
out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicechat.speech.levels import FULL_SCALE, Samples, decibels, fade_in

CHIRP_S: Final = 0.3
_LEVEL: Final = 0.25
_LOW_HZ: Final = 400.0
_HIGH_HZ: Final = 5_000.0
_FADE_S: Final = 0.01
_CERTAIN: Final = 15.0
"""How far the peak must stand above the median; noise alone reaches 7 in a second of sound."""


class Echo(NamedTuple):
    """The chirp in a recording: at which frame it begins, and its gain in dB."""

    frame: int
    gain_db: float


def chirp(rate: int) -> Samples:
    """300 ms rising from 400 Hz to 5 kHz, quietly; the same sound at every rate."""
    at = np.arange(int(CHIRP_S * rate)) / rate
    high = min(_HIGH_HZ, 0.4 * rate)
    wave = _LEVEL * np.sin(2 * np.pi * (_LOW_HZ * at + (high - _LOW_HZ) / (2 * CHIRP_S) * at**2))
    fade = fade_in(int(_FADE_S * rate))
    wave[: len(fade)] *= fade
    wave[-len(fade) :] *= fade[::-1]
    return (wave * (FULL_SCALE - 1)).astype(np.int16)


def find_chirp(heard: Samples, rate: int) -> Echo | None:
    """The loudest chirp that lies wholly in a recording; None when there is none for certain."""
    sought = chirp(rate).astype(np.float64)
    places = len(heard) - len(sought) + 1
    if places < 2:
        return None
    size = 1 << (len(heard) + len(sought)).bit_length()
    spectrum = np.fft.rfft(heard.astype(np.float64), size) * np.conj(np.fft.rfft(sought, size))
    strength = np.abs(np.fft.irfft(spectrum, size)[:places])
    frame = int(np.argmax(strength))
    peak = float(strength[frame])
    energy = float(np.dot(sought, sought))
    # Rounding to int16 alone must not count as a sound.
    if peak < 1e-4 * energy or peak < _CERTAIN * float(np.median(strength)):
        return None
    return Echo(frame, decibels(peak / energy))


class CallbackTimes:
    """The moments of a stream's callbacks, to know when any of its frames was handed over."""

    def __init__(self, rate: int, most: int = 4096) -> None:
        """`rate` is the stream's; only the first `most` callbacks count."""
        self.rate: Final = rate
        self._zero: NDArray[np.float64] = np.zeros(most)
        self.count = 0

    def note(self, now: float, frames: int) -> None:
        """A callback at `now`, before which the stream had this many frames. Allocates nothing."""
        if self.count < len(self._zero):
            self._zero[self.count] = now - frames / self.rate
            self.count += 1

    def when(self, frame: int) -> float:
        """The moment of a frame, on the clock that `note` was given; needs one callback."""
        return float(np.median(self._zero[: self.count])) + frame / self.rate
