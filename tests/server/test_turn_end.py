"""The end-of-turn model: it must agree with a text that looks complete."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest
from scripted import scripted_server, silence, tone
from socket_events import events_until, kinds
from tiny_onnx import mean_model

from voicechat.server.engine_protocols import Partial
from voicechat.server.turn_end import SOUND_BYTES, TurnEnd
from voicechat.speech.smart_turn import SmartTurn


class ScriptedEnd(TurnEnd):
    """Gives the scripted answers in order; `heard` is the size of each sound."""

    def __init__(self, *answers: bool) -> None:
        super().__init__(Path("none"))
        self.answers = list(answers)
        self.heard: list[int] = []

    async def is_end(self, pcm: bytes) -> bool:
        self.heard.append(len(pcm))
        return self.answers.pop(0)


async def turns(
    model: TurnEnd | None,
    sound: bytes,
    text: str = "Well done.",
    end_chance: float = 1.0,
    **settings: object,
) -> int:
    """The number of turns that end within this sound."""
    async with (
        scripted_server(model) as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.stt.partials = {20_000: Partial(text, end_chance=end_chance)}
        detection = {"type": "semantic_vad", "create_response": False, **settings}
        audio = {"input": {"turn_detection": detection}}
        await connection.session.update(session={"type": "realtime", "audio": audio})
        # One block: the server lets its other tasks run after each 40 ms of it.
        block = base64.b64encode(silence(300) + sound).decode()
        await connection.input_audio_buffer.append(audio=block)
        await connection.input_audio_buffer.clear()
        events = await events_until(connection, "input_audio_buffer.cleared")
    return kinds(events).count("input_audio_buffer.committed")


PAUSE = tone(800) + silence(450)
"""Speech and a pause, longer than after a whole request and shorter than after anything else."""


async def test_without_a_model_the_text_decides() -> None:
    assert await turns(None, PAUSE) == 1
    assert await turns(None, PAUSE, "Well and") == 0


async def test_a_guess_waits_for_a_longer_silence() -> None:
    assert await turns(None, PAUSE, end_chance=0.3) == 1
    short = tone(800) + silence(290)
    assert await turns(None, short, end_chance=0.3) == 0
    assert await turns(None, short) == 1


async def test_the_model_ends_the_turn_when_both_agree() -> None:
    model = ScriptedEnd(True)
    assert await turns(model, PAUSE) == 1
    assert len(model.heard) == 1


async def test_a_model_that_disagrees_keeps_the_turn_open() -> None:
    model = ScriptedEnd(False)
    assert await turns(model, PAUSE) == 0
    assert len(model.heard) == 1
    assert await turns(ScriptedEnd(False), PAUSE + silence(400)) == 1


async def test_an_open_text_keeps_the_turn_open() -> None:
    assert await turns(ScriptedEnd(True), PAUSE, "Well and") == 0


async def test_each_pause_is_judged_by_itself() -> None:
    model = ScriptedEnd(False, True)
    assert await turns(model, PAUSE + PAUSE) == 1
    first, second = model.heard
    assert second > first


async def test_the_model_is_not_asked_in_a_short_pause() -> None:
    model = ScriptedEnd()
    assert await turns(model, tone(800) + silence(150) + tone(300)) == 0
    assert model.heard == []


async def test_a_fixed_silence_needs_no_model() -> None:
    model = ScriptedEnd()
    fixed = {"type": "server_vad", "silence_duration_ms": 400}
    assert await turns(model, PAUSE, **fixed) == 1
    assert model.heard == []


async def test_the_model_hears_the_last_8_seconds() -> None:
    model = ScriptedEnd(True)
    await turns(model, tone(9_000) + silence(300))
    assert model.heard == [SOUND_BYTES]


async def test_the_file_is_loaded_once_and_answers(tmp_path, monkeypatch) -> None:
    pytest.importorskip("onnxruntime")
    file = tmp_path / "m.onnx"
    file.write_bytes(mean_model("input_features", 80, 800))
    model = TurnEnd(file)
    monkeypatch.setattr(SmartTurn, "probability", lambda self, pcm: len(pcm) / 10)
    answers = await asyncio.gather(model.is_end(bytes(9)), model.is_end(bytes(8)))
    assert answers == [True, False]
    file.unlink()
    assert await model.is_end(bytes(9)) is True


async def test_a_wrong_file_leaves_the_text_alone_and_is_reported_once(tmp_path, caplog) -> None:
    model = TurnEnd(tmp_path / "missing.onnx")
    assert [await model.is_end(b""), await model.is_end(b"")] == [True, True]
    assert len(caplog.records) == 1
    assert "missing.onnx cannot be loaded" in caplog.text
