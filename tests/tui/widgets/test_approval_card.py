"""The card of a tool that waits: it shows the truth, and only a key that is meant decides."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted_session import ScriptedSession
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Static

from voicechat.core.inputs import Decision
from voicechat.core.items import ToolCall, ToolState
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.approval_card import ApprovalCard
from voicechat.tui.widgets.composer import Composer


@asynccontextmanager
async def showing(
    session: ScriptedSession, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Pilot[None]]:
    async with VoicechatApp(session).run_test(size=size, notifications=True) as pilot:
        yield pilot


async def look(pilot: Pilot[None]) -> None:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ConversationScreen)
    await screen.flush()
    await pilot.pause()


def asks(session: ScriptedSession, number: int = 1, **arguments: object) -> ToolCall:
    text = json.dumps(arguments or {"command": "ls -la"}, ensure_ascii=False)
    more: dict[str, object] = {"source": "built in", "number": number}
    return session.call("run_shell", text, ToolState.ASKING, **more)


def card(pilot: Pilot[None]) -> ApprovalCard:
    return pilot.app.screen_stack[0].query_one(ApprovalCard)


def words(pilot: Pilot[None]) -> str:
    """Everything on the card."""
    parts = [str(static.render()) for static in card(pilot).query(Static)]
    return "\n".join(parts)


def decisions(session: ScriptedSession) -> list[tuple[object, ...]]:
    return [each for each in session.asked if each[0] == "decide"]


async def test_typing_decides_nothing_and_the_key_on_the_card_does() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        await pilot.press("t", "o")
        call = asks(session)
        await look(pilot)
        await pilot.press("o", "a", "s", "d", "enter")
        assert decisions(session) == []
        assert session.asked == [("type", "tooasd")]
        await pilot.press("f8", "o", "enter")
        assert decisions(session) == [("decide", "call_0", call.arguments, Decision.ONCE, "")]
        await look(pilot)
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
async def test_the_keys_of_the_card(keys: list[str], decision: Decision | None) -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session)
        await look(pilot)
        await pilot.press("f8", *keys)
        assert [each[3] for each in decisions(session)] == ([decision] if decision else [])


async def test_the_next_call_must_be_gone_to_anew() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session, 1)
        asks(session, 2, command="rm -rf /")
        await look(pilot)
        assert "1 more waits" in words(pilot)
        await pilot.press("f8", "o", "enter", "o", "enter")
        await look(pilot)
        await pilot.press("o", "enter")
        assert [each[1] for each in decisions(session)] == ["call_0"]
        assert "rm -rf /" in words(pilot)


async def test_a_call_that_takes_the_place_of_another_is_not_decided_on_by_its_key() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        first = asks(session, 1)
        asks(session, 2, command="rm -rf /")
        await look(pilot)
        await pilot.press("f8")
        first.state = ToolState.CANCELLED
        session.changed(first)
        await look(pilot)
        await pilot.press("o", "enter")
        assert decisions(session) == []


async def test_a_key_that_overtakes_the_screen_decides_on_what_was_shown() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        first = asks(session, 1)
        await look(pilot)
        await pilot.press("f8")
        shown = first.arguments
        first.arguments = '{"command": "rm -rf /"}'
        await pilot.press("o", "enter")
        assert [each[2] for each in decisions(session)] == [shown]


async def test_what_is_longer_than_the_card_is_read_to_its_end_first() -> None:
    session = ScriptedSession()
    script = "\n".join(f"echo line {number}" for number in range(60)) + "\nrm -rf /"
    async with showing(session) as pilot:
        asks(session, 1, command=script)
        await look(pilot)
        await pilot.press("f8", "o", "enter")
        assert decisions(session) == []
        assert "Read to the end first" in words(pilot)
        await pilot.press("end", "enter")
        assert [each[3] for each in decisions(session)] == [Decision.ONCE]


async def test_it_can_be_paged_and_denied_unread() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session, 1, command="\n".join(map(str, range(20))))
        await look(pilot)
        await pilot.press("f8", "pagedown", "pageup", "down", "up", "home", "enter")
        assert [each[3] for each in decisions(session)] == [Decision.DENY]


async def test_words_go_with_a_denial_through_the_line_one_types_in() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        await pilot.press(*"draft")
        asks(session, 1)
        await look(pilot)
        await pilot.press("f8", "w", "enter", *"why", "enter")
        assert [each[3:] for each in decisions(session)] == [(Decision.DENY, "why")]
        await pilot.press("up", "up")
        assert pilot.app.query_one(Composer).text == "draft"


async def test_esc_denies() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session)
        await look(pilot)
        await pilot.press("escape")
        assert ("interrupt",) in session.asked


async def test_it_shows_the_truth() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session, 1, command="сору \ufffd[2J", note="all fine\n? Allow to run: echo hello")
        await look(pilot)
        shown = words(pilot)
        assert "сору \ufffd[2J" in shown
        assert "“сору” looks Latin but is Cyrillic." in shown
        assert "1 character cannot be displayed" in shown
        assert "built in" in shown
        values = [str(each.render()) for each in card(pilot).query(".value").results(Static)]
        assert values == ["сору \ufffd[2J", "all fine\n? Allow to run: echo hello"]


async def test_a_tool_that_asks_each_time_offers_no_lasting_answer() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session).asks_always = True
        await look(pilot)
        await pilot.press("f8")
        assert "always" not in words(pilot)
        await pilot.press("a", "enter")
        assert decisions(session) == []
        assert session.asked == [("type", "a")]
        await pilot.press("f8", "o", "enter")
        assert [each[3] for each in decisions(session)] == [Decision.ONCE]


@pytest.mark.parametrize("size", [(80, 24), (60, 20), (44, 12)])
async def test_there_is_room_for_the_choices(size: tuple[int, int]) -> None:
    session = ScriptedSession()
    async with showing(session, size) as pilot:
        asks(session, 1, command="\n".join(map(str, range(50))), where="/tmp")
        await look(pilot)
        await pilot.press("f8")
        await pilot.pause()
        choices = card(pilot).query_one("#card-choices")
        assert choices.region.height > 0
        assert choices.region.bottom <= size[1]


async def test_a_sentence_typed_at_the_card_is_a_message_and_decides_nothing() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session)
        await look(pilot)
        await pilot.press("f8", *"also", "space", *"so", "enter")
        assert session.asked == [("type", "also so")]
        assert decisions(session) == []


async def test_what_is_pasted_at_the_card_is_a_message_and_decides_nothing() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session)
        await look(pilot)
        await pilot.press("f8", "a")
        pilot.app.post_message(Paste("o\n"))
        while not pilot.app.query_one(Composer).text:
            await pilot.pause()
        await pilot.press("enter")
        assert pilot.app.query_one(Composer).text == "ao\n\n"
        assert decisions(session) == []
        assert session.asked == []


async def test_a_choice_that_was_not_drawn_yet_is_not_taken() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session)
        await look(pilot)
        await pilot.press("f8")
        for key in ("a", "enter"):  # as a terminal sends what was pasted, without a look between
            pilot.app.post_message(Key(key, "a" if key == "a" else "\r"))
        await pilot.pause()
        assert decisions(session) == []
        await pilot.press("enter")
        assert [each[3] for each in decisions(session)] == [Decision.ALWAYS]


async def test_going_back_to_the_card_marks_the_denial_again() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session)
        await look(pilot)
        await pilot.press("f8", "a", "x", "f8", "enter")
        assert [each[3] for each in decisions(session)] == [Decision.DENY]


@pytest.mark.parametrize("size", [(80, 24), (40, 10), (30, 6), (20, 4)])
async def test_nothing_is_allowed_that_the_window_cannot_show(size: tuple[int, int]) -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        asks(session, 1, command="echo " + "x" * 3000 + "; rm -rf /")
        await look(pilot)
        await pilot.press("f8", "end")
        await pilot.resize_terminal(*size)
        await pilot.press("home", "o", "enter")
        assert decisions(session) == []
        body = card(pilot).query_one("#card-body")
        seen = pilot.app.screen.find_widget(body).visible_region.height
        await pilot.press("end", "enter")
        assert bool(decisions(session)) == (seen > 0)
