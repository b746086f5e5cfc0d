"""Taking the speaker's sound out of the microphone's.

Both sides come as 10 ms frames at 16 kHz (160 samples). The speaker's frame is what was handed
to the device at about the time the microphone's frame arrived; the canceller finds the delay.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from voicechat.speech.levels import FULL_SCALE, Samples, decibels

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


class Gate:
    """Half duplex: while the speaker sounds, and shortly after, the microphone is silence."""

    name = "half-duplex gate"
    full_duplex = False
    _HANGOVER = 25

    def __init__(self) -> None:
        self._shut = 0

    def process(self, near: Samples, far: Samples) -> Samples:
        self._shut = self._HANGOVER if far.any() else max(0, self._shut - 1)
        return np.zeros_like(near) if self._shut else near


class Through:
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
        return Through()
    for best in (WebRtcCanceller, LiveKitCanceller):
        try:
            return best()
        except ImportError:
            continue
    return Gate()


class Convergence:
    """Learns whether the canceller works, from how much of the speaker's sound it takes away.

    Once shown it stays shown until the streams are reopened: the person's own voice lowers the
    measured reduction and must not make the ear more careful.
    """

    _LOUD = 0.003
    _QUIET = 0.0016
    _ENOUGH_DB = 10.0
    _FRAMES = 40

    def __init__(self) -> None:
        self.reached = False
        self._frames = 0
        self._before = 0.0
        self._after = 0.0

    def observe(self, near: Samples, far: Samples, cleaned: Samples) -> None:
        """Weigh one 10 ms frame."""
        if self.reached or _rms(far) < self._LOUD:
            return
        self._frames += 1
        keep = 0.95
        self._before = keep * self._before + (1 - keep) * _rms(near)
        self._after = keep * self._after + (1 - keep) * _rms(cleaned)
        reduced = decibels(self._before / self._after) if self._after else 100.0
        no_echo = self._before < self._QUIET
        self.reached = self._frames >= self._FRAMES and (no_echo or reduced >= self._ENOUGH_DB)


def _rms(frame: Samples) -> float:
    wide = frame.astype(np.float32)
    return float(np.sqrt(np.dot(wide, wide) / max(1, len(wide)))) / FULL_SCALE
