"""The choice of the echo canceller, and the adapter for livekit."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from voicechat.audio.capture.echo_canceller import FRAME, canceller


class Frame:
    """Holds samples like livekit's frames."""

    def __init__(self, data: bytes, sample_rate: int, num_channels: int, samples: int) -> None:
        assert (sample_rate, num_channels, len(data)) == (16_000, 1, 2 * samples)
        self.data = memoryview(bytearray(data))


class Subtracting:
    """An echo path with gain one and no delay."""

    def __init__(self, *, echo_cancellation: bool) -> None:
        assert echo_cancellation
        self._far = np.zeros(FRAME, np.int16)

    def process_reverse_stream(self, frame: Frame) -> None:
        self._far = np.frombuffer(frame.data, np.int16).copy()

    def process_stream(self, frame: Frame) -> None:
        near = np.frombuffer(frame.data, np.int16)
        frame.data[:] = (near - self._far).tobytes()


@pytest.fixture
def livekit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate an installation with livekit but without pywebrtc-audio."""
    package = ModuleType("livekit")
    package.rtc = SimpleNamespace(  # type: ignore[attr-defined]
        AudioFrame=Frame, AudioProcessingModule=Subtracting
    )
    monkeypatch.setitem(sys.modules, "livekit", package)
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)


def test_the_smaller_package_is_preferred() -> None:
    assert canceller(True).name == "AEC3"


@pytest.mark.usefixtures("livekit")
def test_livekit_gets_both_sides() -> None:
    chosen = canceller(True)
    assert chosen.name == "AEC3 of livekit"
    assert chosen.full_duplex
    near, far = np.full(FRAME, 900, np.int16), np.full(FRAME, 500, np.int16)
    assert (chosen.process(near, far) == 400).all()
    assert (near == 900).all()


def test_without_a_canceller_the_microphone_is_half_duplex(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pywebrtc_audio", "livekit"):
        monkeypatch.setitem(sys.modules, package, None)
    gate = canceller(True)
    assert not gate.full_duplex
    loud, quiet = np.full(FRAME, 900, np.int16), np.zeros(FRAME, np.int16)
    assert not gate.process(loud, loud).any()
    assert not gate.process(loud, quiet).any()
    for _ in range(40):
        heard = gate.process(loud, quiet)
    assert heard.any()


def test_cancellation_can_be_turned_off() -> None:
    loud = np.full(FRAME, 900, np.int16)
    assert canceller(False).process(loud, loud) is loud
