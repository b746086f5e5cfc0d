"""What may be done to the person's voice on its way out: less noise, an even loudness.

Both are off unless asked for: recognisers are trained on noise and do worse on what a suppressor
leaves of a voice. The echo is gone before, and barge-in listens to the unpolished sound.
"""

from __future__ import annotations

from collections.abc import Callable

from voicechat.audio.messages import AudioSettings
from voicechat.speech.levels import Samples

Enhancer = Callable[[Samples], Samples]
"""From 10 ms at 16 kHz to the same, better sounding."""

UNAVAILABLE = (
    "There is no noise suppression and no gain control on this computer.",
    "They need the package pywebrtc-audio.",
)


def enhancers(settings: AudioSettings) -> list[Enhancer]:
    """What was asked for, in order. Raises ImportError where there is no wheel for it.

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
