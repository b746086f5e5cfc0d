"""The session with a real server over a real socket, without a screen."""

from __future__ import annotations

import asyncio

import pytest
from scripted import scripted_server
from session_driver import SessionDriver, options, running_session

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Role, ToolCall, ToolState
from voicechat.errors import ConnectError, KeyMissing, VoicechatError
from voicechat.server.engine_protocols import Call, Say
from voicechat.session.session import Session
from voicechat.session.updates import Cleared, Link, LinkChanged


async def test_typed_turns_are_answered_in_order() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        for words in ("one", "two"):
            driver.session.type(words)
            await driver.until(
                lambda said=words: f"You said {said}." in driver.texts(Role.ASSISTANT)
            )
        assert driver.texts(Role.USER) == ["one", "two"]
        assert driver.session.latency_ms is not None
        assert driver.session.floor is effects.Floor.IDLE


async def test_a_line_typed_before_the_connection_is_open_is_answered() -> None:
    async with scripted_server() as backend:
        driver = SessionDriver(Session(options(backend.app.url)))
        driver.session.type("early")
        running = asyncio.create_task(driver.session.run())
        await driver.until(lambda: "You said early." in driver.texts(Role.ASSISTANT))
        driver.session.close()
        await running
        assert driver.session.link is Link.OFFLINE


async def test_a_tool_runs_and_its_result_is_sent() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        backend.assistant.answer = lambda request: (
            [Say(request.messages[-1].text)]
            if request.messages[-1].role == "tool_result"
            else [Call("call_1", "current_time", '{"zone": "Asia/Tokyo"}')]
        )
        driver.session.type("what time is it in Tokyo")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        call = driver.session.transcript.get("call_1")
        assert isinstance(call, ToolCall)
        assert call.state is ToolState.DONE
        assert "Tokyo" in driver.texts(Role.ASSISTANT)[0]


async def test_interrupting_ends_the_response() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        backend.assistant.gate.clear()
        driver.session.type("think hard")
        await driver.until(lambda: driver.session.floor is effects.Floor.THINKING)
        driver.session.interrupt()
        await driver.until(lambda: driver.session.floor is effects.Floor.IDLE)
        backend.assistant.gate.set()
        driver.session.type("again")
        await driver.until(lambda: "You said again." in driver.texts(Role.ASSISTANT))


async def test_a_new_conversation_does_not_contain_the_old_one() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session.type("one")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        driver.session.new_conversation()
        assert Cleared() in driver.updates
        assert driver.session.transcript.entries == []
        driver.session.type("two")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        said = [message.text for message in backend.assistant.requests[-1].messages]
        assert said == ["two"]


async def test_a_reconnected_session_has_the_conversation() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session.type("one")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        for connection in list(backend.app._server.connections):  # type: ignore[union-attr]
            connection.transport.abort()
        await driver.until(lambda: driver.session.link is Link.RECONNECTING)
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        driver.session.type("two")
        await driver.until(lambda: len(driver.texts(Role.ASSISTANT)) == 2)
        said = [message.text for message in backend.assistant.requests[-1].messages]
        assert said == ["one", "You said one.", "two"]
        links = [update.link for update in driver.updates if isinstance(update, LinkChanged)]
        assert Link.RECONNECTING in links


async def failure(chosen: Options) -> VoicechatError:
    with pytest.raises(VoicechatError) as caught:
        await Session(chosen).run()
    return caught.value


async def test_a_wrong_key_and_a_dead_address_end_the_session_with_one_sentence() -> None:
    async with scripted_server() as backend:
        url = backend.app.url
        error = await failure(options(url, "wrong-key-123"))
        assert isinstance(error, KeyMissing)
        assert "wrong-key-123" not in str(error)
    error = await failure(options(url))
    assert isinstance(error, ConnectError)
    assert "127.0.0.1" in str(error)
