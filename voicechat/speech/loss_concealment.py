"""Packet loss concealment: repeat the last pitch period with a fading gain.

Source: ITU-T G.711 Appendix I. The pitch period is the lag between 5 and 15 ms at which the last 20
ms correlate best with the past. It is repeated at full level for 10 ms and fades out by 60 ms.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.speech.pcm import fade_in

Wave = NDArray[np.float32]

_COARSE_HZ: Final = 4_000
_TEMPLATE_S: Final = 0.020
_SHORTEST_S, _LONGEST_S = 0.005, 0.015
_FULL_S: Final = 0.010
_LENGTH_S: Final = 0.060
_SLOPE_S: Final = 0.0005
_MIN_SLOPE: Final = 8


class LossConcealment:
    """A synthesized tail of up to 60 ms after the sound breaks off. Fit for sound callbacks."""

    def __init__(self, rate: int) -> None:
        self._step: Final = max(1, rate // _COARSE_HZ)
        self._template: Final = int(_TEMPLATE_S * rate) // self._step * self._step
        self._shortest: Final = int(_SHORTEST_S * rate)
        self._longest: Final = int(_LONGEST_S * rate)
        self.memory: Final = self._template + self._longest * 5 // 4 + 4 * self._step
        """Frames of past sound that `begin` needs."""
        length = int(_LENGTH_S * rate)
        after = np.maximum(0, np.arange(length, dtype=np.float32) - int(_FULL_S * rate))
        self._envelope: Final[Wave] = (1 - after / max(1.0, float(after[-1]))).astype(np.float32)
        ahead = np.arange(1, max(_MIN_SLOPE, int(_SLOPE_S * rate)), dtype=np.float32)
        self._slope_ramp: Final[Wave] = (ahead * (1 - ahead / (len(ahead) + 1)) ** 2).astype(
            np.float32
        )
        """A ramp that starts with slope 1 and returns to 0: removes the kink at the joint."""
        self._tail: Wave = np.zeros(length, np.float32)
        self._at = self._end = 0
        self.finished = True
        """True when no tail is left to play."""

    def begin(self, past: Wave) -> None:
        """Synthesize the tail after `past`, float32 of shape (`memory`,), zero-padded in front."""
        period = self._period(past)
        blend = period // 4
        rise = fade_in(blend)
        loop = past[-period:].copy()
        preceding = past[-period - blend : -period]
        loop[-blend:] += (preceding - loop[-blend:]) * rise
        self._tail[:] = np.resize(loop, len(self._tail))
        loudness = self._loudness(past, period)
        np.multiply(self._tail, self._envelope * loudness, out=self._tail)
        # Match the value and slope of the sound at the joint, then let the correction decay.
        mismatch = past[-2:] - loudness * past[-period - 2 : -period]
        self._tail[:blend] += mismatch[1] * rise[::-1]
        self._tail[: len(self._slope_ramp)] += (mismatch[1] - mismatch[0]) * self._slope_ramp
        self._at, self._end = 0, len(self._tail)
        self.finished = False

    def take(self, frames: int) -> Wave:
        """Return up to `frames` of the tail, empty at its end; valid until the next `begin`."""
        piece = self._tail[self._at : min(self._end, self._at + frames)]
        self._at += len(piece)
        self.finished = self._at >= self._end
        return piece

    def release(self, fall: Wave) -> None:
        """Fade out with `fall`, a gain from 1 to 0. Call once per tail."""
        self._end = min(self._end, self._at + len(fall))
        self._tail[self._at : self._end] *= fall[: self._end - self._at]

    def end(self) -> None:
        """Drop the rest of the tail."""
        self._at = self._end
        self.finished = True

    def _loudness(self, past: Wave, period: int) -> np.float32:
        """Return the level of the newest sound relative to one period before, at most 1."""
        span = self._shortest
        newest, before = past[-span:], past[-period - span : -period]
        ratio = np.dot(newest, newest) / (np.dot(before, before) + 1)
        return np.float32(min(1.0, ratio**0.5))

    def _period(self, past: Wave) -> int:
        """Return the pitch period in frames: a coarse search at 4 kHz, then a fine one."""
        step = self._step
        usable = len(past) // step * step
        coarse = past[-usable:].reshape(-1, step).mean(axis=1)
        coarse_lag = step * _best_lag(
            coarse, self._template // step, self._shortest // step, self._longest // step
        )
        min_lag = max(self._shortest, coarse_lag - step)
        return _best_lag(past, self._template, min_lag, min(self._longest, coarse_lag + step))


def _best_lag(wave: Wave, size: int, min_lag: int, max_lag: int) -> int:
    """Return the lag at which the last `size` samples correlate best with the past."""
    template = wave[-size:]
    region = wave[-size - max_lag : len(wave) - min_lag]
    correlation = np.correlate(region, template, "valid")
    energy = np.correlate(region * region, np.ones(size, np.float32), "valid")
    return max_lag - int(np.argmax(correlation / np.sqrt(energy + 1.0)))
