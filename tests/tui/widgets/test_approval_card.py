"""The approval card: its text, and the keys that decide."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted_session import ScriptedSession
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Static

from voicechat.core.effects import Floor
from voicechat.core.inputs import Decision
from voicechat.core.items import ToolCall, ToolState
from voicechat.tools.question import FormField, Question
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets import composer
from voicechat.tui.widgets.approval_card import ApprovalCard
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.notice_line import NoticeLine


@asynccontextmanager
async def running_app(
    session: ScriptedSession, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Pilot[None]]:
    async with VoicechatApp(session).run_test(size=size, notifications=True) as pilot:
        yield pilot


async def refresh(pilot: Pilot[None]) -> None:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ConversationScreen)
    await screen.flush()
    await pilot.pause()


def add_waiting_call(session: ScriptedSession, number: int = 1, **arguments: object) -> ToolCall:
    text = json.dumps(arguments or {"command": "ls -la"}, ensure_ascii=False)
    more: dict[str, object] = {"source": "built in", "number": number}
    return session.call("run_shell", text, ToolState.ASKING, **more)


def card(pilot: Pilot[None]) -> ApprovalCard:
    return pilot.app.screen_stack[0].query_one(ApprovalCard)


def card_text(pilot: Pilot[None]) -> str:
    """Return all text on the card."""
    parts = [str(static.render()) for static in card(pilot).query(Static)]
    return "\n".join(parts)


def decisions(session: ScriptedSession) -> list[tuple[object, ...]]:
    return [each for each in session.asked if each[0] == "decide"]


async def test_only_keys_on_the_focused_card_decide() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await pilot.press("t", "o")
        call = add_waiting_call(session)
        await refresh(pilot)
        await pilot.press("o", "a", "s", "d", "enter")
        assert decisions(session) == []
        assert session.asked == [("type", "tooasd")]
        await pilot.press("f8", "o", "enter")
        assert decisions(session) == [("decide", "call_0", call.arguments, Decision.ONCE, "")]
        await refresh(pilot)
        assert not card(pilot).display
        assert isinstance(pilot.app.focused, Composer)


@pytest.mark.parametrize(
    ("keys", "decision"),
    [
        (["enter"], Decision.DENY),
        (["a", "d", "enter"], Decision.DENY),
        (["s", "enter"], Decision.SESSION),
        (["a", "enter"], Decision.ALWAYS),
        (["left", "left", "left", "left", "enter"], Decision.ONCE),
        (["left", "left", "right", "right", "enter"], Decision.DENY),
        (["o"], None),
        (["a", "left", "right"], None),
    ],
)
async def test_keys_of_the_card(keys: list[str], decision: Decision | None) -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session)
        await refresh(pilot)
        await pilot.press("f8", *keys)
        assert [each[3] for each in decisions(session)] == ([decision] if decision else [])


async def test_the_next_call_must_be_selected_again() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session, 1)
        add_waiting_call(session, 2, command="rm -rf /")
        await refresh(pilot)
        assert "1 more waits" in card_text(pilot)
        await pilot.press("f8", "o", "enter", "o", "enter")
        await refresh(pilot)
        await pilot.press("o", "enter")
        assert [each[1] for each in decisions(session)] == ["call_0"]
        assert "rm -rf /" in card_text(pilot)


async def test_a_key_for_a_cancelled_call_does_not_decide_on_the_next_one() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        first = add_waiting_call(session, 1)
        add_waiting_call(session, 2, command="rm -rf /")
        await refresh(pilot)
        await pilot.press("f8")
        first.state = ToolState.CANCELLED
        session.changed(first)
        await refresh(pilot)
        await pilot.press("o", "enter")
        assert decisions(session) == []


async def test_a_key_before_a_repaint_decides_on_the_shown_arguments() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        first = add_waiting_call(session, 1)
        await refresh(pilot)
        await pilot.press("f8")
        shown = first.arguments
        first.arguments = '{"command": "rm -rf /"}'
        await pilot.press("o", "enter")
        assert [each[2] for each in decisions(session)] == [shown]


async def test_a_long_call_must_be_scrolled_to_its_end_before_it_is_allowed() -> None:
    session = ScriptedSession()
    script = "\n".join(f"echo line {number}" for number in range(60)) + "\nrm -rf /"
    async with running_app(session) as pilot:
        add_waiting_call(session, 1, command=script)
        await refresh(pilot)
        await pilot.press("f8", "o", "enter")
        assert decisions(session) == []
        assert "Read to the end first" in card_text(pilot)
        await pilot.press("end", "enter")
        assert [each[3] for each in decisions(session)] == [Decision.ONCE]


async def test_the_card_scrolls_and_an_unread_call_can_be_denied() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session, 1, command="\n".join(map(str, range(20))))
        await refresh(pilot)
        await pilot.press("f8")
        body = card(pilot).query_one("#card-body")
        positions = []
        for key in ("pagedown", "pageup", "down", "up", "end", "home"):
            await pilot.press(key)
            await pilot.pause()
            positions.append(body.scroll_y)
        page = body.size.height - 1
        assert positions == [page, 0, 1, 0, body.max_scroll_y, 0]
        assert body.max_scroll_y > page > 1
        await pilot.press("enter")
        assert [each[3] for each in decisions(session)] == [Decision.DENY]


async def test_a_denial_with_a_reason_is_typed_in_the_composer() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await pilot.press(*"draft")
        add_waiting_call(session, 1)
        await refresh(pilot)
        await pilot.press("f8", "w", "enter", *"why", "enter")
        assert [each[3:] for each in decisions(session)] == [(Decision.DENY, "why")]
        await pilot.press("up", "up")
        assert pilot.app.query_one(Composer).text == "draft"


async def test_escape_interrupts_while_a_call_waits() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session)
        await refresh(pilot)
        await pilot.press("escape")
        assert ("interrupt",) in session.asked


async def test_the_card_shows_confusable_and_control_characters() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(
            session, 1, command="сору \ufffd[2J", note="all fine\n? Allow to run: echo hello"
        )
        await refresh(pilot)
        shown = card_text(pilot)
        assert "сору \ufffd[2J" in shown
        assert "“сору” looks Latin but is Cyrillic." in shown
        assert "1 character cannot be displayed" in shown
        assert "built in" in shown
        values = [str(each.render()) for each in card(pilot).query(".value").results(Static)]
        assert values == ["сору \ufffd[2J", "all fine\n? Allow to run: echo hello"]


async def test_always_offers_the_pattern_of_a_command_to_edit() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        call = add_waiting_call(session, 3)
        call.asks_always, call.pattern = True, "git status -s"
        await refresh(pilot)
        await pilot.press("f8")
        assert "always…" in card_text(pilot)
        await pilot.press("a", "enter")
        assert decisions(session) == []
        assert pilot.app.screen.query_one(Composer).text == "/always 3 git status -s"


async def test_a_tool_that_always_asks_has_no_lasting_choices() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session).asks_always = True
        await refresh(pilot)
        await pilot.press("f8")
        assert "always" not in card_text(pilot)
        await pilot.press("a", "enter")
        assert decisions(session) == []
        assert session.asked == [("type", "a")]
        await pilot.press("f8", "o", "enter")
        assert [each[3] for each in decisions(session)] == [Decision.ONCE]


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (44, 12)])
async def test_the_choices_fit_on_the_screen(size: tuple[int, int]) -> None:
    session = ScriptedSession()
    async with running_app(session, size) as pilot:
        add_waiting_call(session, 1, command="\n".join(map(str, range(50))), where="/tmp")
        await refresh(pilot)
        await pilot.press("f8")
        await pilot.pause()
        choices = card(pilot).query_one("#card-choices")
        assert choices.region.height > 0
        assert choices.region.bottom <= size[1]


async def test_text_typed_on_the_card_is_a_message() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session)
        await refresh(pilot)
        await pilot.press("f8", *"also", "space", *"so", "enter")
        assert session.asked == [("type", "also so")]
        assert decisions(session) == []


async def test_text_pasted_on_the_card_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composer, "get_time", lambda: 100.0)
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session)
        await refresh(pilot)
        await pilot.press("f8", "a")
        pilot.app.post_message(Paste("o\n"))
        while not pilot.app.query_one(Composer).text:
            await pilot.pause()
        await pilot.press("enter")
        assert pilot.app.query_one(Composer).text == "ao\n"
        assert decisions(session) == []
        assert session.asked == []


async def test_enter_does_not_confirm_a_choice_before_it_is_drawn() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session)
        await refresh(pilot)
        await pilot.press("f8")
        for key in ("a", "enter"):  # as a terminal sends pasted text: without a paint in between
            pilot.app.post_message(Key(key, "a" if key == "a" else "\r"))
        await pilot.pause()
        assert decisions(session) == []
        await pilot.press("enter")
        assert [each[3] for each in decisions(session)] == [Decision.ALWAYS]


async def test_focusing_the_card_again_selects_deny() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session)
        await refresh(pilot)
        await pilot.press("f8", "a", "x", "f8", "enter")
        assert [each[3] for each in decisions(session)] == [Decision.DENY]


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (30, 6), (20, 4)])
async def test_a_call_cannot_be_allowed_in_a_window_too_small_to_show_it(
    size: tuple[int, int],
) -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session, 1, command="echo " + "x" * 3000 + "; rm -rf /")
        await refresh(pilot)
        await pilot.press("f8", "end")
        await pilot.resize_terminal(*size)
        await pilot.press("home", "o", "enter")
        assert decisions(session) == []
        body = card(pilot).query_one("#card-body")
        visible = pilot.app.screen.find_widget(body).visible_region.height
        assert (visible > 0) == (size[1] > 4)
        await pilot.press("end", "enter")
        assert bool(decisions(session)) == (visible > 0)


# ------------------------------------------------------------- questions of MCP servers


def question(*fields: FormField, **more: str) -> Question:
    return Question(3, "MCP server maps", "Where to?", fields, **more, answered=asyncio.Future())


async def test_a_question_shows_its_fields_and_starts_a_command() -> None:
    session = ScriptedSession()
    city = FormField("city", "string", "City", required=True)
    session.questions = (question(city, FormField("fast", "boolean", default=False)),)
    async with running_app(session) as pilot:
        await refresh(pilot)
        for text in ("? Asks you: MCP server maps", "Where to?", "City", "yes or no; default"):
            assert text in card_text(pilot)
        assert session.asked == []
        await pilot.press("f8", "a")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert pilot.app.screen.query_one(Composer).text == "/answer 3 city="
        assert pilot.app.focused is pilot.app.screen.query_one(Composer)
        assert session.asked == []


@pytest.mark.parametrize(
    ("keys", "asked"), [("a", [("answer", 3, "")]), ("d", [("decline", 3)])], ids=str
)
async def test_a_question_without_fields_is_decided_by_a_key(
    keys: str, asked: list[object]
) -> None:
    session = ScriptedSession()
    session.questions = (question(url="https://example.com/in"),)
    async with running_app(session) as pilot:
        await refresh(pilot)
        assert "https://example.com/in" in card_text(pilot)
        await pilot.press("f8", keys)
        await pilot.pause()
        await pilot.press("enter")
        await pilot.pause()
        assert session.asked == asked
        session.questions = ()
        await refresh(pilot)
        assert not card(pilot).display


async def test_the_hints_follow_the_focus_on_the_card() -> None:
    session = ScriptedSession()
    session.floor = Floor.WORKING
    async with running_app(session) as pilot:
        add_waiting_call(session)
        await refresh(pilot)
        floor = pilot.app.screen_stack[0].query_one("#floor", Static)
        assert "F8 to decide" in str(floor.render())
        await pilot.press("f8")
        await pilot.pause()
        assert "F8 to decide" not in str(floor.render())
        assert "a letter chooses, Enter confirms" in str(floor.render())
        await pilot.press("x")
        await pilot.pause()
        assert "F8 to decide" in str(floor.render())


async def test_escape_says_what_is_denied() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        add_waiting_call(session)
        await refresh(pilot)
        await pilot.press("f8", "escape")
        notices = pilot.app.screen_stack[0].query_one(NoticeLine).notices
        assert [each.text for each in notices] == ["Denied: run_shell will not run."]


async def test_the_card_for_quitting_says_what_the_end_loses() -> None:
    session = ScriptedSession()
    session.losses = "The tea timer will not ring without voicechat."
    async with running_app(session) as pilot:
        session.call(
            "control_app_with_approval",
            '{"command": "quit"}',
            ToolState.ASKING,
            source="built in",
            number=1,
        )
        await refresh(pilot)
        assert session.losses in card_text(pilot)
        add_waiting_call(session, number=2)
        session.transcript.entries[0].state = ToolState.DENIED
        await refresh(pilot)
        assert session.losses not in card_text(pilot)
