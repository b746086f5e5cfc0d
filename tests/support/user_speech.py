"""Speech of a user for a virtual microphone."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray
from virtual_audio import RATE

LISTENING = "● listening"


LEAD = 0.25
"""Seconds of silence before and after the speech."""


def user_speech(folder: Path, words: str) -> NDArray[np.int16]:
    """Return the words spoken in a quiet room, at 48 kHz."""
    path = folder / "user.wav"
    subprocess.run(
        ["espeak-ng", "-v", "en-us+klatt3", "-s", "160", "-w", str(path), words], check=True
    )
    with wave.open(str(path)) as file:
        raw = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        spoken = soxr.resample(raw.astype(np.float32), file.getframerate(), RATE)
    hiss = np.random.default_rng(1).normal(size=len(spoken) + 2 * int(LEAD * RATE))
    sound = np.pad(spoken * 0.7, int(LEAD * RATE)) + hiss * np.std(spoken) / 30
    spoken_pcm: NDArray[np.int16] = np.clip(sound, -32768, 32767).astype(np.int16)
    return spoken_pcm
