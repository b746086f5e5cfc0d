"""The worker's side of voice detection: how likely each window of a recording is speech.

The worker has ONNX Runtime for the recognizer; a detector in another process loads it again.
"""

from __future__ import annotations

from copy import copy
from pathlib import Path

from voicechat.server.engine_worker_main import Job
from voicechat.speech.silero_onnx import SileroOnnxDetector


class SpeechScores:
    """Detects speech in any number of recordings. model: file of Silero VAD."""

    def __init__(self, model: str) -> None:
        self._detector = SileroOnnxDetector(Path(model))
        self._open: dict[int, SileroOnnxDetector] = {}

    def scores(self, job: Job, number: int, pcm: bytes) -> list[float]:
        """Return the speech probability, 0 to 1, of each window.

        number: identifies the recording; an unknown number opens one. pcm: whole windows of PCM16
        mono at 16 kHz, the next ones of the recording.
        """
        if number not in self._open:
            self._open[number] = copy(self._detector)  # the same model
            self._open[number].reset()
        detector = self._open[number]
        size = 2 * detector.window
        return [detector.probability(pcm[at : at + size]) for at in range(0, len(pcm), size)]
