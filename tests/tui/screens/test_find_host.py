"""Words are found in the conversation: match to match, highlighted."""

from __future__ import annotations

import asyncio

import pytest
from scripted import until
from scripted_session import ScriptedSession
from textual.pilot import Pilot
from textual.widgets import Static

from voicechat.core.items import ToolState
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets import transcript_view
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.find_bar import FindBar
from voicechat.tui.widgets.transcript_view import (
    PAGE_ENTRIES,
    WINDOW_ENTRIES,
    LaterTurnsHint,
    TranscriptView,
)


def screen(pilot: Pilot[None]) -> ConversationScreen:
    found = pilot.app.screen
    assert isinstance(found, ConversationScreen)
    return found


async def settled(pilot: Pilot[None]) -> None:
    await pilot.pause()
    async with asyncio.timeout(20):
        while any(each.group == "find" for each in pilot.app.workers):
            await pilot.pause()
    await pilot.pause()


def texts(view: TranscriptView) -> list[str]:
    return [line.entry_text.plain for line in view._mounted_lines()]


def count(pilot: Pilot[None]) -> str:
    text = str(screen(pilot).query_one("#find-count", Static).render())
    return text.split("  ")[0]


def marked(pilot: Pilot[None]) -> str:
    view = screen(pilot).query_one(TranscriptView)
    line = view._lines.get(view.marked or "")
    return line.entry_text.plain if line else ""


async def test_enter_and_the_arrows_go_from_match_to_match() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        session.you("a red boat")
        session.voiced("It is Red.")
        session.you("blue")
        await screen(pilot).flush()
        await pilot.press("ctrl+f", *"red")
        await settled(pilot)
        assert (count(pilot), marked(pilot)) == ("2 of 2", "It is Red.")
        strips = (
            screen(pilot)
            .query_one(".-marked", Static)
            .render_lines(screen(pilot).query_one(".-marked").region.reset_offset)
        )
        shown = [each for strip in strips for each in strip]
        assert any(each.text == "Red" and each.style and each.style.reverse for each in shown)
        await pilot.press("enter")
        await settled(pilot)
        assert (count(pilot), marked(pilot)) == ("1 of 2", "a red boat")
        await pilot.press("up")
        await settled(pilot)
        assert count(pilot) == "1 of 2"
        await pilot.press("down")
        await settled(pilot)
        assert count(pilot) == "2 of 2"
        await pilot.press("x")
        await settled(pilot)
        assert (count(pilot), marked(pilot)) == ("not found", "")
        await pilot.press("escape")
        await pilot.pause()
        assert not screen(pilot).query(FindBar)
        assert screen(pilot).query_one(Composer).has_focus
        assert session.asked == []


async def test_a_match_in_a_long_result_is_expanded() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        session.call("look", "{}", ToolState.DONE, output="x" * 500 + " needle", elapsed_ms=1.0)
        await screen(pilot).flush()
        await pilot.press(*"/find needle", "enter")
        await settled(pilot)
        assert "needle" in marked(pilot)
        await pilot.press("escape")
        await settled(pilot)
        lines = screen(pilot).query_one(TranscriptView)._lines.values()
        assert all("needle" not in line.entry_text.plain for line in lines)


async def test_an_entry_above_the_mounted_ones_is_found() -> None:
    session = ScriptedSession()
    session.you("the very first")
    for number in range(WINDOW_ENTRIES + 60):
        session.you(f"turn {number}")
    async with VoicechatApp(session).run_test() as pilot:
        await screen(pilot).open_find("very first")
        await settled(pilot)
        assert (count(pilot), marked(pilot)) == ("1 of 1", "the very first")


@pytest.fixture
def most(monkeypatch: pytest.MonkeyPatch) -> int:
    """Most mounted entries: fewer than usual, so that few leave the window."""
    monkeypatch.setattr(transcript_view, "MAX_ENTRIES", 200)
    return 200


async def test_the_whole_conversation_is_searched_and_one_gets_back_to_its_end(most: int) -> None:
    session = ScriptedSession()
    session.you("the very first")
    for number in range(most * 2):
        session.you(f"turn {number}")
    async with VoicechatApp(session).run_test() as pilot:
        view = screen(pilot).query_one(TranscriptView)
        await screen(pilot).open_find("very first")
        await settled(pilot)
        assert (count(pilot), marked(pilot)) == ("1 of 1", "the very first")
        assert len(view._lines) <= most
        assert len(view.query(LaterTurnsHint)) == 1
        session.you("said meanwhile")
        await screen(pilot).flush()
        assert (view.has_new_below, view.follows) == (True, False)
        assert "said meanwhile" not in texts(view)
        await pilot.press("escape")
        before = texts(view)[-1]
        view.scroll_end(animate=False)
        await pilot.pause()
        await pilot.press("pagedown")
        await until(lambda: texts(view)[-1] != before)
        numbers = [int(text.split()[1]) for text in texts(view)[1:]]
        assert numbers == list(range(len(numbers))), "no gap"
        await pilot.press("f9")
        await until(lambda: texts(view)[-1] == "said meanwhile" and view.follows)
        assert not view.query(LaterTurnsHint)
        await screen(pilot).open_find("very first")
        await settled(pilot)
        await pilot.press("escape", *"hi", "enter")
        session.you("hi")
        await until(lambda: texts(view)[-1] == "hi" and view.follows)


async def test_page_up_reaches_the_start_of_a_long_conversation(most: int) -> None:
    session = ScriptedSession()
    for number in range(most + PAGE_ENTRIES):
        session.you(f"turn {number}")
    async with VoicechatApp(session).run_test() as pilot:
        view = screen(pilot).query_one(TranscriptView)
        while texts(view)[0] != "turn 0":
            # The lines of the page before may still be laid out, which moves the view.
            view.scroll_home(animate=False)
            await pilot.press("pageup")
            await settled(pilot)
        assert len(view._lines) == most
        assert view.query(LaterTurnsHint)


@pytest.mark.parametrize("size", [(44, 12), (20, 5), (1, 1)])
async def test_the_bar_draws_at_every_size(size: tuple[int, int]) -> None:
    session = ScriptedSession()
    session.you("hello [b]there[/b]")
    async with VoicechatApp(session).run_test(size=size) as pilot:
        await screen(pilot).open_find("[b]")
        await settled(pilot)
        assert count(pilot) == "1 of 1"
