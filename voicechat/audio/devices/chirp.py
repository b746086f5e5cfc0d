"""Chirp measurement: delay and gain of the path from the speaker to the microphone.

A chirp correlates with itself at a single lag, so it is found 20 dB below the noise of a room. The
median over callback times places the streams in time.

Source: Farina, "Simultaneous measurement of impulse response and distortion with a swept-sine
technique", AES 108, 2000.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from voicechat.speech.pcm import FULL_SCALE, Samples, decibels, fade_in

CHIRP_S: Final = 0.3
_LEVEL: Final = 0.25
_LOW_HZ: Final = 400.0
_HIGH_HZ: Final = 5_000.0
_FADE_S: Final = 0.01
_MIN_PEAK_RATIO: Final = 15.0
"""Least ratio of peak to median; noise alone reaches 7 in a second of sound."""


class Echo(NamedTuple):
    """A detected chirp: the frame at which it starts, and its gain in dB."""

    frame: int
    gain_db: float


def chirp(rate: int) -> Samples:
    """Return a soft 300 ms sweep from 400 Hz to 5 kHz, int16 of shape (frames,)."""
    at = np.arange(int(CHIRP_S * rate)) / rate
    high = min(_HIGH_HZ, 0.4 * rate)
    wave = _LEVEL * np.sin(2 * np.pi * (_LOW_HZ * at + (high - _LOW_HZ) / (2 * CHIRP_S) * at**2))
    fade = fade_in(int(_FADE_S * rate))
    wave[: len(fade)] *= fade
    wave[-len(fade) :] *= fade[::-1]
    return (wave * (FULL_SCALE - 1)).astype(np.int16)


def find_chirp(heard: Samples, rate: int) -> Echo | None:
    """Return the loudest complete chirp in a recording, or None if there is none for certain."""
    reference = chirp(rate).astype(np.float64)
    offsets = len(heard) - len(reference) + 1
    if offsets < 2:
        return None
    size = 1 << (len(heard) + len(reference)).bit_length()
    spectrum = np.fft.rfft(heard.astype(np.float64), size) * np.conj(np.fft.rfft(reference, size))
    strength = np.abs(np.fft.irfft(spectrum, size)[:offsets])
    frame = int(np.argmax(strength))
    peak = float(strength[frame])
    energy = float(np.dot(reference, reference))
    # Reject correlation with mere rounding noise.
    if peak < 1e-4 * energy or peak < _MIN_PEAK_RATIO * float(np.median(strength)):
        return None
    return Echo(frame, decibels(peak / energy))


class CallbackTimes:
    """Callback times of a stream, to tell when any of its frames was handed over."""

    def __init__(self, rate: int, max_callbacks: int = 4096) -> None:
        """Track a stream at `rate` Hz; only the first `max_callbacks` callbacks count."""
        self.rate: Final = rate
        self._stream_starts: NDArray[np.float64] = np.zeros(max_callbacks)
        self.count = 0

    def record(self, now: float, frames: int) -> None:
        """Record a callback at `now` (s) with `frames` before it. Does not allocate."""
        if self.count < len(self._stream_starts):
            self._stream_starts[self.count] = now - frames / self.rate
            self.count += 1

    def time_of(self, frame: int) -> float:
        """Return the time of a frame on the clock of `record`; needs at least one callback."""
        return float(np.median(self._stream_starts[: self.count])) + frame / self.rate
