"""What is heard where sound is missing: the last pitch period, again and again, fading away.

After ITU-T G.711 Appendix I: the period is the lag between 5 and 15 ms at which the last 20 ms
resemble the past most; it is repeated at full loudness for 10 ms and gone after 60 ms.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.speech.levels import rising

Wave = NDArray[np.float32]

_COARSE_HZ: Final = 4_000
_TEMPLATE_S: Final = 0.020
_SHORTEST_S, _LONGEST_S = 0.005, 0.015
_FULL_S: Final = 0.010
_LENGTH_S: Final = 0.060
_LEAN_S: Final = 0.0005
_LEAST_LEAN: Final = 8


class Concealment:
    """A tail of 60 ms, made when sound runs out and then taken piece by piece. Callback side."""

    def __init__(self, rate: int) -> None:
        self._step: Final = max(1, rate // _COARSE_HZ)
        self._template: Final = int(_TEMPLATE_S * rate) // self._step * self._step
        self._shortest: Final = int(_SHORTEST_S * rate)
        self._longest: Final = int(_LONGEST_S * rate)
        self.memory: Final = self._template + self._longest * 5 // 4 + 4 * self._step
        """Frames of the past that `begin` wants."""
        length = int(_LENGTH_S * rate)
        after = np.maximum(0, np.arange(length, dtype=np.float32) - int(_FULL_S * rate))
        self._envelope: Final[Wave] = (1 - after / max(1.0, float(after[-1]))).astype(np.float32)
        ahead = np.arange(1, max(_LEAST_LEAN, int(_LEAN_S * rate)), dtype=np.float32)
        self._lean: Final[Wave] = (ahead * (1 - ahead / (len(ahead) + 1)) ** 2).astype(np.float32)
        """Goes off as a straight line would, and comes back to nothing."""
        self._tail: Wave = np.zeros(length, np.float32)
        self._at = self._end = 0

    @property
    def over(self) -> bool:
        """Whether the tail has faded away or was never begun."""
        return self._at >= self._end

    def begin(self, past: Wave) -> None:
        """The sound stops after `past`, `memory` frames of it (zeros before its beginning)."""
        period = self._period(past)
        blend = period // 4
        rise = rising(blend)
        loop = past[-period:].copy()
        lead = past[-period - blend : -period]
        loop[-blend:] += (lead - loop[-blend:]) * rise
        self._tail[:] = np.resize(loop, len(self._tail))
        loudness = self._loudness(past, period)
        np.multiply(self._tail, self._envelope * loudness, out=self._tail)
        # The joint: the loop begins where the sound ended and as steeply, and is let go.
        off = past[-2:] - loudness * past[-period - 2 : -period]
        self._tail[:blend] += off[1] * rise[::-1]
        self._tail[: len(self._lean)] += (off[1] - off[0]) * self._lean
        self._at, self._end = 0, len(self._tail)

    def take(self, frames: int) -> Wave:
        """The next piece, shorter or empty at the end; valid until `begin`."""
        piece = self._tail[self._at : min(self._end, self._at + frames)]
        self._at += len(piece)
        return piece

    def release(self, fall: Wave) -> None:
        """End within `fall`, a gain from 1 to 0, before it is released again."""
        self._end = min(self._end, self._at + len(fall))
        self._tail[self._at : self._end] *= fall[: self._end - self._at]

    def end(self) -> None:
        """Be over at once."""
        self._at = self._end

    def _loudness(self, past: Wave, period: int) -> np.float32:
        """The newest of the past against one period before it: what faded away stays away."""
        span = self._shortest
        newest, before = past[-span:], past[-period - span : -period]
        ratio = np.dot(newest, newest) / (np.dot(before, before) + 1)
        return np.float32(min(1.0, ratio**0.5))

    def _period(self, past: Wave) -> int:
        """Roughly at 4 kHz, then exactly around there."""
        step = self._step
        whole = len(past) // step * step
        coarse = past[-whole:].reshape(-1, step).mean(axis=1)
        rough = step * _best_lag(
            coarse, self._template // step, self._shortest // step, self._longest // step
        )
        least = max(self._shortest, rough - step)
        return _best_lag(past, self._template, least, min(self._longest, rough + step))


def _best_lag(wave: Wave, size: int, least: int, most: int) -> int:
    """The lag at which the last `size` samples resemble earlier ones most."""
    template = wave[-size:]
    region = wave[-size - most : len(wave) - least]
    likeness = np.correlate(region, template, "valid")
    energy = np.correlate(region * region, np.ones(size, np.float32), "valid")
    return most - int(np.argmax(likeness / np.sqrt(energy + 1.0)))
