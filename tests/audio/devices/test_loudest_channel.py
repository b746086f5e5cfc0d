"""Microphones with several channels."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.devices.loudest_channel import LoudestChannel
from voicechat.speech.pcm import Samples

RATE = 16_000
FRAMES = 160


def block(*amplitudes: int) -> Samples:
    """Return 10 ms at 16 kHz with a tone of this amplitude on each channel."""
    wave = np.sin(2 * np.pi * 500 * np.arange(FRAMES) / 16_000)
    channels = [wave * amplitude for amplitude in amplitudes]
    return np.stack(channels, axis=1).astype(np.int16).ravel()


def test_a_single_channel_is_passed_on() -> None:
    sound = block(1_000)
    assert LoudestChannel(1, RATE).take(sound) is sound


@pytest.mark.parametrize("spoken_on", range(4))
def test_the_channel_with_the_voice_is_used_from_its_first_block(spoken_on: int) -> None:
    loudest = LoudestChannel(4, RATE)
    loudest.take(block(0, 3, 0, 2))
    voice = [20] * 4
    voice[spoken_on] = 3_000
    assert np.abs(loudest.take(block(*voice))).max() > 2_500


def test_similar_channels_do_not_alternate() -> None:
    loudest = LoudestChannel(3, RATE)
    used = set()
    for number in range(50):
        loudest.take(block(1_000, 1_500 if number % 2 else 700, 0))
        used.add(loudest.channel)
    assert used == {0}


def test_a_short_pause_does_not_change_the_channel() -> None:
    loudest = LoudestChannel(2, RATE)
    loudest.take(block(0, 4_000))
    for _ in range(20):
        loudest.take(block(300, 0))
    assert loudest.channel == 1
    for _ in range(200):
        loudest.take(block(300, 0))
    assert loudest.channel == 0, "the other one has become silent"


def test_full_scale_does_not_overflow() -> None:
    loudest = LoudestChannel(2, RATE)
    loudest.take(np.array([0, -32_768, 0, 32_767] * 10, np.int16))
    assert loudest.channel == 1
