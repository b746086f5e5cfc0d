"""The worker's side of voice detection: how likely each window of a recording is speech.

The detector runs on numpy, which the worker has for the recognizer.
"""

from __future__ import annotations

from pathlib import Path

from voicechat.server.engine_worker_main import Job
from voicechat.speech.silero_arrays import SileroArrays


class SpeechScores:
    """Detects speech in any number of recordings. model: file of Silero VAD."""

    def __init__(self, model: str) -> None:
        self._detector = SileroArrays(Path(model))
        self._open: dict[int, SileroArrays] = {}

    def scores(self, job: Job, number: int, pcm: bytes) -> list[float]:
        """Return the speech probability, 0 to 1, of each window.

        number: identifies the recording; an unknown number opens one. pcm: whole windows of PCM16
        mono at 16 kHz, the next ones of the recording.
        """
        if number not in self._open:
            self._open[number] = self._detector.stream()
        return self._open[number].probabilities(pcm)
