"""The session with a real server over a real socket, without a screen."""

from __future__ import annotations

import asyncio

import pytest
from desk import Desk, options, talking
from scripted import scene

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Role, ToolCall, ToolState
from voicechat.errors import ConnectError, KeyMissing, VoicechatError
from voicechat.server.engine_protocols import Call, Say
from voicechat.session.session import Session
from voicechat.session.updates import Cleared, Link, LinkChanged


async def test_typed_turns_are_answered_in_order() -> None:
    async with scene() as stage, talking(stage) as desk:
        for words in ("one", "two"):
            desk.session.type(words)
            await desk.until(lambda said=words: f"You said {said}." in desk.said(Role.ASSISTANT))
        assert desk.said(Role.USER) == ["one", "two"]
        assert desk.session.latency_ms is not None
        assert desk.session.floor is effects.Floor.IDLE


async def test_a_line_typed_before_the_connection_is_open_is_answered() -> None:
    async with scene() as stage:
        desk = Desk(Session(options(stage.app.url)))
        desk.session.type("early")
        running = asyncio.create_task(desk.session.run())
        await desk.until(lambda: "You said early." in desk.said(Role.ASSISTANT))
        desk.session.close()
        await running
        assert desk.session.link is Link.OFFLINE


async def test_a_tool_runs_and_its_result_is_sent() -> None:
    async with scene() as stage, talking(stage) as desk:
        stage.assistant.answer = lambda request: (
            [Say(request.messages[-1].text)]
            if request.messages[-1].role == "tool_result"
            else [Call("call_1", "current_time", '{"zone": "Asia/Tokyo"}')]
        )
        desk.session.type("what time is it in Tokyo")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        call = desk.session.transcript.get("call_1")
        assert isinstance(call, ToolCall)
        assert call.state is ToolState.DONE
        assert "Tokyo" in desk.said(Role.ASSISTANT)[0]


async def test_interrupting_ends_the_response() -> None:
    async with scene() as stage, talking(stage) as desk:
        stage.assistant.gate.clear()
        desk.session.type("think hard")
        await desk.until(lambda: desk.session.floor is effects.Floor.THINKING)
        desk.session.interrupt()
        await desk.until(lambda: desk.session.floor is effects.Floor.IDLE)
        stage.assistant.gate.set()
        desk.session.type("again")
        await desk.until(lambda: "You said again." in desk.said(Role.ASSISTANT))


async def test_a_new_conversation_does_not_contain_the_old_one() -> None:
    async with scene() as stage, talking(stage) as desk:
        desk.session.type("one")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        desk.session.new_conversation()
        assert Cleared() in desk.updates
        assert desk.session.transcript.entries == []
        desk.session.type("two")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        said = [message.text for message in stage.assistant.requests[-1].messages]
        assert said == ["two"]


async def test_a_reconnected_session_has_the_conversation() -> None:
    async with scene() as stage, talking(stage) as desk:
        desk.session.type("one")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        for connection in list(stage.app._server.connections):  # type: ignore[union-attr]
            connection.transport.abort()
        await desk.until(lambda: desk.session.link is Link.RECONNECTING)
        await desk.until(lambda: desk.session.link is Link.ONLINE)
        desk.session.type("two")
        await desk.until(lambda: len(desk.said(Role.ASSISTANT)) == 2)
        said = [message.text for message in stage.assistant.requests[-1].messages]
        assert said == ["one", "You said one.", "two"]
        links = [update.link for update in desk.updates if isinstance(update, LinkChanged)]
        assert Link.RECONNECTING in links


async def failure(chosen: Options) -> VoicechatError:
    with pytest.raises(VoicechatError) as caught:
        await Session(chosen).run()
    return caught.value


async def test_a_wrong_key_and_a_dead_address_end_the_session_with_one_sentence() -> None:
    async with scene() as stage:
        url = stage.app.url
        error = await failure(options(url, "wrong-key-123"))
        assert isinstance(error, KeyMissing)
        assert "wrong-key-123" not in str(error)
    error = await failure(options(url))
    assert isinstance(error, ConnectError)
    assert "127.0.0.1" in str(error)
