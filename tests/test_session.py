"""The session against a real server over a real socket, without a screen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from scripted import TOKEN, Scene, scene

from voicechat.config import Options
from voicechat.core import events as ev
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.errors import ConnectError, KeyMissing, Secret, VoicechatError
from voicechat.server.engines.interfaces import Call, Say
from voicechat.session import Cleared, Link, LinkChanged, Session, Update


class Desk:
    """A running session and everything it told."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.updates: list[Update] = []
        self._news = asyncio.Event()
        session.listen = self._listen

    def _listen(self, update: Update) -> None:
        self.updates.append(update)
        self._news.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait for something to become true; the session tells of every change."""
        async with asyncio.timeout(15):
            while not reached():
                self._news.clear()
                await self._news.wait()

    def said(self, role: Role) -> list[str]:
        """The finished texts of one side."""
        entries = self.session.transcript.entries
        return [
            entry.text
            for entry in entries
            if isinstance(entry, Item)
            and entry.role is role
            and entry.status is not ItemStatus.IN_PROGRESS
        ]


def options(url: str, token: str = TOKEN) -> Options:
    return Options(
        with_sound=False, base_url=url.removesuffix("/realtime"),
        keys={"OPENAI_API_KEY": Secret(token)},
    )  # fmt: skip


@asynccontextmanager
async def talking(stage: Scene) -> AsyncIterator[Desk]:
    desk = Desk(Session(options(stage.app.url)))
    running = asyncio.create_task(desk.session.run())
    try:
        await desk.until(lambda: desk.session.link is Link.ONLINE)
        yield desk
    finally:
        desk.session.close()
        await running


async def test_typed_turns_are_answered_in_order() -> None:
    async with scene() as stage, talking(stage) as desk:
        for words in ("one", "two"):
            desk.session.type(words)
            await desk.until(lambda said=words: f"You said {said}." in desk.said(Role.ASSISTANT))
        assert desk.said(Role.USER) == ["one", "two"]
        assert desk.session.latency_ms is not None
        assert desk.session.floor is ev.Floor.IDLE


async def test_a_line_typed_before_the_connection_stands_is_answered() -> None:
    async with scene() as stage:
        desk = Desk(Session(options(stage.app.url)))
        desk.session.type("early")
        running = asyncio.create_task(desk.session.run())
        await desk.until(lambda: "You said early." in desk.said(Role.ASSISTANT))
        desk.session.close()
        await running
        assert desk.session.link is Link.OFFLINE


async def test_a_tool_is_run_and_its_result_told() -> None:
    async with scene() as stage, talking(stage) as desk:
        stage.mind.answer = lambda request: (
            [Say(request.messages[-1].text)]
            if request.messages[-1].role == "tool_result"
            else [Call("call_1", "current_time", '{"zone": "Asia/Tokyo"}')]
        )
        desk.session.type("what time is it in Tokyo")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        call = desk.session.transcript.get("call_1")
        assert isinstance(call, ToolCall)
        assert call.state is ToolState.DONE
        assert "in Tokyo" in desk.said(Role.ASSISTANT)[0]


async def test_interrupting_ends_the_thinking() -> None:
    async with scene() as stage, talking(stage) as desk:
        stage.mind.gate.clear()
        desk.session.type("think hard")
        await desk.until(lambda: desk.session.floor is ev.Floor.THINKING)
        desk.session.interrupt()
        await desk.until(lambda: desk.session.floor is ev.Floor.IDLE)
        stage.mind.gate.set()
        desk.session.type("again")
        await desk.until(lambda: "You said again." in desk.said(Role.ASSISTANT))


async def test_a_new_conversation_knows_nothing_of_the_old_one() -> None:
    async with scene() as stage, talking(stage) as desk:
        desk.session.type("one")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        desk.session.new_conversation()
        assert Cleared() in desk.updates
        assert desk.session.transcript.entries == []
        desk.session.type("two")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        said = [message.text for message in stage.mind.requests[-1].messages]
        assert said == ["two"]


async def test_a_lost_connection_is_made_again_and_remembers_what_was_said() -> None:
    async with scene() as stage, talking(stage) as desk:
        desk.session.type("one")
        await desk.until(lambda: bool(desk.said(Role.ASSISTANT)))
        for connection in list(stage.app._server.connections):  # type: ignore[union-attr]
            connection.transport.abort()
        await desk.until(lambda: desk.session.link is Link.RECONNECTING)
        await desk.until(lambda: desk.session.link is Link.ONLINE)
        desk.session.type("two")
        await desk.until(lambda: len(desk.said(Role.ASSISTANT)) == 2)
        said = [message.text for message in stage.mind.requests[-1].messages]
        assert said == ["one", "You said one.", "two"]
        links = [update.link for update in desk.updates if isinstance(update, LinkChanged)]
        assert Link.RECONNECTING in links


async def failure(chosen: Options) -> VoicechatError:
    with pytest.raises(VoicechatError) as caught:
        await Session(chosen).run()
    return caught.value


async def test_a_wrong_key_and_a_dead_address_end_it_with_one_sentence() -> None:
    async with scene() as stage:
        url = stage.app.url
        error = await failure(options(url, "wrong-key-123"))
        assert isinstance(error, KeyMissing)
        assert "wrong-key-123" not in str(error)
    error = await failure(options(url))
    assert isinstance(error, ConnectError)
    assert "127.0.0.1" in str(error)
