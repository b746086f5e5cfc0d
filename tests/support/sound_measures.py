"""Measurements on recordings of a virtual card, and voices for them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from sound_rig import Rig
from user_speech import spoken
from virtual_audio import RATE, VirtualCard

from voicechat.audio.messages import AudioSettings, Opened

MARK_HZ = 18_000
MARK_LEVEL = 3_000
LONG_TEXT = (
    "The quick brown fox jumps over the lazy dog while seven wizards judge the boxing match. "
    "Meanwhile the weather in the north stays cold and cloudy with a little rain in the evening."
)


@contextmanager
def a_card(rate: int = RATE, *, cold: bool = False) -> Iterator[VirtualCard]:
    """A virtual card that is the default of every program started from now on."""
    with VirtualCard(rate, cold=cold) as card:
        os.environ.update(card.environment)
        yield card


def start(**settings: object) -> Rig:
    """Return an audio process with open devices; close `rig.process` after use."""
    rig = Rig(AudioSettings(**settings))  # type: ignore[arg-type]
    rig.open()
    return rig


def paces(rig: Rig) -> str:
    """Return the device latencies of every opening in ms; several mean a new buffer size."""
    return " → ".join(f"{opened.output_latency_ms:.0f}" for opened in rig.of(Opened))


def loudest_click(side: np.ndarray, pitch: float = 440.0) -> float:
    """Return the residue in dBFS of a sine predicted from its last two samples."""
    wave = side.astype(np.float64)
    rest = wave[2:] - 2 * np.cos(2 * np.pi * pitch / RATE) * wave[1:-1] + wave[:-2]
    return 20 * float(np.log10(np.abs(rest[480:-480]).max() / 32768 + 1e-9))


def marked_speech() -> np.ndarray:
    """Return speech at 48 kHz, 400 ms after a marker tone above the microphone's bandwidth."""
    samples = spoken("No, wait a moment, I have a question.", "user", RATE)
    onset = int(np.flatnonzero(np.abs(samples.astype(np.int32)) > 400)[0])
    mark = MARK_LEVEL * np.sin(np.arange(960) * 2 * np.pi * MARK_HZ / RATE)
    quiet = np.zeros(int(0.4 * RATE) - 960, np.int16)
    return np.concatenate((mark.astype(np.int16), quiet, samples[onset:]))


def all_speech(sides: np.ndarray) -> list[int]:
    """Return every frame where speech begins: 400 ms after an 18 kHz marker."""
    block = 480
    clock = np.exp(-2j * np.pi * MARK_HZ / RATE * np.arange(block))
    side = sides[: len(sides) // block * block, 0].reshape(-1, block)
    marked = np.flatnonzero(np.abs(side @ clock) > MARK_LEVEL * block / 4)
    firsts = marked[np.flatnonzero(np.diff(marked, prepend=-RATE // block) > 5)]
    return [int(first) * block + int(0.4 * RATE) for first in firsts]


def first_speech(sides: np.ndarray) -> int:
    """Return the frame where the speech begins: 400 ms after the 18 kHz marker."""
    clock = np.arange(960) * 2 * np.pi * MARK_HZ / RATE
    side = sides[:, 0].astype(np.float64)
    along = np.hypot(
        np.convolve(side, np.cos(clock), "valid"), np.convolve(side, np.sin(clock), "valid")
    )
    return int(np.argmax(along)) + int(0.4 * RATE)


def lowered(side: np.ndarray, after: int, silent: int) -> int:
    """Return the frame from which on the speaker stays 12 dB below its loud parts.

    after: where it may be lowered first. silent: where it fell silent, at the latest.
    """
    window = 10 * 48
    blocks = side[: silent // window * window].reshape(-1, window).astype(np.float64)
    level = np.sqrt((blocks**2).mean(axis=1))
    first = after // window
    loud = float(np.percentile(level[max(0, first - 60) : first], 95)) / 4
    above = np.flatnonzero(level[first:] >= loud)
    return int(first + above[-1] + 1) * window if len(above) else after
