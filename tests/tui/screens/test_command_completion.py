"""Completion on the screen: the list, its keys, and what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted_session import ScriptedSession
from textual.pilot import Pilot
from textual.widgets import Static

from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.screens.picker_screen import PickerScreen
from voicechat.tui.widgets.completion_list import MAX_ROWS, CompletionList
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.notice_line import NoticeLine


@asynccontextmanager
async def typed(session: ScriptedSession, *keys: str) -> AsyncIterator[Pilot[None]]:
    """Run the app, press the keys, and wait for the completions."""
    async with VoicechatApp(session).run_test() as pilot:
        await press(pilot, *keys)
        yield pilot


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press the keys, and wait until the completions belong to the text."""
    await pilot.press(*keys)
    composer, shown = pilot.app.query_one(Composer), pilot.app.query_one(CompletionList)
    async with asyncio.timeout(30):
        while shown.line != composer.text:
            await pilot.pause()
    await pilot.pause()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for completions on a busy machine."""
    screen = "voicechat.tui.screens.composer_host"
    monkeypatch.setattr(f"{screen}._COMPLETION_TIMEOUT_S", 30.0)


def offered(pilot: Pilot[None]) -> list[str]:
    rows = pilot.app.query_one(CompletionList)
    text = str(Static.render(rows))
    return [row.split("  ")[0].removeprefix("› ").strip() for row in text.splitlines()] * (
        rows.display
    )


def composer_text(pilot: Pilot[None]) -> str:
    return pilot.app.query_one(Composer).text


async def test_a_slash_opens_the_list_and_text_closes_it() -> None:
    async with typed(ScriptedSession(), "/") as pilot:
        assert len(offered(pilot)) == MAX_ROWS
        await press(pilot, "v", "o")
        assert len(offered(pilot)) == 3
        await press(pilot, "x", "y")
        assert offered(pilot) == []


async def test_tab_completes_a_command_and_then_its_argument() -> None:
    session = ScriptedSession()
    session.voices = ("alba", "cosette")
    async with typed(session, "/", "v", "o", "i", "tab") as pilot:
        assert composer_text(pilot) == "/voice "
        await press(pilot, "c")
        assert pilot.app.focused is pilot.app.query_one(Composer)
        await press(pilot, "tab")
        assert composer_text(pilot) == "/voice cosette"
        assert offered(pilot) == []
        assert session.asked == []


async def test_a_slash_alone_is_not_sent() -> None:
    session = ScriptedSession()
    async with typed(session, "/", "enter") as pilot:
        assert session.asked == []
        assert composer_text(pilot).startswith("/")
    async with typed(session, "/", "escape", "enter") as pilot:
        assert session.asked == []
        [notice] = pilot.app.query_one(NoticeLine).notices
        assert notice.text == "A slash alone is not a command. /help lists the commands."


async def test_the_arrows_select_and_enter_runs_a_command_without_argument() -> None:
    session = ScriptedSession()
    async with typed(session, "/", "m", "u", "enter") as pilot:
        assert session.asked == [("set_muted", True)]
        assert composer_text(pilot) == ""
    async with typed(ScriptedSession(), "/", "m", "down", "down", "up") as pilot:
        [selected] = [pilot.app.query_one(CompletionList).selected]
        assert selected is not None
        assert selected.label == "/microphone"
        await press(pilot, "enter")
        assert composer_text(pilot) == "/microphone "


async def test_enter_sends_a_whole_command_as_it_is() -> None:
    session = ScriptedSession()
    session.voices = ("alba", "cosette")
    async with typed(session, *"/voice", "enter") as pilot:
        assert isinstance(pilot.app.screen, PickerScreen)
    async with typed(session, *"/voice al", "enter") as pilot:
        [notice] = pilot.app.query_one(NoticeLine).notices
        assert notice.text == (
            "local/built-in has no voice 'al'. The voice is still en-gb. Did you mean alba?"
        )


async def test_escape_closes_the_list_only() -> None:
    session = ScriptedSession()
    async with typed(session, "/", "escape") as pilot:
        assert offered(pilot) == []
        assert session.asked == []
        assert composer_text(pilot) == "/"


async def test_keys_act_in_the_order_of_typing() -> None:
    session = ScriptedSession()
    session.voices = ("alba", "cosette")
    async with typed(session, *"/voice ") as pilot:
        assert offered(pilot)
        # A terminal delivers these at once, before the list is up to date.
        await press(pilot, *"nope", "enter")
        [notice] = pilot.app.query_one(NoticeLine).notices
        assert "no voice 'nope'" in notice.text
        assert composer_text(pilot) == ""


async def test_a_recalled_command_opens_no_list() -> None:
    async with typed(ScriptedSession(), *"/levels x", "enter") as pilot:
        await press(pilot, *"hello", "enter")
        await press(pilot, "up", "up")
        assert composer_text(pilot) == "/levels x"
        await press(pilot, "down")
        assert composer_text(pilot) == "hello"


async def test_a_click_completes() -> None:
    async with typed(ScriptedSession(), *"/mo") as pilot:
        await pilot.click(CompletionList, offset=(4, 0))
        await pilot.pause()
        assert composer_text(pilot) == "/model "
        assert pilot.app.focused is pilot.app.query_one(Composer)


@pytest.mark.parametrize("size", [(80, 24), (20, 6), (3, 2)])
async def test_the_list_draws_at_every_size(size: tuple[int, int]) -> None:
    async with VoicechatApp(ScriptedSession()).run_test(size=size) as pilot:
        await press(pilot, "/", "down")
        assert isinstance(pilot.app.screen, ConversationScreen)
        strips = pilot.app.screen._compositor.render_strips()
        assert [strip.cell_length for strip in strips] == [size[0]] * size[1]
