"""PCM16 sound as arrays: levels in dBFS, fades, and streaming sample-rate conversion.

The resampler is a polyphase windowed-sinc filter: a sinc with its cut-off at 0.92 of half the lower
rate under a Kaiser window. Source: J. O. Smith, "Digital Audio Resampling", CCRMA, Stanford.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""Mono PCM16: shape (frames,), dtype int16."""

SILENCE_DB = -100.0
"""Level in dBFS reported for digital silence."""
FULL_SCALE = 32768.0

_Wave = NDArray[np.float32]

_CROSSINGS: Final = 24
"""Zero crossings on each side of the filter: the delay in samples of the lower rate."""
_CUTOFF: Final = 0.92
"""Cut-off as a share of half the lower rate; 1 kHz above it less than -70 dB remains."""
_SHAPE: Final = 7.5
_AT_ONCE: Final = 512
"""Samples per step of `_singly`, so that its arrays stay in the processor's cache."""


def rms(sound: Samples | NDArray[np.float32]) -> float:
    """Return the root mean square in the unit of the samples; 0.0 without samples."""
    wide = sound.astype(np.float32, copy=False)
    return math.sqrt(float(np.dot(wide, wide)) / max(1, wide.size))


def dbfs(samples: Samples) -> float:
    """Return the RMS level in dBFS: a full-scale sine is -3, silence is -100."""
    return decibels(rms(samples) / FULL_SCALE)


def levels_dbfs(frames: Samples) -> list[float]:
    """Return the RMS level in dBFS of each row of an array of shape (frames, samples)."""
    wide = frames.astype(np.float32)
    means = np.einsum("ij,ij->i", wide, wide) / frames.shape[1]
    return [decibels(math.sqrt(mean) / FULL_SCALE) for mean in means.tolist()]


def peaks_dbfs(frames: Samples) -> list[float]:
    """Return the level in dBFS of the largest sample of each row."""
    tops, bottoms = frames.max(axis=1).tolist(), frames.min(axis=1).tolist()
    return [
        decibels(max(top, -bottom) / FULL_SCALE) for top, bottom in zip(tops, bottoms, strict=True)
    ]


def loudest(samples: Samples, count: int) -> float:
    """Return the highest RMS level in dBFS of `count` equal parts of the samples."""
    if not count:
        return SILENCE_DB
    wide = samples.astype(np.float32).reshape(count, -1)
    most = float(np.einsum("ij,ij->i", wide, wide).max())
    return decibels(math.sqrt(most * count / samples.size) / FULL_SCALE)


def peak_dbfs(samples: Samples) -> float:
    """Return the level of the largest sample in dBFS."""
    if not samples.size:
        return SILENCE_DB
    top = max(int(samples.max()), -int(samples.min()))
    return decibels(top / FULL_SCALE)


def decibels(ratio: float) -> float:
    """Return 20 log10 of an amplitude ratio, at least -100."""
    return max(SILENCE_DB, 20 * math.log10(ratio)) if ratio > 0 else SILENCE_DB


def amplitude(db: float) -> float:
    """Return the amplitude ratio of a level in dB."""
    return float(10 ** (db / 20))


def interpolated_percentile(values: Iterable[float], percent: float) -> float:
    """Return what `np.percentile` does, which imports masked arrays: a megabyte of memory."""
    ordered = np.sort(np.fromiter(values, np.float64))
    return float(np.interp(percent / 100 * (len(ordered) - 1), np.arange(len(ordered)), ordered))


def fade_in(frames: int) -> NDArray[np.float32]:
    """Return a raised-cosine gain from 0 to 1, shape (frames,); reversed it fades out."""
    phase = (np.arange(frames, dtype=np.float32) + 0.5) / max(1, frames)
    return (0.5 - 0.5 * np.cos(np.pi * phase)).astype(np.float32)


