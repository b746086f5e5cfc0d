"""A message typed as the first thing in each state of a real session reaches the model once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from faults import FaultProxy
from scripted import ScriptedServer, scripted_server, until
from session_driver import options
from textual.pilot import Pilot

from voicechat.core.effects import Floor
from voicechat.core.items import Item, Role
from voicechat.session import reconnect
from voicechat.session import session as session_module
from voicechat.session.session import Session
from voicechat.session.updates import Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.notice_line import NoticeLine


@dataclass
class Rig:
    """A running app whose session talks to a scripted server through a faulty network."""

    pilot: Pilot[None]
    session: Session
    backend: ScriptedServer
    proxy: FaultProxy

    async def type(self, text: str) -> None:
        await self.pilot.press(*text, "enter")

    async def until(self, reached: Callable[[], object]) -> None:
        await until(reached)

    @property
    def screen(self) -> ConversationScreen:
        screen = self.pilot.app.screen_stack[0]
        assert isinstance(screen, ConversationScreen)
        return screen

    @property
    def shown(self) -> str:
        """The text on the screen."""
        return "\n".join(strip.text for strip in self.screen._compositor.render_strips())

    @property
    def said(self) -> str:
        return " ".join(each.text for each in self.screen.query_one(NoticeLine).notices)

    def users(self) -> list[Item]:
        """The messages of the user."""
        entries = self.session.transcript.entries
        return [e for e in entries if isinstance(e, Item) and e.role is Role.USER]

    def answered(self, text: str) -> bool:
        """True if the model answered this message and nothing waits to be sent."""
        answers = [request.messages[-1].text for request in self.backend.assistant.requests]
        asked = [item for item in self.users() if item.text == text]
        return answers[-1:] == [text] and len(asked) == 1 and not asked[0].unsent

    async def lose(self) -> None:
        """Break the network until the session gave up."""
        await self.proxy.refuse()
        self.proxy.reset()
        await self.until(lambda: self.session.link is Link.OFFLINE)


@asynccontextmanager
async def rig(*, is_online: bool = True) -> AsyncIterator[Rig]:
    async with scripted_server() as backend:
        port = urlsplit(backend.app.url).port
        assert port is not None
        async with FaultProxy(port) as proxy:
            if not is_online:
                proxy.black_hole()
            session = Session(options(backend.app.url.replace(f":{port}/", f":{proxy.port}/")))
            async with VoicechatApp(session).run_test() as pilot:
                running = Rig(pilot, session, backend, proxy)
                if is_online:
                    await until(lambda: session.link is Link.ONLINE)
                yield running
                backend.assistant.gate.set()
                backend.tts.gate.set()
                proxy.heal()
                await pilot.app.action_quit()


Reach = Callable[[Rig], Awaitable[None]]


async def online(rig: Rig) -> None:
    pass


async def connecting(rig: Rig) -> None:
    assert rig.session.link is Link.CONNECTING


async def reconnecting(rig: Rig) -> None:
    await rig.type("one")
    await rig.until(lambda: rig.answered("one"))
    await rig.proxy.refuse()
    rig.proxy.reset()
    await rig.until(lambda: rig.session.link is Link.RECONNECTING)


async def offline(rig: Rig) -> None:
    await rig.type("one")
    await rig.until(lambda: rig.answered("one"))
    await rig.lose()


async def thinking(rig: Rig) -> None:
    rig.backend.assistant.gate.clear()
    await rig.type("one")
    await rig.until(lambda: rig.backend.assistant.open_replies)
    assert rig.session.floor is Floor.THINKING


async def new_conversation(rig: Rig) -> None:
    await rig.pilot.press("f5")


async def another_model(rig: Rig) -> None:
    await rig.type("/model openai/gpt-realtime-mini")


async def cut(rig: Rig) -> None:
    await thinking(rig)
    rig.proxy.reset()


STATES: list[Reach] = [
    connecting, online, reconnecting, offline, thinking, new_conversation, another_model, cut,
]  # fmt: skip
UNSENT = {connecting, reconnecting, offline}


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dial at once after a short break; an offline session waits for the user."""
    monkeypatch.setattr(session_module, "RETRY_S", 3_600.0)
    monkeypatch.setattr(reconnect, "backoff", lambda *_: 0.05)


@pytest.fixture
def gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give up at once."""
    monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.0)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
async def test_the_model_gets_the_first_message_once(
    state: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    if state is offline:
        monkeypatch.setattr(reconnect, "GIVE_UP_S", 0.0)
    async with rig(is_online=state is not connecting) as running:
        await state(running)
        if state is offline:
            await running.proxy.accept()
            running.proxy.black_hole()
        await running.type("hi")
        if state in UNSENT:
            await running.until(lambda: "not sent yet" in running.shown)
        running.proxy.heal()
        if state is reconnecting:
            await running.proxy.accept()
        running.backend.assistant.gate.set()
        await running.until(lambda: running.answered("hi"))
        assert running.screen.query_one(Composer).text == ""
        await running.until(lambda: "not sent yet" not in running.shown)


@pytest.mark.usefixtures("gives_up")
@pytest.mark.parametrize("way", ["there", "/model openai/gpt-realtime-mini"])
async def test_the_ways_back_that_the_notice_names_send_what_waits(way: str) -> None:
    async with rig() as running:
        await offline(running)
        await running.until(lambda: "Type a line, /new or /model to connect again" in running.said)
        await running.type("hi")
        await running.until(lambda: running.said.count("to connect again") == 1)
        await running.until(lambda: running.session.link is Link.OFFLINE)
        assert "not sent yet" in running.shown
        await running.proxy.accept()
        await running.type(way)
        last = "hi" if way.startswith("/") else way
        await running.until(lambda: running.answered(last))
        heard = [each.text for each in running.backend.assistant.requests[-1].messages]
        assert [text for text in heard if text in {"one", "hi", "there"}] == [
            item.text for item in running.users()
        ]
        await running.until(lambda: "not sent yet" not in running.shown)


@pytest.mark.usefixtures("gives_up")
async def test_the_key_for_a_new_conversation_connects_again() -> None:
    async with rig() as running:
        await offline(running)
        await running.proxy.accept()
        await running.pilot.press("f5", "ctrl+n")
        await running.until(lambda: running.session.link is Link.ONLINE)
        await running.type("hi")
        await running.until(lambda: running.answered("hi"))
