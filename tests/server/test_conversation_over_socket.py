"""The client of the openai package with a server on scripted engines."""

from __future__ import annotations

import base64
from typing import Any

from scripted import ScriptedServer, check, scripted_server, silence, tone
from socket_events import END_OF_REPLY, REPLY, append, events_until, kinds

from voicechat.server.engine_protocols import Call, Partial, Say

USER = {"type": "message", "role": "user"}


def _text(words: str) -> dict[str, Any]:
    return {**USER, "content": [{"type": "input_text", "text": words}]}


async def test_typed_turn_gets_a_spoken_response_in_wire_order() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        created = check(await connection.recv_bytes())
        assert created["type"] == "session.created"
        assert created["session"]["model"] == "any"
        await connection.conversation.item.create(item=_text("hello there"))
        await connection.response.create()
        events = await events_until(connection, "response.done")
    assert kinds(events) == [
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        *REPLY,
    ]
    deltas = [event for event in events if event["type"].endswith(".delta")]
    # A word, then its audio, word by word.
    assert [event["type"].split(".")[1] for event in deltas[:4]] == [
        "output_audio_transcript",
        "output_audio",
    ] * 2
    done = events[-1]["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"][0]["transcript"] == "You said hello there."
    sound = b"".join(
        base64.b64decode(event["delta"]) for event in deltas if "transcript" not in event["type"]
    )
    # Four words of 100 ms at 24 kHz.
    assert abs(len(sound) / 2 - 9600) < 10
    usage = done["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_token_details"]["audio_tokens"] == 8


async def test_spoken_turn_is_endpointed_transcribed_and_answered() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        backend.stt.texts = ["what time is it"]
        backend.stt.partials = {
            16_000: Partial("what time"),
            20_000: Partial("what time is", "what"),
            24_000: Partial("what time is it?", "what time"),
        }
        await events_until(connection, "session.created")
        await append(connection, silence(400) + tone(800) + silence(500))
        events = await events_until(connection, "response.done")
    assert kinds(events) == [
        "input_audio_buffer.speech_started",
        "conversation.item.input_audio_transcription.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
        *REPLY,
    ]
    started, stopped = events[0], next(e for e in events if "stopped" in e["type"])
    assert abs(started["audio_start_ms"] - 100) <= 40
    assert abs(stopped["audio_end_ms"] - 1200) <= 60
    item = next(e["item"] for e in events if e["type"] == "conversation.item.added")
    assert started["item_id"] == item["id"]
    reported = "".join(e["delta"] for e in events if "transcription.delta" in e["type"])
    assert reported == "what time is it"
    # The STT engine got the padding, the speech and the silence at the end of the turn.
    # An incomplete text would have waited for 700 ms. The text is judged in a task of its own, so a
    # burst of sound may pass it.
    assert abs(backend.stt.heard[0] / 32 - (300 + 800 + 200)) < 300


async def test_tool_call_and_its_result() -> None:
    def answer(request: Any) -> Any:
        if request.messages[-1].role == "tool_result":
            return [Say(f"It is {request.messages[-1].text} degrees.")]
        return [Say("Let me look. "), Call("call_1", request.tools[0].name, '{"city":"Oslo"}')]

    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        backend.assistant.answer = answer
        tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
        await connection.session.update(
            session={"type": "realtime", "tools": [tool], "output_modalities": ["text"]}
        )
        await connection.conversation.item.create(item=_text("weather in oslo"))
        await connection.response.create()
        events = await events_until(connection, "response.done")
        assert kinds(events)[-8:] == [
            "response.output_item.done",
            "response.output_item.added",
            "conversation.item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
        ]
        call = events[-1]["response"]["output"][1]
        assert (call["name"], call["arguments"]) == ("weather", '{"city":"Oslo"}')
        await connection.conversation.item.create(
            item={"type": "function_call_output", "call_id": call["call_id"], "output": "4"}
        )
        await connection.response.create()
        events = await events_until(connection, "response.done")
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "It is 4 degrees."
    assert [message.role for message in backend.assistant.requests[-1].messages] == [
        "user",
        "assistant",
        "tool_call",
        "tool_result",
    ]
    assert backend.assistant.requests[-1].messages[-1].name == "weather"


async def _begin_long_reply(backend: ScriptedServer, connection: Any) -> list[dict[str, Any]]:
    """Start a reply that stops after its first word."""
    backend.tts.gate.clear()
    await connection.conversation.item.create(item=_text("tell me a long story"))
    await connection.response.create()
    return await events_until(connection, "response.output_audio.delta")


async def test_speaking_over_the_reply_cancels_it_and_its_synthesis() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        await _begin_long_reply(backend, connection)
        assert backend.tts.open_speeches == 1
        await append(connection, tone(200))
        events = await events_until(connection, "response.done")
        assert kinds(events) == ["input_audio_buffer.speech_started", *END_OF_REPLY]
        response = events[-1]["response"]
        assert response["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert response["output"][0]["status"] == "incomplete"
        await connection.input_audio_buffer.clear()
        await events_until(connection, "input_audio_buffer.cleared")
        assert backend.tts.open_speeches == backend.assistant.open_replies == 0


async def test_cancel_truncate_and_the_later_context() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        await connection.conversation.item.create(item=_text("one two three four"))
        await connection.response.create()
        events = await events_until(connection, "response.done")
        item_id = events[-1]["response"]["output"][0]["id"]
        await connection.conversation.item.truncate(
            item_id=item_id, content_index=0, audio_end_ms=310
        )
        assert (await events_until(connection, "conversation.item.truncated"))[-1][
            "audio_end_ms"
        ] == 310
        await connection.conversation.item.create(item=_text("go on"))
        await connection.response.create()
        await events_until(connection, "response.done")
    seen = backend.assistant.requests[-1].messages
    assert (seen[1].role, seen[1].text) == ("assistant", "You said one ")


async def test_announcement_starts_in_a_pause() -> None:
    async with (
        scripted_server() as backend,
        backend.client().realtime.connect(model="any") as connection,
    ):
        await _begin_long_reply(backend, connection)
        backend.assistant.on_announcement("Your timer rings.")
        backend.tts.gate.set()
        first = await events_until(connection, "response.done")
        second = await events_until(connection, "response.done")
    assert "timer" not in str(first)
    assert second[-1]["response"]["output"][0]["content"][0]["transcript"] == "Your timer rings."
