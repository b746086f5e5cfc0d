"""The pipeline over a real socket: broken engines, noises, formats and settings."""

from __future__ import annotations

import base64
import logging
from typing import Any

import numpy as np
import pytest
from scripted import scripted_server, silence, tone
from socket_events import append, events_until, kinds

from voicechat.errors import ServerError
from voicechat.server.engine_protocols import Say
from voicechat.speech.formats import Format


async def respond(connection: Any, **response: Any) -> dict[str, Any]:
    """Request a response and return it when it is done."""
    await connection.response.create(response=response)
    found: dict[str, Any] = (await events_until(connection, "response.done"))[-1]["response"]
    return found


@pytest.mark.parametrize(
    ("failure", "reported"),
    [(ServerError("No model.", "Start one."), "No model. Start one."), (KeyError("x"), "internal")],
)
async def test_failing_assistant_fails_one_response(
    failure: Exception, reported: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(request: Any) -> Any:
        raise failure

    caplog.set_level(logging.CRITICAL, "voicechat.server.pipeline")
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        working, backend.assistant.answer = backend.assistant.answer, fail
        response = await respond(connection)
        assert response["status"] == "failed"
        assert reported in response["status_details"]["error"]["message"]
        backend.assistant.answer = working
        assert (await respond(connection))["status"] == "completed"


async def test_failing_stt_is_reported_and_the_assistant_still_answers() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.stt.error = ServerError("The recognizer crashed.")
        await append(connection, silence(300) + tone(600) + silence(900))
        events = await events_until(connection, "response.done")
    assert "conversation.item.input_audio_transcription.failed" in kinds(events)
    assert backend.assistant.requests[0].messages[-1].text == ""


async def test_noise_without_words_gets_an_empty_response() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        await append(connection, silence(300) + tone(150) + silence(900))
        events = await events_until(connection, "response.done")
        assert events[-1]["response"]["output"] == []
        assert backend.assistant.requests == []
        backend.stt.texts = ["yes"]
        await append(connection, tone(150) + silence(900))
        await events_until(connection, "response.done")
        assert backend.assistant.requests[0].messages[-1].text == "yes"


@pytest.mark.parametrize("kind", ["audio/pcmu", "audio/pcma"])
async def test_telephone_sound_in_and_out(kind: str) -> None:
    form = Format(kind)
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.stt.texts = ["hello"]
        audio = {"input": {"format": {"type": kind}}, "output": {"format": {"type": kind}}}
        await connection.session.update(session={"type": "realtime", "audio": audio})
        pcm = silence(400, 8_000) + tone(800, 8_000) + silence(900, 8_000)
        sound = form.encode(np.frombuffer(pcm, "<i2").astype(np.int16))
        for start in range(0, len(sound), 160):
            block = base64.b64encode(sound[start : start + 160]).decode()
            await connection.input_audio_buffer.append(audio=block)
        events = await events_until(connection, "response.done")
    started = next(event for event in events if event["type"].endswith("speech_started"))
    assert abs(started["audio_start_ms"] - 100) < 40
    assert backend.assistant.requests[0].messages[-1].text == "hello"
    reply = b"".join(
        base64.b64decode(event["delta"])
        for event in events
        if event["type"] == "response.output_audio.delta"
    )
    samples = form.decode(reply)
    # Three words of 100 ms, at their original loudness.
    assert abs(len(samples) - 2400) < 10
    assert 7_000 < np.abs(samples.astype(int)).max() < 9_000


async def test_push_to_talk_takes_exactly_what_was_sent() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.stt.texts = ["hello"]
        audio = {"input": {"turn_detection": None}}
        await connection.session.update(session={"type": "realtime", "audio": audio})
        await connection.input_audio_buffer.clear()
        await append(connection, tone(500))
        await connection.input_audio_buffer.commit()
        events = await events_until(
            connection, "conversation.item.input_audio_transcription.completed"
        )
        assert "response.created" not in kinds(events)
        assert events[-1]["transcript"] == "hello"
        assert backend.stt.heard == [16_000]


async def test_item_with_audio_is_transcribed_before_the_response() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.stt.texts = ["good day"]
        audio = base64.b64encode(tone(400)).decode()
        content = [{"type": "input_audio", "audio": audio}]
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": content}
        )
        response = await respond(connection)
    assert response["output"][0]["content"][0]["transcript"] == "You said good day."


async def test_settings_reach_assistant_and_tts() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        tool = {"type": "function", "name": "f", "description": "d", "parameters": {}}
        audio = {"output": {"voice": "deep", "speed": 1.25}}
        await connection.session.update(
            session={
                "type": "realtime",
                "instructions": "Be kind.",
                "tools": [tool],
                "tool_choice": "required",
                "audio": audio,
            }
        )
        await respond(connection)
        request = backend.assistant.requests[0]
        assert (request.instructions, request.tool_choice) == ("Be kind.", "required")
        assert [(offer.name, offer.description) for offer in request.tools] == [("f", "d")]
        assert backend.tts.asked[0][1:] == ("deep", 1.25)
        await respond(connection, tool_choice="none", audio={"output": {"voice": "marin"}})
        assert backend.assistant.requests[1].tools == ()
        assert backend.tts.asked[1][1:] == (None, 1.25)


async def test_reply_ends_at_its_token_limit() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.assistant.answer = lambda request: (Say("word " * 20) for _ in range(1_000))
        response = await respond(connection, max_output_tokens=20)
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["usage"]["output_tokens"] < 30


@pytest.mark.parametrize("modality", ["text", "audio"])
async def test_the_transcript_is_what_the_assistant_wrote(modality: str) -> None:
    lines = "## Sums\n\n- `2**10` is **1,024**.\n```\n__init__\n```".splitlines(True)
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.assistant.answer = lambda request: [Say(line) for line in lines]
        response = await respond(connection, output_modalities=[modality])
        [part] = response["output"][0]["content"]
        assert part["text" if modality == "text" else "transcript"] == "".join(lines)
        assert backend.assistant.requests[0].spoken is (modality == "audio")
        spoken = "".join(text for text, _, _ in backend.tts.asked)
        assert not set("#`*_") & set(spoken)
        assert ("power of" in spoken) is (modality == "audio")


async def test_out_of_band_responses_run_next_to_the_active_one() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.tts.gate.clear()
        await connection.response.create()
        await events_until(connection, "response.output_audio.delta")
        await connection.response.create(
            response={
                "conversation": "none",
                "output_modalities": ["text"],
                "input": [],
                "metadata": {"topic": "mood"},
            }
        )
        events = await events_until(connection, "response.done")
        assert events[-1]["response"]["metadata"] == {"topic": "mood"}
        backend.tts.gate.set()
        assert (await events_until(connection, "response.done"))[-1]["response"]["metadata"] is None


async def test_idle_timeout_starts_a_response() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        vad = {"type": "server_vad", "idle_timeout_ms": 5000}
        await connection.session.update(
            session={"type": "realtime", "audio": {"input": {"turn_detection": vad}}}
        )
        await respond(connection, output_modalities=["text"])
        (pipeline,) = backend.app.pipelines
        timer = pipeline.idle_timer
        assert timer is not None
        timer._run()
        events = await events_until(connection, "response.done")
    assert kinds(events)[:2] == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
    ]


async def test_a_silent_text_is_in_the_transcript_and_not_spoken() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="m") as connection,
    ):
        backend.assistant.answer = lambda request: [Say("One."), Say(" See the README.", True)]
        response = await respond(connection)
        [part] = response["output"][0]["content"]
    assert part["transcript"] == "One. See the README."
    assert [text for text, *_ in backend.tts.asked] == ["One."]
