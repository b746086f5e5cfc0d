"""The title of the window, the bell and the notification."""

from __future__ import annotations

import pytest
from scripted_session import ScriptedSession
from textual import events

from voicechat.core.effects import Floor
from voicechat.core.items import ToolState
from voicechat.session.updates import Link
from voicechat.tools.question import Question
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.user_caller import UserCaller

BELL = "\x07"


class Caller:
    """A caller and what it wrote for each state."""

    def __init__(self, session: ScriptedSession, **more: bool) -> None:
        self.written: list[str] = []
        self._caller = UserCaller(session, self.written.append, **more)  # type: ignore[arg-type]

    def update(self, *, has_focus: bool = False) -> list[str]:
        self.written.clear()
        self._caller.update(has_focus=has_focus)
        return list(self.written)


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("voicechat.tui.user_caller.sys.platform", "linux")


def test_the_title_shows_the_state_and_is_written_when_it_changes() -> None:
    session = ScriptedSession()
    caller = Caller(session)
    assert caller.update() == ["\x1b]2;listening · voicechat\x07"]
    assert caller.update() == []
    session.floor = Floor.SPEAKING
    assert caller.update() == ["\x1b]2;speaking · voicechat\x07"]
    session.floor, session.muted = Floor.LISTENING, True
    assert caller.update() == ["\x1b]2;muted · voicechat\x07"]
    session.link = Link.OFFLINE
    assert caller.update() == ["\x1b]2;offline · voicechat\x07"]


def test_a_console_without_titles_gets_only_the_bell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "linux")
    session = ScriptedSession(with_sound=False)
    caller = Caller(session)
    assert caller.update() == []
    session.call("look", "{}", ToolState.ASKING, number=1)
    assert caller.update() == [BELL]


async def test_a_tool_and_a_question_that_wait_call_once() -> None:
    session = ScriptedSession(with_sound=False)
    session.floor = Floor.WORKING
    caller = Caller(session)
    caller.update()
    session.call("evil\x1b]0;x\x07\u202ename", "{}", ToolState.ASKING, number=1)
    title, call = caller.update()
    assert title == "\x1b]2;a tool needs your approval · voicechat\x07"
    assert call.startswith(
        "\x07\x1b]9;voicechat: evil\ufffd]0;x\ufffd\ufffdname needs your approval"
    )
    assert call.count("\x1b") == 1
    assert call.count(BELL) == 2
    assert caller.update() == []
    session.questions = (Question(2, "MCP server x", "Which?"),)
    [call] = caller.update()
    assert "MCP server x needs your answer" in call


def test_an_answer_without_sound_calls_when_it_is_ready() -> None:
    session = ScriptedSession(with_sound=False)
    caller = Caller(session)
    for floor in (Floor.THINKING, Floor.SPEAKING):
        session.floor = floor
        assert not any(BELL + "\x1b]9" in each for each in caller.update())
    session.floor = Floor.IDLE
    assert caller.update()[-1] == "\x07\x1b]9;voicechat: the answer is ready\x07"


def test_a_spoken_answer_needs_no_call() -> None:
    session = ScriptedSession()
    caller = Caller(session)
    for floor in (Floor.SPEAKING, Floor.LISTENING):
        session.floor = floor
        assert not any("\x1b]9" in each for each in caller.update())


@pytest.mark.parametrize(("has_focus", "notifies"), [(True, True), (False, False)])
def test_no_call_with_the_focus_or_when_it_is_turned_off(has_focus: bool, notifies: bool) -> None:
    session = ScriptedSession(with_sound=False)
    caller = Caller(session, notifies=notifies)
    caller.update()
    session.call("look", "{}", ToolState.ASKING, number=1)
    assert caller.update(has_focus=has_focus) == []


async def test_the_app_calls_while_its_terminal_is_out_of_focus() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    written: list[str] = []
    app._caller._write = written.append
    async with app.run_test() as pilot:
        screen = app.screen
        assert isinstance(screen, ConversationScreen)
        await pilot.pause()
        assert written == ["\x1b]2;listening · voicechat\x07"]
        app.post_message(events.AppBlur())
        await pilot.pause()
        session.call("look", "{}", ToolState.ASKING, number=1)
        await screen.flush()
        await pilot.pause()
        assert written[1:] == ["\x07\x1b]9;voicechat: look needs your approval\x07"]
        app.post_message(events.AppFocus())
        await pilot.pause()
        session.call("look_again", "{}", ToolState.ASKING, number=2)
        await screen.flush()
        await pilot.pause()
        assert len(written) == 2
