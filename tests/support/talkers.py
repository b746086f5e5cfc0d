"""Synthesized voices and simulated rooms: 16 kHz int16, reproducible."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.speech.pcm import Samples, amplitude

RATE = 16_000


def talker(seed: int, seconds: float) -> Samples:
    """Return pulses of varying pitch through formants: voiced for any detector."""
    random = np.random.default_rng(seed)
    count = int(RATE * seconds)
    pitch = np.repeat(random.uniform(90, 240, count // 3_200 + 1), 3_200)[:count]
    pulses = np.diff(np.floor(np.cumsum(pitch / RATE)), prepend=0.0)
    sound = np.zeros(count)
    for formant in random.uniform(300, 2_800, 4):
        ring = np.arange(320) / RATE
        throat = np.exp(-ring * 500) * np.sin(2 * np.pi * formant * ring)
        sound += np.convolve(pulses, throat)[:count]
    syllables = np.repeat(random.uniform(0.1, 1.0, count // 2_400 + 1), 2_400)[:count]
    return (sound * syllables * 6_000).clip(-32768, 32767).astype(np.int16)


def echo_of(far: Samples, delay_ms: float, gain_db: float) -> Samples:
    delay = int(RATE * delay_ms / 1000)
    hiss = np.random.default_rng(9).normal(0, 8, len(far))
    late = np.zeros(len(far))
    late[delay:] = far[: len(far) - delay]
    microphone = late * amplitude(gain_db) + hiss
    return microphone.clip(-32768, 32767).astype(np.int16)


def frames(sound: Samples) -> NDArray[np.int16]:
    return sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
