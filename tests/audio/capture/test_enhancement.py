"""Noise suppression and gain control: off by default, and their effect on request."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from simulated_card import RATE, Room, SimulatedCard

from voicechat.audio.capture.capture import Capture
from voicechat.audio.messages import AudioSettings, Problem
from voicechat.core.inputs import MicBlock
from voicechat.speech.pcm import Samples, dbfs


def delivered(monkeypatch: pytest.MonkeyPatch, sound: Samples, **settings: object) -> Samples:
    """Return what is delivered of a sound while the speaker is silent."""
    card = SimulatedCard(monkeypatch, Room(noise=0.0))
    card.open(**settings)
    card.say(0.5, sound)
    card.run(0.5 + len(sound) / RATE)
    return np.frombuffer(b"".join(block.pcm for block in card.of(MicBlock)), np.int16)


def hiss(seconds: float) -> Samples:
    chance = np.random.default_rng(5)
    return (chance.standard_normal(int(seconds * RATE)) * 200).astype(np.int16)


def voice(seconds: float) -> Samples:
    """Return soft pulses with the pitch and rhythm of a voice."""
    at = np.arange(int(seconds * RATE)) / RATE
    pulses = np.diff(np.floor(np.cumsum((120 + 20 * np.sin(3 * at)) / RATE)), prepend=0.0)
    throat = np.exp(-at[:400] * 300) * np.sin(2 * np.pi * 700 * at[:400])
    syllables = 0.55 + 0.45 * np.sign(np.sin(2 * np.pi * 2.5 * at))
    return (np.convolve(pulses, throat)[: len(at)] * syllables * 800).astype(np.int16)


def test_enhancement_is_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = hiss(3)
    assert dbfs(delivered(monkeypatch, sound)[-RATE:]) == pytest.approx(dbfs(sound), abs=0.5)


def test_noise_suppression_takes_noise_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = hiss(4)
    left = delivered(monkeypatch, sound, noise_suppression=True)
    assert dbfs(left[-RATE:]) < dbfs(sound) - 6


def test_gain_control_makes_a_soft_voice_louder(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = voice(8)
    raised = delivered(monkeypatch, sound, gain_control=True)
    assert dbfs(raised[-RATE:]) > dbfs(sound[-RATE:]) + 3


def test_unavailable_enhancement_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    hearing = Capture(AudioSettings(gain_control=True, echo_cancel=False), 9.0)
    assert [text for text, _ in hearing.unavailable()] == [
        "Noise suppression and gain control are not available."
    ]
    assert not list(hearing.unavailable())


def test_half_duplex_is_reported_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("pywebrtc_audio", "livekit"):
        monkeypatch.setitem(sys.modules, package, None)
    card = SimulatedCard(monkeypatch, Room())
    card.open()
    card.run(1)
    (reported,) = card.of(Problem)
    assert "muted while the assistant speaks" in reported.text
    assert "voicechat[livekit]" in reported.hint
