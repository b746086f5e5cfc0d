"""Conversations over WebRTC: aiortc as the client of a server on scripted engines."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aioice.ice
import psutil
import pytest
from rtc_caller import RtcCaller, post_offer, rtc_call
from scripted import ScriptedServer, scripted_server, silence, tone, until

from voicechat.server import fair_share
from voicechat.server.engine_protocols import Call, Say
from voicechat.server.webrtc import call_peer, served_call
from voicechat.server.webrtc.ice_settings import IceSettings

USER = {"type": "message", "role": "user"}
WORDS = " ".join(f"word{number}" for number in range(290))
"""29 seconds of speech."""


@pytest.fixture(autouse=True)
def no_error(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No task ends with an error that is only logged."""
    yield
    gc.collect()
    assert [each.getMessage() for each in caplog.records if each.levelname == "ERROR"] == []


def typed(words: str) -> dict[str, Any]:
    return {**USER, "content": [{"type": "input_text", "text": words}]}


def unfinished(backend: ScriptedServer) -> Iterator[bytes]:
    """Yield the sound of words, and stop the voice before the last ones."""
    yield from [backend.tts.tone] * 280
    backend.tts.gate.clear()
    yield backend.tts.tone


async def freed(backend: ScriptedServer) -> None:
    await until(lambda: not backend.app.pipelines and not backend.app._calls._running)


async def test_a_spoken_turn_gets_a_spoken_answer() -> None:
    async with scripted_server() as backend:
        backend.stt.texts = ["what time is it"]
        async with rtc_call(backend.app.url) as caller:
            assert caller.loudness == 0
            caller.microphone.write(silence(300) + tone(700) + silence(300))
            stopped = await caller.event("output_audio_buffer.stopped")
            kinds = caller.kinds
            assert kinds[:3] == [
                "session.created",
                "input_audio_buffer.speech_started",
                "input_audio_buffer.speech_stopped",
            ]
            assert "response.output_audio.delta" not in kinds
            done, started = (
                caller.find("response.done")[0],
                caller.find("output_audio_buffer.started"),
            )
            assert done["response"]["output"][0]["content"][0]["transcript"] == (
                "You said what time is it."
            )
            assert [each["response_id"] for each in started] == [done["response"]["id"]]
            assert stopped["response_id"] == done["response"]["id"]
            assert kinds.index("response.created") < kinds.index("output_audio_buffer.started")
            await until(lambda: caller.loudness > 5_000)
            assert 700 < backend.stt.heard[0] / 32 < 2_000
        await freed(backend)


async def test_a_tool_call_and_its_result() -> None:
    def answer(request: Any) -> Any:
        if request.messages[-1].role == "tool_result":
            return [Say(f"It is {request.messages[-1].text} degrees.")]
        return [Say("Let me look. "), Call("call_1", request.tools[0].name, '{"city":"Oslo"}')]

    async with scripted_server() as backend, rtc_call(backend.app.url) as caller:
        backend.assistant.answer = answer
        tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
        caller.send("session.update", session={"type": "realtime", "tools": [tool]})
        caller.send("conversation.item.create", item=typed("weather in oslo"))
        caller.send("response.create")
        called = await caller.event("response.function_call_arguments.done")
        assert (called["name"], called["arguments"]) == ("weather", '{"city":"Oslo"}')
        await caller.event("response.done")
        result = {"type": "function_call_output", "call_id": "call_1", "output": "12"}
        caller.send("conversation.item.create", item=result)
        caller.send("response.create")
        await caller.event("output_audio_buffer.stopped", 2)
        said = [
            event["transcript"] for event in caller.find("response.output_audio_transcript.done")
        ]
        assert said == ["Let me look. ", "It is 12 degrees."]


@pytest.mark.parametrize("is_done", [True, False], ids=["after the response", "during it"])
async def test_speech_clears_what_is_playing(is_done: bool) -> None:
    async with scripted_server() as backend, rtc_call(backend.app.url) as caller:
        backend.assistant.answer = lambda request: [Say(WORDS)]
        if not is_done:
            backend.tts.pieces = unfinished(backend)
        caller.send("conversation.item.create", item=typed("speak"))
        caller.send("response.create")
        started = await caller.event("output_audio_buffer.started")
        if is_done:
            await caller.event("response.done")
        await until(lambda: caller.loudness > 5_000)
        backend.assistant.answer = lambda request: []
        caller.microphone.write(tone(400))
        cleared = await caller.event("output_audio_buffer.cleared")
        assert cleared["response_id"] == started["response_id"]
        cut = await caller.event("conversation.item.truncated")
        done = await caller.event("response.done")
        assert done["response"]["status"] == ("completed" if is_done else "cancelled")
        item = done["response"]["output"][0]
        assert cut["item_id"] == item["id"]
        assert 0 < cut["audio_end_ms"] < 27_000
        await until(lambda: caller.is_quiet)
        kept = backend.app.pipelines[0].protocol.conversation.get(item["id"], "retrieve").text()
        assert len(kept.split()) <= cut["audio_end_ms"] / 100
        assert not caller.find("output_audio_buffer.stopped")


