"""Speech that the recognizer's process detects: the same pieces, and less memory in this one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import soundfile

from voicechat.local_models.installed_model import detector_file
from voicechat.server.stt.speech_scores import SpeechScores
from voicechat.speech.pcm import Resampler
from voicechat.speech.vad import VAD_RATE
from voicechat.transcription.sound_pieces import RecordedPiece, SpeechScoring, cut_by_speech

ROOT = Path(__file__).resolve().parents[2]
BLOCK = 7_001 * 2
"""Bytes of a block; windows and steps do not end where blocks do."""


@pytest.fixture
def pcm() -> bytes:
    sound, rate = soundfile.read(ROOT / "assets" / "voice.wav", dtype="int16")
    return Resampler(rate, VAD_RATE).convert(sound).tobytes()


async def pieces(pcm: bytes, score: SpeechScoring | None = None) -> list[RecordedPiece]:
    async def blocks() -> AsyncIterator[bytes]:
        for start in range(0, len(pcm), BLOCK):
            yield pcm[start : start + BLOCK]

    return [piece async for piece in cut_by_speech(blocks(), score)]


async def test_another_process_cuts_at_the_same_places(pcm: bytes) -> None:
    model = detector_file("vad")
    if model is None:
        pytest.skip("needs the model of Silero VAD")
    engine = SpeechScores(str(model))

    async def score(windows: bytes) -> list[float]:
        assert len(windows) % 1_024 == 0
        engine.scores(None, 2, windows[::-1])  # type: ignore[arg-type]
        return engine.scores(None, 1, windows)  # type: ignore[arg-type]

    found = await pieces(pcm, score)
    assert len(found) > 1
    assert found == await pieces(pcm)


def test_the_main_process_of_a_local_transcription_needs_no_numpy() -> None:
    program = """
import sys
import voicechat.cli._recording_run, voicechat.transcription.embedded_recognizer
from voicechat.server.stt import moonshine_stt
from voicechat.core.settings import AudioFormat
from voicechat.transcription.utterances import Utterances

class Detector:
    window = 512
    def probability(self, pcm):
        return 0.9

heard = Utterances(AudioFormat(rate=16_000), Detector())
heard.add(bytes(1_024) * 20)
assert heard.speaking
assert "numpy" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=30)
