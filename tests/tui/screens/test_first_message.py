"""A message typed as the first thing in each state of the screen arrives once, or is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from scripted import until
from scripted_session import ScriptedSession
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from voicechat.core.effects import Floor
from voicechat.core.items import ToolState
from voicechat.core.pictures import Kind, Picture
from voicechat.core.settings import Capabilities
from voicechat.errors import ConnectError
from voicechat.session.updates import Cleared, Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.notice_line import NoticeLine

Reach = Callable[[Pilot[None], ScriptedSession], Awaitable[None] | None]


@dataclass(frozen=True)
class State:
    """How to reach a state, and what a typed "hi" and Enter do there."""

    name: str
    reach: Reach = lambda pilot, session: None
    sent: tuple[str, ...] = ("hi",)
    """The messages that the session gets."""
    kept: str = ""
    """The text of the composer afterwards."""
    searched: bool = False
    """True if the focused input searches for the text."""
    says: str = ""
    """Part of the notice that is shown."""
    size: tuple[int, int] = (80, 24)
    session: dict[str, bool] = field(default_factory=dict)


def to(link: Link, text: str = "") -> Reach:
    return lambda pilot, session: session.link_to(link, text)


def floor(state: Floor) -> Reach:
    return lambda pilot, session: session.turn_to(state)


def keys(*names: str) -> Reach:
    async def press(pilot: Pilot[None], session: ScriptedSession) -> None:
        await pilot.press(*names)
        await pilot.pause()

    return press


def after(*steps: Reach) -> Reach:
    async def reach(pilot: Pilot[None], session: ScriptedSession) -> None:
        for step in steps:
            if (waiting := step(pilot, session)) is not None:
                await waiting
            await painted(pilot)

    return reach


async def painted(pilot: Pilot[None]) -> None:
    await bottom(pilot).flush()
    await pilot.pause()


def running(state: ToolState) -> Reach:
    def call(pilot: Pilot[None], session: ScriptedSession) -> None:
        session.you("Tidy up.")
        session.call("run_command", '{"command": "ls"}', state, source="built in", number=1)
        session.turn_to(Floor.WORKING)

    return call


def full(pilot: Pilot[None], session: ScriptedSession) -> None:
    for number in range(30):
        session.you(f"question {number}")
        session.voiced(f"answer {number}")


def spent(pilot: Pilot[None], session: ScriptedSession) -> None:
    session.budget_used_up = True
    session.link_to(Link.OFFLINE)


def gives(**attributes: object) -> Reach:
    def change(pilot: Pilot[None], session: ScriptedSession) -> None:
        for name, value in attributes.items():
            setattr(session, name, value)
        session.tell(Cleared())

    return change


def picture(pilot: Pilot[None], session: ScriptedSession) -> None:
    session.you("What is this?", picture=Picture(Kind.PNG, 640, 480, "plot.png"), spoken=False)


async def report(pilot: Pilot[None], session: ScriptedSession) -> None:
    await pilot.press(*"/lat", "tab", "enter")
    await until(lambda: pilot.app.screen.query("#sheet"))


def lost_devices(pilot: Pilot[None], session: ScriptedSession) -> None:
    session.sound("The microphone is gone.", "Connect one.")


async def picker(pilot: Pilot[None], session: ScriptedSession) -> None:
    session.request_picker("themes")
    await painted(pilot)
    await until(lambda: pilot.app.screen.query(Input))


async def console_closed(pilot: Pilot[None], session: ScriptedSession) -> None:
    await pilot.press("f6")
    session.request_console("off")


async def suspended(pilot: Pilot[None], session: ScriptedSession) -> None:
    pilot.app.post_message(events.AppBlur())
    await pilot.pause()
    pilot.app.post_message(events.AppFocus())


async def failed(pilot: Pilot[None], session: ScriptedSession) -> None:
    session.you("hello")
    session.fail(ConnectError("The embedded server does not start.", "Run voicechat doctor."))
    await until(lambda: bottom(pilot).ending)


PUSH = {"hands_free": False}
STATES = [
    State("connecting", to(Link.CONNECTING, "Loading the voice")),
    State("online"),
    State("reconnecting", to(Link.RECONNECTING, "Trying again in 2.0 s.")),
    State("offline", to(Link.OFFLINE, "The server refused the key.")),
    State("budget used up", spent),
    State("idle", floor(Floor.IDLE)),
    State("hearing", floor(Floor.HEARING)),
    State("thinking", floor(Floor.THINKING)),
    State("speaking", floor(Floor.SPEAKING)),
    State("tool running", running(ToolState.RUNNING)),
    State("tool waits", running(ToolState.ASKING)),
    State("card open", after(running(ToolState.ASKING), keys("f8"))),
    State("card scrolled", after(running(ToolState.ASKING), keys("f8", "down", "right"))),
    State("muted", keys("f3")),
    State("push-to-talk", session=PUSH),
    State("switched to push-to-talk", keys("f4")),
    State("recording", keys("f2"), session=PUSH),
    State("recording by Space", keys("space"), session=PUSH),
    State("text only", session={"with_sound": False}),
    State("device lost", lost_devices),
    State("console open", keys("f6", "escape")),
    State("console focused", keys("f6"), sent=(), says="Letters are keys in the console"),
    State("console closed", console_closed),
    State("find open", keys("ctrl+f"), sent=(), searched=True),
    State("find closed", keys("ctrl+f", "x", "escape")),
    State("message search", keys("ctrl+r"), sent=(), kept="hi"),
    State("message search left", keys("ctrl+r", "escape")),
    State("picker", picker, sent=()),
    State("picker closed", after(picker, keys("escape"))),
    State("palette", keys("ctrl+p"), sent=(), kept="/history "),
    State("palette closed", keys("ctrl+p", "escape")),
    State("help", keys("f1")),
    State("help closed", keys("f1", "escape")),
    State("report", report),
    State("scrolled up", after(full, keys("pageup"))),
    State("full", full),
    State("narrow", size=(6, 24)),
    State("low", full, size=(80, 3)),
    State("tiny", size=(6, 3)),
    State("low with a card", running(ToolState.ASKING), size=(80, 3)),
    State("new conversation", keys("f5")),
    State("new conversation asked", after(full, keys("f5"))),
    State("stopped", after(floor(Floor.SPEAKING), keys("escape"))),
    State("redrawn", keys("ctrl+l")),
    State("back in the terminal", suspended),
    State("quit asked", keys("ctrl+c")),
    State("another model", gives(model="openai/gpt-realtime-mini")),
    State("below a picture", picture),
    State("command half typed", keys(*"/mo"), sent=(), says="There is no /mohi."),
    State("text recalled", keys(*"o", "enter", "up"), sent=("o", "ohi")),
    State(
        "model without text",
        gives(capabilities=Capabilities(text_input=False)),
        sent=(),
        kept="hi",
        says="takes no typed text. Speak to it.",
    ),
    State("session ended", failed, sent=(), kept="hi", says="ended. Run voicechat doctor."),
]


def bottom(pilot: Pilot[None]) -> ConversationScreen:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ConversationScreen)
    return screen


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
async def test_the_first_message_arrives_once_or_is_kept(state: State) -> None:
    session = ScriptedSession(**state.session)
    async with VoicechatApp(session).run_test(size=state.size) as pilot:  # type: ignore[arg-type]
        composer = bottom(pilot).query_one(Composer)
        await after(state.reach)(pilot, session)
        await pilot.press("h", "i", "enter")

        def outcome() -> tuple[tuple[object, ...], str, str, bool]:
            sent = tuple(call[1] for call in session.asked if call[0] == "type")
            said = " ".join(each.text for each in bottom(pilot).query_one(NoticeLine).notices)
            field = pilot.app.focused
            searched = isinstance(field, Input) and field.value == "hi"
            return sent, composer.text, state.says if state.says in said else said, searched

        expected = state.sent, state.kept, state.says, state.searched
        with suppress(AssertionError):  # the next line says more
            await until(lambda: outcome() == expected, 5.0)
        assert outcome() == expected
