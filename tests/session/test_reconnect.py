"""Reconnecting after faults of the network and the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from faults import FaultProxy
from scripted import ScriptedServer, scripted_server
from session_driver import SessionDriver, options, running_session
from websockets.asyncio.server import ServerConnection, serve

from voicechat.core import effects
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.errors import SessionLost, VoicechatError
from voicechat.server.engine_protocols import Say
from voicechat.session import reconnect, session_expiry
from voicechat.session.session import Session
from voicechat.session.updates import Link, LinkChanged
from voicechat.system.frame_cost import CHEAP_CHARACTERS


@asynccontextmanager
async def faulty() -> AsyncIterator[tuple[ScriptedServer, FaultProxy, SessionDriver]]:
    """Run a session whose path to the server can be broken."""
    async with scripted_server() as backend:
        port = urlsplit(backend.app.url).port
        assert port is not None
        async with FaultProxy(port) as proxy:
            url = backend.app.url.replace(f":{port}/", f":{proxy.port}/")
            async with running_session(backend, url) as driver:
                yield backend, proxy, driver


async def again_online(driver: SessionDriver) -> None:
    await driver.until(lambda: driver.session.link is Link.RECONNECTING)
    await driver.until(lambda: driver.session.link is Link.ONLINE)


async def answered(driver: SessionDriver, words: str) -> None:
    driver.session.type(words)
    await driver.until(lambda: f"You said {words}." in driver.texts(Role.ASSISTANT))


async def test_a_reset_during_a_response_loses_no_turn() -> None:
    async with faulty() as (backend, proxy, driver):
        await answered(driver, "one")
        backend.assistant.answer = lambda request: [Say("Half a "), Say("reply.")]
        backend.assistant.gate.clear()
        driver.session.type("two")
        await driver.until(lambda: driver.session.floor is effects.Floor.THINKING)
        proxy.reset()
        await again_online(driver)
        backend.assistant.gate.set()
        await driver.until(lambda: "Half a reply." in driver.texts(Role.ASSISTANT))
        messages = [message.text for message in backend.assistant.requests[-1].messages]
        assert messages == ["one", "You said one.", "two"]


async def test_a_lost_response_keeps_its_text_and_is_marked() -> None:
    async with faulty() as (backend, proxy, driver):
        backend.assistant.answer = lambda request: [Say("Something long. ")] * 50
        driver.session.type("tell me")
        await driver.until(lambda: _last(driver).text.startswith("Something"))
        proxy.reset()
        await again_online(driver)
        replies = [
            entry
            for entry in driver.session.transcript.entries
            if isinstance(entry, Item) and entry.role is Role.ASSISTANT
        ]
        assert replies[0].text.startswith("Something")
        assert replies[0].status is ItemStatus.INTERRUPTED


def _last(driver: SessionDriver) -> Item:
    entry = driver.session.transcript.entries[-1]
    assert isinstance(entry, Item)
    return entry


async def test_a_dead_connection_during_a_response_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "LIVENESS_TIMEOUT_S", 2.5)
    async with faulty() as (backend, proxy, driver):
        backend.assistant.gate.clear()
        driver.session.type("think")
        await driver.until(lambda: driver.session.floor is effects.Floor.THINKING)
        proxy.black_hole()
        await driver.until(lambda: driver.session.link is Link.RECONNECTING)
        proxy.heal()
        backend.assistant.gate.set()
        await driver.until(lambda: "You said think." in driver.texts(Role.ASSISTANT))


async def test_a_server_that_returns_is_reconnected() -> None:
    async with faulty() as (_, proxy, driver):
        await answered(driver, "one")
        await proxy.refuse()
        proxy.reset()
        driver.session.type("two")

        def tries() -> int:
            links = [update for update in driver.updates if isinstance(update, LinkChanged)]
            return sum("Trying again" in link.text for link in links)

        await driver.until(lambda: tries() >= 3)
        await proxy.accept()
        await driver.until(lambda: "You said two." in driver.texts(Role.ASSISTANT))


async def test_an_absent_server_ends_the_session_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.0)
    async with scripted_server() as backend:
        driver = SessionDriver(Session(options(backend.app.url)))
        running = asyncio.create_task(driver.session.run())
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        await backend.app.stop()
        with pytest.raises(VoicechatError, match="No server answers"):
            await running
        assert driver.session.link is Link.OFFLINE


async def test_a_session_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_expiry, "RENEW_BEFORE_S", 59.99)
    monkeypatch.setattr(session_expiry, "YOUNG_SHARE", 0.0)
    monkeypatch.setattr(reconnect, "WATCH_S", 0.05)
    async with scripted_server(session_seconds=60.0) as backend, running_session(backend) as driver:
        await answered(driver, "one")
        await driver.until(lambda: driver.session._connections.sessions_created >= 2)
        await answered(driver, "two")
        messages = [message.text for message in backend.assistant.requests[-1].messages]
        assert messages == ["one", "You said one.", "two"]
        links = [update.link for update in driver.updates if isinstance(update, LinkChanged)]
        assert Link.RECONNECTING not in links, "nothing went wrong"


@pytest.mark.parametrize("code", [1007, 1008, 4001])
async def test_a_permanent_refusal_is_not_retried(code: int) -> None:
    dialled = 0

    async def refuse(connection: ServerConnection) -> None:
        nonlocal dialled
        dialled += 1
        await connection.close(code, "no more")

    async with serve(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(SessionLost, match="no more"):
            await Session(options(f"ws://127.0.0.1:{port}/v1/realtime")).run()
    assert dialled == 1


async def test_a_large_frame_is_masked_and_read_in_different_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = 0

    async def turns() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    async def frames() -> AsyncIterator[str]:
        yield "x" * CHEAP_CHARACTERS
        yield "x" * (CHEAP_CHARACTERS + 1)

    connections = Session(options("ws://127.0.0.1:1/"))._connections
    monkeypatch.setattr(reconnect, "_host", lambda codec: "host")
    masked: list[int] = []
    read: list[int] = []
    monkeypatch.setattr(connections, "trace", lambda *_: masked.append(turn))
    codec = SimpleNamespace(decode=lambda frame: read.append(turn) or ())
    counting = asyncio.create_task(turns())
    await connections._read(codec, frames())  # type: ignore[arg-type]
    counting.cancel()
    assert read[0] == masked[0]
    assert read[1] > masked[1]
