"""`voicechat speak` with the embedded voice: heard from a virtual speaker, and transcribed back."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from on_terminal import ended, private_environment
from virtual_audio import VirtualCard

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

LONG = "This is the first sentence of a long text. " * 40


def run(folder: Path, *words: str, given: bytes = b"") -> bytes:
    """Run a command; return its standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "voicechat", *words],
        input=given, capture_output=True, env=private_environment(folder), timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout


def test_spoken_words_are_transcribed_back(tmp_path: Path) -> None:
    text = b"# The kitchen\n\nThe **quick** brown fox jumps over the lazy dog."
    wav = run(tmp_path, "speak", "--out", "-", given=text)
    words = run(tmp_path, "transcribe", "-", "--model", "local", given=wav).decode().lower()
    assert "kitchen" in words
    assert "quick brown fox jumps over the lazy dog" in " ".join(words.split())


@pytest.mark.sound
def test_speech_is_heard_and_a_key_stops_it(start, card: VirtualCard) -> None:
    recording = card.record()
    terminal = start("speak", LONG, environ=card.environment)
    terminal.see(r"local/built-in: [1-9] s heard of \d+ s, \d+% of the text", 40)
    family = terminal.family()
    pressed = time.monotonic()
    terminal.type("\x1b")
    assert terminal.code() == 130
    assert time.monotonic() - pressed < 5
    assert not ended(family)
    assert terminal.is_sane()
    sound = recording.stop()[:, 1]
    assert np.abs(sound).max() > 1_000
    assert len(sound) / 48_000 < 60  # the whole text takes minutes


@pytest.mark.sound
def test_a_sentence_is_heard_to_its_end(start, card: VirtualCard) -> None:
    recording = card.record()
    terminal = start("speak", "Good morning.", environ=card.environment)
    assert terminal.code(40) == 0
    sound = recording.stop()[:, 1]
    heard = np.flatnonzero(np.abs(sound) > 300)
    assert 0.4 < (heard[-1] - heard[0]) / 48_000 < 2.5
    assert terminal.text.strip() == ""
