"""Sound formats of the wire, and resampling between them and the engines' rates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of the wire: `audio/pcm` (16 bits, 24 kHz), `audio/pcmu`, `audio/pcma` (8 kHz)."""

    kind: str = "audio/pcm"

    @property
    def rate(self) -> int:
        """Samples in a second."""
        return 24_000 if self.kind == "audio/pcm" else 8_000

    @property
    def width(self) -> int:
        """Bytes of a sample."""
        return 2 if self.kind == "audio/pcm" else 1

    def ms(self, size: int) -> float:
        """Milliseconds that `size` bytes last."""
        return size * 1000 / (self.rate * self.width)

    def size(self, ms: float) -> int:
        """Bytes of the whole samples in `ms` milliseconds."""
        return int(ms * self.rate / 1000) * self.width

    def decode(self, sound: bytes) -> Samples:
        """Bytes of the wire as samples; a half sample at the end is left out."""
        if self.kind == "audio/pcm":
            return np.frombuffer(sound, dtype="<i2", count=len(sound) // 2).astype(np.int16)
        return _LEVELS[self.kind][np.frombuffer(sound, dtype=np.uint8)]

    def encode(self, samples: Samples) -> bytes:
        """Samples as bytes of the wire."""
        if self.kind == "audio/pcm":
            return samples.astype("<i2").tobytes()
        edges, codes = _STEPS[self.kind]
        return codes[np.searchsorted(edges, samples)].tobytes()

    def wire(self) -> dict[str, object]:
        """The format as sessions show it."""
        return {"type": self.kind, "rate": 24_000} if self.width == 2 else {"type": self.kind}


def _mu_law() -> Samples:
    """The 256 levels of ITU-T G.711 mu-law at 16 bits."""
    code = ~np.arange(256) & 0xFF
    size = ((((code & 15) << 3) + 0x84) << ((code >> 4) & 7)) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _a_law() -> Samples:
    """The 256 levels of ITU-T G.711 A-law at 16 bits."""
    code = np.arange(256) ^ 0x55
    segment, step = (code >> 4) & 7, (code & 15) << 4
    size = np.where(segment == 0, step + 8, (step + 0x108) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _steps(levels: Samples) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """The edges between neighbouring levels, and the code of each level in rising order."""
    codes = np.argsort(levels, kind="stable").astype(np.uint8)
    rising = levels[codes].astype(np.float64)
    return (rising[1:] + rising[:-1]) / 2, codes


_LEVELS = {"audio/pcmu": _mu_law(), "audio/pcma": _a_law()}
_STEPS = {kind: _steps(levels) for kind, levels in _LEVELS.items()}


class Resampler:
    """Turns a stream of samples of one rate into another; equal rates pass through."""

    def __init__(self, source: int, target: int) -> None:
        same = source == target
        self._stream = None if same else soxr.ResampleStream(source, target, 1, dtype="int16")

    def feed(self, samples: Samples, last: bool = False) -> Samples:
        """The samples that are ready; with `last` also those still held back."""
        if self._stream is None:
            return samples
        ready: Samples = self._stream.resample_chunk(samples, last=last)
        return ready
