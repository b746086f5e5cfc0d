"""Audio formats of the OpenAI Realtime protocol, with conversion from and to samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from voicechat.speech import g711
from voicechat.speech.pcm import Samples

_LAWS: dict[str, g711.Law] = {"audio/pcmu": "pcmu", "audio/pcma": "pcma"}


@dataclass(frozen=True, slots=True)
class Format:
    """A wire format: `audio/pcm` (PCM16, 24 kHz), `audio/pcmu` or `audio/pcma` (G.711, 8 kHz)."""

    kind: str = "audio/pcm"

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return 24_000 if self.kind == "audio/pcm" else 8_000

    @property
    def width(self) -> int:
        """Bytes per sample."""
        return 2 if self.kind == "audio/pcm" else 1

    def ms(self, size: int) -> float:
        """Return the duration of `size` bytes in ms."""
        return size * 1000 / (self.rate * self.width)

    def size(self, ms: float) -> int:
        """Return the size in bytes of the whole samples in `ms` milliseconds."""
        return int(ms * self.rate / 1000) * self.width

    def decode(self, sound: bytes) -> Samples:
        """Convert bytes in this format to int16 samples; drops half a sample at the end."""
        if self.kind == "audio/pcm":
            return np.frombuffer(sound, dtype="<i2", count=len(sound) // 2).astype(np.int16)
        return np.frombuffer(g711.to_pcm16(sound, _LAWS[self.kind]), "<i2").astype(np.int16)

    def encode(self, samples: Samples) -> bytes:
        """Convert int16 samples to bytes in this format."""
        pcm = samples.astype("<i2").tobytes()
        return pcm if self.kind == "audio/pcm" else g711.from_pcm16(pcm, _LAWS[self.kind])

    def wire(self) -> dict[str, object]:
        """Return the `format` object of a session."""
        return {"type": self.kind, "rate": 24_000} if self.width == 2 else {"type": self.kind}
