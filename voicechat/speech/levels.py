"""Levels of sound in dBFS, and the gain of a fade."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
"""Mono PCM16: shape (frames,), dtype int16."""

SILENCE_DB = -100.0
"""Level in dBFS that stands for digital silence."""
FULL_SCALE = 32768.0


def rms(sound: Samples | NDArray[np.float32]) -> float:
    """Return the root mean square in the unit of the samples; 0.0 without samples."""
    wide = sound.astype(np.float32, copy=False)
    return math.sqrt(float(np.dot(wide, wide)) / max(1, wide.size))


def dbfs(samples: Samples) -> float:
    """Return the RMS level in dBFS: a full-scale sine is -3, silence is -100."""
    return decibels(rms(samples) / FULL_SCALE)


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


def fade_in(frames: int) -> NDArray[np.float32]:
    """Return a raised-cosine gain from 0 to 1, shape (frames,); reversed it fades out."""
    phase = (np.arange(frames, dtype=np.float32) + 0.5) / max(1, frames)
    return (0.5 - 0.5 * np.cos(np.pi * phase)).astype(np.float32)
