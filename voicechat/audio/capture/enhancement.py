"""Speech enhancement on request: noise suppression and automatic gain control.

Both are off by default: recognizers are trained on noisy speech and do worse on the artifacts of a
suppressor. Echo is canceled before, and barge-in uses the unprocessed signal.
"""

from __future__ import annotations

from collections.abc import Callable

from voicechat.audio.messages import AudioSettings
from voicechat.speech.pcm import Samples

Enhancer = Callable[[Samples], Samples]
"""Processes 10 ms at 16 kHz, int16 of shape (160,)."""

UNAVAILABLE = (
    "Noise suppression and gain control are not available.",
    "Install the package pywebrtc-audio.",
)


def enhancers(settings: AudioSettings) -> list[Enhancer]:
    """Return the requested enhancers in order; raises ImportError if none are installed.

    Source: pywebrtc-audio, WebRTC's noise suppressor (12 dB) and digital gain controller.
    """
    if not settings.noise_suppression and not settings.gain_control:
        return []
    from pywebrtc_audio import GainController, NoiseSuppressor

    made: list[Enhancer] = []
    if settings.noise_suppression:
        made.append(NoiseSuppressor(sample_rate=16_000, num_channels=1, level=1).process)
    if settings.gain_control:
        made.append(GainController(sample_rate=16_000, num_channels=1).process)
    return made
