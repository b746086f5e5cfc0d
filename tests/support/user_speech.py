"""Speech for tests: the built-in voice as the assistant, and shifted in pitch as the user.

The same call returns the same samples in every run.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from hibari import SAMPLE_RATE, Hibari  # type: ignore[import-untyped,unused-ignore]
from numpy.typing import NDArray
from virtual_audio import RATE

from voicechat.speech.pcm import Resampler, Samples

LISTENING = "● listening"

LEAD = 0.25
"""Seconds of silence before and after the speech."""

VOICES = {"assistant": (24_000, 1.0), "user": (20_000, 1.1), "guest": (26_400, 0.95)}
"""Name of the voice -> playback rate of its samples in Hz, and speed.

A playback rate other than the rate of synthesis shifts pitch and formants.
"""
LEVEL = 2_500.0
"""RMS of every sentence, in PCM16 steps."""
_SILENT = 0.004
"""Amplitude below which the edges of a sentence are silence; full scale is 1."""


@cache
def _synthesizer() -> Hibari:
    return Hibari()


@cache
def spoken(text: str, voice: str = "assistant", rate: int = SAMPLE_RATE) -> Samples:
    """Return a text spoken by one of VOICES, without silence around it. The array is read-only."""
    playback_rate, speed = VOICES[voice]
    sound: NDArray[np.float32] = _synthesizer()(text, speed=speed, seed=1)
    loud = np.flatnonzero(np.abs(sound) > _SILENT)
    sound = sound[loud[0] : loud[-1] + 1]
    pcm = (sound * (LEVEL / np.std(sound))).clip(-32768, 32767).astype(np.int16)
    if playback_rate != rate:
        resampler = Resampler(playback_rate, rate)
        pcm = np.concatenate((resampler.convert(pcm), resampler.finish()))
    pcm.setflags(write=False)
    return pcm


def user_speech(words: str) -> Samples:
    """Return the words of a user in a quiet room, at 48 kHz."""
    voice = spoken(words, "user", RATE)
    sound = np.pad(voice * 0.7, int(LEAD * RATE))
    hiss = np.random.default_rng(1).normal(size=len(sound)) * np.std(voice) / 30
    noisy: Samples = (sound + hiss).clip(-32768, 32767).astype(np.int16)
    return noisy
