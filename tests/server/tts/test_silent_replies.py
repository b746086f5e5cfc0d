"""Replies are shown when the engine of the built-in voice fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from voicechat.server.engine_worker import Worker
from voicechat.server.tts.hibari_tts import HibariTts

TEXT = "The first clause.  The second one, with a \ud800 in it!"
SHOWN = TEXT.replace("\ud800", "\N{REPLACEMENT CHARACTER}")


class _Engine:
    """The worker's side of a voice; `tts` is the part with the jobs."""

    def __init__(self, fails: str = "") -> None:
        if fails == "start":
            raise OSError("no such model")
        self.tts = self
        self._fails = fails

    def speak(self, job, text: str, voice: str, speed: float) -> None:
        """Send one word, then crash or fail."""
        word, space, _ = text.partition(" ")
        job.send_item((word + space, b"\0\0"))
        if self._fails == "crash":
            import os

            os._exit(3)
        if self._fails == "raise":
            raise ValueError("not this text")
        job.send_item((text[len(word + space) :], b"\0\0"))


@pytest.mark.parametrize(
    ("fails", "name"),
    [
        ("crash", "The voice stopped working."),
        ("raise", "ValueError: not this text"),
        ("start", "The voice: the start failed."),
    ],
)
async def test_the_text_is_shown_without_sound(
    fails: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", folder, prepend=":")
    notices: list[str] = []
    worker = Worker("test_silent_replies:_Engine", "The voice", fails=fails)
    voice = HibariTts(worker, {"only": Path("none.onnx")}, notices.append)
    try:
        for _ in range(3):
            assert "".join([piece.text async for piece in voice.speak(TEXT)]) == SHOWN
        *others, last = notices
        assert name in last
        assert last.endswith("Replies are only text until it works again.")
        assert others == []
    finally:
        await voice.close()


async def test_the_voice_returns_when_its_engine_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=":")
    notices: list[str] = []
    worker = Worker("test_silent_replies:_Engine", "The voice", fails="crash")
    voice = HibariTts(worker, {"only": Path("none.onnx")}, notices.append)
    try:
        _ = [piece async for piece in voice.speak(TEXT)]
        worker._options = {}
        monkeypatch.setattr("voicechat.server.engine_worker._RESTART_SPAN_S", 0.0)
        pieces = [piece async for piece in voice.speak(TEXT)]
        assert all(piece.pcm for piece in pieces)
        assert voice._is_silent is False
        assert len(notices) == 1
    finally:
        await voice.close()