async def test_busy_threads_delay_no_sound() -> None:
    is_over = threading.Event()
    loop = asyncio.get_running_loop()
    async with scripted_server() as backend, rtc_call(backend.app.url) as caller:
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, is_over.wait)
        try:
            caller.send("response.create")
            await caller.event("output_audio_buffer.stopped")
            await until(lambda: caller.loudness > 5_000)
        finally:
            is_over.set()
            await busy


async def test_a_client_clears_the_output_and_commits_its_own_turns() -> None:
    async with scripted_server() as backend, rtc_call(backend.app.url) as caller:
        backend.stt.texts = ["one", "two"]
        formats = {"format": {"type": "audio/pcmu"}, "turn_detection": None}
        caller.send("session.update", session={"type": "realtime", "audio": {"input": formats}})
        session = (await caller.event("session.updated"))["session"]
        assert session["audio"]["input"]["format"]["type"] == "audio/pcm"
        caller.send("input_audio_buffer.append", audio="")
        error = await caller.event("error")
        assert "input_audio_buffer.commit" in error["error"]["message"]
        caller.send("output_audio_buffer.clear")
        backend.assistant.answer = lambda request: [Say("word " * 60)]
        caller.send("input_audio_buffer.clear")
        await caller.event("input_audio_buffer.cleared")
        caller.microphone.write(tone(300))
        await until(lambda: backend.app.pipelines[0].protocol._buffer.clock_ms > 500)
        caller.send("input_audio_buffer.commit")
        caller.send("response.create")
        await caller.event("output_audio_buffer.started")
        assert backend.assistant.requests[0].messages[-1].text == "one"
        caller.send("output_audio_buffer.clear")
        await caller.event("output_audio_buffer.cleared")
        assert (await caller.event("conversation.item.truncated"))["audio_end_ms"] < 5_900
        assert len(caller.find("error")) == len(caller.find("output_audio_buffer.cleared")) == 1


async def test_events_may_be_large_but_not_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    async with scripted_server() as backend, rtc_call(backend.app.url) as caller:
        instructions = "Be brief. " * 20_000
        session = {"type": "realtime", "instructions": instructions, "output_modalities": ["text"]}
        caller.send("session.update", session=session)
        assert (await caller.event("session.updated"))["session"]["instructions"] == instructions
        backend.assistant.answer = lambda request: [Say("word " * 60_000)]
        caller.send("response.create")
        refused = await caller.event("error")
        assert refused["error"]["code"] == "event_too_large"
    monkeypatch.setattr(call_peer, "_FRAMES", 8)
    monkeypatch.setattr(fair_share, "EVENTS", 1.0)
    monkeypatch.setattr(fair_share, "_MULTIPLE", 1_000.0)
    async with scripted_server() as backend, rtc_call(backend.app.url) as caller:
        for _ in range(60):
            caller.send("input_audio_buffer.clear")
        await freed(backend)


async def test_a_client_that_does_not_connect_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(served_call, "CONNECT_S", 0.1)
    async with scripted_server() as backend:
        caller = RtcCaller()
        answer = await post_offer(backend.app.url, await caller.offer())
        assert answer.status_code == 201
        await freed(backend)
        await caller.close()


async def test_a_client_that_vanishes_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", 0.05)
    monkeypatch.setattr(aioice.ice, "CONSENT_FAILURES", 2)
    async with scripted_server() as backend, rtc_call(backend.app.url) as caller:
        transport = caller.connection.sctp.transport.transport
        for protocol in transport._connection._protocols:
            monkeypatch.setattr(protocol, "datagram_received", lambda data, address: None)
        await freed(backend)


async def test_many_calls_leave_nothing_behind() -> None:
    process = psutil.Process()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    async with scripted_server() as backend:
        counts = []
        for number in range(20):
            async with rtc_call(backend.app.url) as caller:
                if number % 3 == 0:
                    caller.send("response.create")
                    await caller.event("output_audio_buffer.started")
            await freed(backend)
            if number in (4, 19):
                counts.append((process.num_fds(), process.num_threads(), len(asyncio.all_tasks())))
        assert counts[0] == counts[1]


async def test_a_call_that_ends_while_it_connects_leaves_no_task() -> None:
    peer = call_peer.CallPeer(IceSettings("127.0.0.1"))
    (transceiver,) = peer._connection.getTransceivers()
    agent = transceiver.receiver.transport.transport._connection
    await peer.close()
    # aioice starts this when the search for a way ends after the close.
    async with asyncio.timeout(10):
        await agent.query_consent()
