"""`voicechat speak` with the embedded voice: heard from a virtual speaker, and recognized."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from on_terminal import ended, private_environment
from virtual_audio import VirtualCard

from voicechat.providers.speech_service import SPEECH_RATE
from voicechat.server.stt.moonshine_model import MoonshineModel
from voicechat.server.stt.moonshine_stt import bundled_model
from voicechat.speech.pcm import Resampler
from voicechat.speech.vad import VAD_RATE

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(120)]

LONG = "This is the first sentence of a long text. " * 10


def recognized(pcm: bytes) -> str:
    """Return the words in PCM16 mono at 24 kHz."""
    folder = bundled_model()
    assert folder is not None
    model, resampler = MoonshineModel(folder), Resampler(SPEECH_RATE, VAD_RATE)
    sound = resampler.convert(np.frombuffer(pcm, np.int16)).astype(np.float32) / 32768
    return " ".join(model.text(model.transcribe(model.encode(sound))).lower().split())


def test_the_embedded_voice_speaks_a_pipe(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "voicechat", "speak", "--out", "-"],
        input=b"# The kitchen\n\nThe **quick** brown fox jumps over the lazy dog.",
        capture_output=True, env=private_environment(tmp_path), timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    words = recognized(done.stdout[44:])
    assert "kitchen" in words
    assert "quick brown fox jumps over the lazy dog" in words


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
    spoken = np.flatnonzero(np.abs(sound) > 300)
    assert (spoken[-1] - spoken[0]) / 48_000 < 20  # the whole text takes half a minute
