"""Smart Turn v3: the probability that a speaker who pauses has finished, from the sound alone.

The model is a Whisper tiny encoder with a classifier. It reads the log-mel spectrogram of the last
8 s. Source: github.com/pipecat-ai/smart-turn; features: Radford et al., "Robust Speech Recognition
via Large-Scale Weak Supervision", 2022, as in Whisper's feature extractor.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voicechat.speech.onnx_model import load_onnx

_RATE = 16_000
_SAMPLES = 8 * _RATE
_FRAME, _HOP = 400, 160
_BANDS = 80


class SmartTurn:
    """The end-of-turn model; about 0.1 s of CPU time for each answer.

    model: `smart-turn-v3.2-cpu.onnx`.
    Raises `ImportError` without ONNX Runtime, `RuntimeError` when the file cannot be used.
    """

    def __init__(self, model: Path) -> None:
        self._session = load_onnx(model, ["input_features"])

    def probability(self, pcm: bytes) -> float:
        """Return the probability, 0 to 1, that the turn ends with this sound.

        pcm: PCM16 mono at 16 kHz of the turn so far, with the pause; the last 8 s count.
        """
        sound = np.frombuffer(pcm[-2 * _SAMPLES :], "<i2") / np.float32(32768)
        features = log_mel(np.pad(sound, (_SAMPLES - len(sound), 0)))
        (found,) = self._session.run(None, {"input_features": features[None]})
        return float(found.reshape(-1)[0])


def log_mel(sound: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the log-mel spectrogram of sound at 16 kHz as Whisper computes it.

    The sound is first scaled to mean 0 and variance 1. Returns (80, samples / 160) values.
    """
    sound = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
    padded = np.pad(sound, _FRAME // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[:-1:_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME + 1)[:-1])) ** 2
    log = np.log10(np.maximum(power @ _mel_filters(), 1e-10)).T
    return np.asarray((np.maximum(log, log.max() - 8.0) + 4.0) / 4.0, np.float32)


@cache
def _mel_filters() -> npt.NDArray[np.float64]:
    """Return the triangular filters of Slaney's mel scale: (frequency bins, bands)."""
    # The scale is linear up to 1 kHz, which is mel 15, and logarithmic above it.
    mels = np.linspace(0.0, 15.0 + 27.0 * np.log(8.0) / np.log(6.4), _BANDS + 2)
    hertz = np.where(
        mels < 15.0, mels * 200.0 / 3.0, 1_000.0 * np.exp((mels - 15.0) * np.log(6.4) / 27.0)
    )
    bins = np.linspace(0.0, _RATE / 2, _FRAME // 2 + 1)[:, None]
    low, center, high = hertz[:-2], hertz[1:-1], hertz[2:]
    rising, falling = (bins - low) / (center - low), (high - bins) / (high - center)
    return np.asarray(np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low))
