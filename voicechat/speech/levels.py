"""Arithmetic on sound: levels, fades, rates and the telephone codes.

All samples are int16 numpy arrays of shape (frames,), mono.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

SILENCE_DB = -100.0
FULL_SCALE = 32768.0


def dbfs(samples: Samples) -> float:
    """RMS loudness in dBFS; a full-scale sine is -3, silence is -100."""
    if not samples.size:
        return SILENCE_DB
    wide = samples.astype(np.float32)
    return decibels(math.sqrt(float(np.dot(wide, wide)) / samples.size) / FULL_SCALE)


def loudest(samples: Samples, count: int) -> float:
    """The RMS loudness in dBFS of the loudest of `count` equal parts of the samples."""
    if not count:
        return SILENCE_DB
    wide = samples.astype(np.float32).reshape(count, -1)
    most = float(np.einsum("ij,ij->i", wide, wide).max())
    return decibels(math.sqrt(most * count / samples.size) / FULL_SCALE)


def peak_dbfs(samples: Samples) -> float:
    """The largest sample in dBFS."""
    if not samples.size:
        return SILENCE_DB
    top = max(int(samples.max()), -int(samples.min()))
    return decibels(top / FULL_SCALE)


def decibels(ratio: float) -> float:
    """20 log10 of an amplitude ratio, never below -100."""
    return max(SILENCE_DB, 20 * math.log10(ratio)) if ratio > 0 else SILENCE_DB


def amplitude(db: float) -> float:
    """The amplitude ratio of a level in dB."""
    return float(10 ** (db / 20))


def rising(frames: int) -> NDArray[np.float32]:
    """A raised-cosine gain from 0 to 1; reversed it is the fade-out."""
    phase = (np.arange(frames, dtype=np.float32) + 0.5) / max(1, frames)
    return (0.5 - 0.5 * np.cos(np.pi * phase)).astype(np.float32)


_Wave = NDArray[np.float32]

_CROSSINGS: Final = 24
"""Zero crossings on each side of the filter; so many samples of the lower rate are held back."""
_CUTOFF: Final = 0.92
"""Of half the lower rate; a kHz above it less than -70 dB is left."""
_SHAPE: Final = 7.5
_AT_ONCE: Final = 512
"""Of single samples: what they take is in memory once and near."""


@cache
def _phases(up: int, down: int) -> NDArray[np.float32]:
    """The windowed sinc between two samples, one row for each place there: (up, taps)."""
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
    """The filter for a whole period, `down` samples that give `up`: (samples, up)."""
    phases = _phases(up, down)
    taps = phases.shape[1]
    whole = np.zeros((taps + (up - 1) * down // up, up), np.float32)
    for place in range(up):
        first = place * down // up
        whole[first : first + taps, place] = phases[place * down % up]
    return whole


class Resampler:
    """A streaming rate converter that holds back 1.5 ms of a 16 kHz stream and no more.

    Each piece gives its own sound at once: a converter that gathers blocks of its own makes the
    sound of a 10 ms piece come up to 20 ms late. Equal rates pass through untouched. `finish`
    gives what is still held back and starts anew.
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
        """The next piece at the target rate; its length varies by a frame."""
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
        """So many samples, each with the row of its own place."""
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
        """The same for whole periods, several times as fast: one product for all."""
        period = _period(self._up, self._down)
        wide = sound.astype(np.float32)
        shape = count // self._up, len(period)
        slices: _Wave = np.ndarray(shape, np.float32, wide, 0, (4 * self._down, 4))
        made: _Wave = slices @ period
        return made.reshape(-1)

    def finish(self) -> Samples:
        """The rest of the sound; the next `convert` begins a new one."""
        rest: Samples = np.empty(0, np.int16)
        if self.source != self.target:
            owed = max(0, -(-self._owed // self._down))
            rest = self._convert(np.zeros(_phases(self._up, self._down).shape[1], np.int16))[:owed]
            self._begin()
        return rest


# --------------------------------------------------------------------------- G.711

Law = Literal["pcmu", "pcma"]


def _mulaw_values() -> Samples:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = ((code >> 4) & 7).astype(np.int32)
    magnitude = ((((code & 15).astype(np.int32) << 3) + 132) << exponent) - 132
    return np.where(code & 128, -magnitude, magnitude).astype(np.int16)


def _alaw_values() -> Samples:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = ((code >> 4) & 7).astype(np.int32)
    mantissa = (code & 15).astype(np.int32)
    first = (mantissa << 4) + 8
    magnitude = np.where(exponent == 0, first, (first + 256) << np.maximum(exponent - 1, 0))
    return np.where(code & 128, magnitude, -magnitude).astype(np.int16)


def _nearest_codes(values: Samples) -> NDArray[np.uint8]:
    """For each of the 65536 samples (as uint16) the code whose value lies nearest."""
    order = np.argsort(values, kind="stable").astype(np.uint8)
    heights = values[order].astype(np.int32)
    middles = (heights[1:] + heights[:-1] + 1) // 2
    samples = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    return order[np.searchsorted(middles, samples, side="right")]


_VALUES = {"pcmu": _mulaw_values(), "pcma": _alaw_values()}
_CODES: dict[str, NDArray[np.uint8]] = {}


def g711_decode(law: Law, codes: bytes) -> Samples:
    """Samples of G.711 bytes (ITU-T G.711; 8 kHz by custom)."""
    return _VALUES[law][np.frombuffer(codes, np.uint8)]


def g711_encode(law: Law, samples: Samples) -> bytes:
    """G.711 bytes of samples, each the nearest code."""
    if law not in _CODES:
        _CODES[law] = _nearest_codes(_VALUES[law])
    return _CODES[law][samples.view(np.uint16)].tobytes()