@cache
def _phases(up: int, down: int) -> NDArray[np.float32]:
    """Return the windowed sinc for each position between two samples, shape (up, taps)."""
    wide = max(1.0, down / up)
    half = math.ceil(_CROSSINGS * wide)
    away = np.arange(1 - half, half + 1)[None, :] - np.arange(up)[:, None] / up
    taps = np.sinc(away * _CUTOFF / wide) * np.i0(
        _SHAPE * np.sqrt(np.maximum(0.0, 1 - (away / half) ** 2))
    )
    rows: NDArray[np.float32] = (taps / taps.sum(axis=1, keepdims=True)).astype(np.float32)
    return rows


@cache
def _period(up: int, down: int) -> NDArray[np.float32]:
    """Return the filter of a whole period, `down` samples in and `up` out: (samples, up)."""
    phases = _phases(up, down)
    taps = phases.shape[1]
    whole = np.zeros((taps + (up - 1) * down // up, up), np.float32)
    for place in range(up):
        first = place * down // up
        whole[first : first + taps, place] = phases[place * down % up]
    return whole


class Resampler:
    """A streaming sample-rate converter for mono int16 sound.

    It delays the sound by 1.5 ms at 16 kHz. Each call returns all sound that is ready: a converter
    with internal blocks delays a 10 ms chunk by up to 20 ms. Equal rates pass through.
    """

    def __init__(self, source: int, target: int) -> None:
        self.source, self.target = source, target
        shared = math.gcd(source, target)
        self._up, self._down = target // shared, source // shared
        self._begin()

    def _begin(self) -> None:
        taps = 0 if self.source == self.target else _phases(self._up, self._down).shape[1]
        self._rest: Samples = np.zeros(max(0, taps // 2 - 1), np.int16)
        self._next = 0
        self._owed = 0

    def convert(self, samples: Samples) -> Samples:
        """Convert the next chunk to the target rate; its length varies by one frame."""
        if self.source == self.target:
            return samples
        self._owed += len(samples) * self._up
        return self._convert(samples)

    def _convert(self, samples: Samples) -> Samples:
        phases = _phases(self._up, self._down)
        sound = np.concatenate((self._rest, samples))
        windows = len(sound) - phases.shape[1] + 1
        count = max(0, -((self._next - windows * self._up) // self._down))
        if self._next or count % self._up:
            made = self._singly(sound, phases, count)
        else:
            made = self._by_periods(sound, count)
        self._owed -= count * self._down
        self._next += count * self._down
        done = min(len(sound), self._next // self._up)
        self._next -= done * self._up
        self._rest = sound[done:]
        np.rint(made, out=made)
        np.minimum(made, 32767.0, out=made)
        np.maximum(made, -32768.0, out=made)
        whole: Samples = made.astype(np.int16)
        return whole

    def _singly(self, sound: Samples, phases: NDArray[np.float32], count: int) -> _Wave:
        """Compute `count` samples one by one, each with the filter of its own position."""
        if not count:
            return np.empty(0, np.float32)
        places = self._next + self._down * np.arange(count)
        slices = np.lib.stride_tricks.sliding_window_view(sound, phases.shape[1])
        made: _Wave = np.empty(count, np.float32)
        for begin in range(0, count, _AT_ONCE):
            firsts, rows = np.divmod(places[begin : begin + _AT_ONCE], self._up)
            part = slices[firsts].astype(np.float32)
            np.einsum("ij,ij->i", part, phases[rows], out=made[begin : begin + _AT_ONCE])
        return made

    def _by_periods(self, sound: Samples, count: int) -> _Wave:
        """Compute whole periods as one matrix product, several times as fast."""
        period = _period(self._up, self._down)
        wide = sound.astype(np.float32)
        shape = count // self._up, len(period)
        slices: _Wave = np.ndarray(shape, np.float32, wide, 0, (4 * self._down, 4))
        made: _Wave = slices @ period
        return made.reshape(-1)

    def finish(self) -> Samples:
        """Return the delayed rest of the sound; the next `convert` starts a new stream."""
        rest: Samples = np.empty(0, np.int16)
        if self.source != self.target:
            owed = max(0, -(-self._owed // self._down))
            rest = self._convert(np.zeros(_phases(self._up, self._down).shape[1], np.int16))[:owed]
            self._begin()
        return rest
