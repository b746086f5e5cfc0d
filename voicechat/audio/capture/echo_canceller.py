"""Acoustic echo cancellation (AEC): remove the speaker's sound from the microphone's.

Both sides are 10 ms frames at 16 kHz (160 samples). The far-end frame was handed to the device at
about the time the near-end frame arrived; the canceller finds the delay.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from voicechat.speech.pcm import Samples

FRAME: Final = 160


class Canceller(Protocol):
    """An echo canceller. `name` is shown to users; `full_duplex` allows double talk."""

    name: str
    full_duplex: bool

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the near-end frame without the far-end sound, int16 of shape (160,)."""
        ...


class WebRtcCanceller:
    """WebRTC AEC3, from the package pywebrtc-audio."""

    name = "AEC3"
    full_duplex = True

    def __init__(self) -> None:
        """Load the canceller; raises ImportError if the platform has no wheel."""
        from pywebrtc_audio import EchoCanceller

        self.process = EchoCanceller(sample_rate=16_000, num_channels=1).process


class LiveKitCanceller:
    """WebRTC AEC3, from the package livekit, for platforms without pywebrtc-audio."""

    name = "AEC3 of livekit"
    full_duplex = True

    def __init__(self) -> None:
        """Load the canceller; raises ImportError without the package."""
        from livekit import rtc

        self._frame = rtc.AudioFrame
        self._processing = rtc.AudioProcessingModule(echo_cancellation=True)

    def process(self, near: Samples, far: Samples) -> Samples:
        self._processing.process_reverse_stream(self._frame(far.tobytes(), 16_000, 1, FRAME))
        frame = self._frame(near.tobytes(), 16_000, 1, FRAME)
        self._processing.process_stream(frame)
        return np.frombuffer(frame.data, np.int16)


class HalfDuplexGate:
    """Half duplex: mute the microphone during playback and 250 ms after."""

    name = "half-duplex gate"
    full_duplex = False
    _HANGOVER = 25

    def __init__(self) -> None:
        self._muted_frames = 0

    def process(self, near: Samples, far: Samples) -> Samples:
        self._muted_frames = self._HANGOVER if far.any() else max(0, self._muted_frames - 1)
        return np.zeros_like(near) if self._muted_frames else near


class PassThrough:
    """No echo cancellation, for headphones or on request."""

    name = "off"
    full_duplex = True

    def process(self, near: Samples, far: Samples) -> Samples:
        return near


HALF_DUPLEX: Final = (
    "No echo canceller is installed: the microphone is muted while the assistant speaks.",
    "Install voicechat[livekit], or use headphones and --no-echo-cancel.",
)


def canceller(enabled: bool) -> Canceller:
    """Return the best installed canceller, or `PassThrough` if none is wanted."""
    if not enabled:
        return PassThrough()
    for best in (WebRtcCanceller, LiveKitCanceller):
        try:
            return best()
        except ImportError:
            continue
    return HalfDuplexGate()
