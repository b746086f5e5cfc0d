"""Reconnecting after faults of the network and the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from desk import Desk, options, talking
from faults import FaultProxy
from scripted import Scene, scene
from websockets.asyncio.server import ServerConnection, serve

from voicechat.core import effects
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.errors import SessionLost, VoicechatError
from voicechat.server.engine_protocols import Say
from voicechat.session import reconnect
from voicechat.session.session import Session
from voicechat.session.updates import Link, LinkChanged


@asynccontextmanager
async def faulty() -> AsyncIterator[tuple[Scene, FaultProxy, Desk]]:
    """Run a session whose path to the server can be broken."""
    async with scene() as stage:
        port = urlsplit(stage.app.url).port
        assert port is not None
        async with FaultProxy(port) as proxy:
            url = stage.app.url.replace(f":{port}/", f":{proxy.port}/")
            async with talking(stage, url) as desk:
                yield stage, proxy, desk


async def again_online(desk: Desk) -> None:
    await desk.until(lambda: desk.session.link is Link.RECONNECTING)
    await desk.until(lambda: desk.session.link is Link.ONLINE)


async def answered(desk: Desk, words: str) -> None:
    desk.session.type(words)
    await desk.until(lambda: f"You said {words}." in desk.said(Role.ASSISTANT))


async def test_a_reset_during_a_response_loses_no_turn() -> None:
    async with faulty() as (stage, proxy, desk):
        await answered(desk, "one")
        stage.assistant.answer = lambda request: [Say("Half a "), Say("reply.")]
        stage.assistant.gate.clear()
        desk.session.type("two")
        await desk.until(lambda: desk.session.floor is effects.Floor.THINKING)
        proxy.reset()
        await again_online(desk)
        stage.assistant.gate.set()
        await desk.until(lambda: "Half a reply." in desk.said(Role.ASSISTANT))
        messages = [message.text for message in stage.assistant.requests[-1].messages]
        assert messages == ["one", "You said one.", "two"]


async def test_a_lost_response_keeps_its_text_and_is_marked() -> None:
    async with faulty() as (stage, proxy, desk):
        stage.assistant.answer = lambda request: [Say("Something long. ")] * 50
        desk.session.type("tell me")
        await desk.until(lambda: _last(desk).text.startswith("Something"))
        proxy.reset()
        await again_online(desk)
        replies = [
            entry
            for entry in desk.session.transcript.entries
            if isinstance(entry, Item) and entry.role is Role.ASSISTANT
        ]
        assert replies[0].text.startswith("Something")
        assert replies[0].status is ItemStatus.INTERRUPTED


def _last(desk: Desk) -> Item:
    entry = desk.session.transcript.entries[-1]
    assert isinstance(entry, Item)
    return entry


async def test_a_dead_connection_during_a_response_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "LIVENESS_TIMEOUT_S", 2.5)
    async with faulty() as (stage, proxy, desk):
        stage.assistant.gate.clear()
        desk.session.type("think")
        await desk.until(lambda: desk.session.floor is effects.Floor.THINKING)
        proxy.black_hole()
        await desk.until(lambda: desk.session.link is Link.RECONNECTING)
        proxy.heal()
        stage.assistant.gate.set()
        await desk.until(lambda: "You said think." in desk.said(Role.ASSISTANT))


async def test_a_server_that_returns_is_reconnected() -> None:
    async with faulty() as (_, proxy, desk):
        await answered(desk, "one")
        await proxy.refuse()
        proxy.reset()
        desk.session.type("two")

        def tries() -> int:
            links = [update for update in desk.updates if isinstance(update, LinkChanged)]
            return sum("Trying again" in link.text for link in links)

        await desk.until(lambda: tries() >= 3)
        await proxy.accept()
        await desk.until(lambda: "You said two." in desk.said(Role.ASSISTANT))


async def test_an_absent_server_ends_the_session_with_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.0)
    async with scene() as stage:
        desk = Desk(Session(options(stage.app.url)))
        running = asyncio.create_task(desk.session.run())
        await desk.until(lambda: desk.session.link is Link.ONLINE)
        await stage.app.stop()
        with pytest.raises(VoicechatError, match="No server answers"):
            await running
        assert desk.session.link is Link.OFFLINE


async def test_a_session_is_renewed_before_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "RENEW_BEFORE_S", 59.5)
    async with scene(session_seconds=60.0) as stage, talking(stage) as desk:
        await answered(desk, "one")
        await desk.until(lambda: desk.session._connections.sessions_created >= 2)
        await answered(desk, "two")
        messages = [message.text for message in stage.assistant.requests[-1].messages]
        assert messages == ["one", "You said one.", "two"]
        links = [update.link for update in desk.updates if isinstance(update, LinkChanged)]
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
