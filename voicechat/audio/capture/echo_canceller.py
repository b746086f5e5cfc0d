"""Taking the speaker's sound out of the microphone's.

Both sides come as 10 ms frames at 16 kHz (160 samples). The speaker's frame is what was handed
to the device at about the time the microphone's frame arrived; the canceller finds the delay.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from voicechat.speech.levels import Samples

FRAME: Final = 160


class Canceller(Protocol):
    """Removes echo. `name` is for the person; `full_duplex`: both may speak at once."""

    name: str
    full_duplex: bool

    def process(self, near: Samples, far: Samples) -> Samples:
        """The microphone's frame without the speaker's sound."""
        ...


class WebRtcCanceller:
    """AEC3 of the WebRTC project, by pywebrtc-audio."""

    name = "AEC3"
    full_duplex = True

    def __init__(self) -> None:
        """Raises ImportError where there is no wheel for this platform."""
        from pywebrtc_audio import EchoCanceller

        self._canceller = EchoCanceller(sample_rate=16_000, num_channels=1)

    def process(self, near: Samples, far: Samples) -> Samples:
        cleaned: Samples = self._canceller.process(near, far)
        return cleaned


class LiveKitCanceller:
    """AEC3 again, in the package livekit: for platforms without the smaller one."""

    name = "AEC3 of livekit"
    full_duplex = True

    def __init__(self) -> None:
        """Raises ImportError without the package."""
        from livekit import rtc

        self._frame = rtc.AudioFrame
        self._processing = rtc.AudioProcessingModule(echo_cancellation=True)

    def process(self, near: Samples, far: Samples) -> Samples:
        self._processing.process_reverse_stream(self._frame(far.tobytes(), 16_000, 1, FRAME))
        frame = self._frame(near.tobytes(), 16_000, 1, FRAME)
        self._processing.process_stream(frame)
        return np.frombuffer(frame.data, np.int16)


class HalfDuplexGate:
    """Half duplex: while the speaker sounds, and shortly after, the microphone is silence."""

    name = "half-duplex gate"
    full_duplex = False
    _HANGOVER = 25

    def __init__(self) -> None:
        self._shut = 0

    def process(self, near: Samples, far: Samples) -> Samples:
        self._shut = self._HANGOVER if far.any() else max(0, self._shut - 1)
        return np.zeros_like(near) if self._shut else near


class PassThrough:
    """No cancelling: headphones, or the person said so."""

    name = "off"
    full_duplex = True

    def process(self, near: Samples, far: Samples) -> Samples:
        return near


HALF_DUPLEX: Final = (
    "Without an echo canceller the microphone is deaf while the assistant speaks.",
    "Install voicechat[livekit], or use headphones and --no-echo-cancel.",
)


def canceller(wanted: bool) -> Canceller:
    """The best canceller this installation has."""
    if not wanted:
        return PassThrough()
    for best in (WebRtcCanceller, LiveKitCanceller):
        try:
            return best()
        except ImportError:
            continue
    return HalfDuplexGate()
