"""Keys of the lists while these have no line on the screen: too small, or not laid out yet."""

from __future__ import annotations

import asyncio

import pytest
from scripted_session import ScriptedSession
from textual.command import CommandList, CommandPalette
from textual.widgets import OptionList

from voicechat.tui.app import VoicechatApp

MOVES = ("pagedown", "pageup", "down", "end", "tab")


@pytest.mark.parametrize("size", [(80, 3)], ids=["low"])
async def test_every_list_takes_its_keys_at_once(size: tuple[int, int]) -> None:
    app = VoicechatApp(ScriptedSession())
    async with app.run_test(size=size) as pilot:
        for opening in (("ctrl+p",), ("f7",), ("f1",), ("/", "m")):
            await pilot.press(*opening, *MOVES, "escape", "escape")
            await pilot.pause()
            assert app._exception is None, opening


@pytest.mark.parametrize("move", ["page_down", "page_up"])
async def test_the_palette_ignores_moves_before_its_list_has_lines(move: str) -> None:
    app = VoicechatApp(ScriptedSession())
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p")
        palette = app.screen
        assert isinstance(palette, CommandPalette)
        shown = palette.query_one(CommandList)
        async with asyncio.timeout(15):
            while not shown.option_count:
                await pilot.pause(0.01)
        shown.highlighted = 0
        shown.styles.height = 0
        await pilot.pause()
        assert not shown.scrollable_content_region
        await app.run_action(f"command_list('{move}')", palette)
        shown.styles.height = "auto"
        await pilot.pause()
        assert shown.scrollable_content_region
        await app.run_action(f"command_list('{move}')", palette)
        assert app._exception is None
        assert shown.highlighted is not None


async def test_the_turns_of_the_history_ignore_moves_before_they_have_lines() -> None:
    app = VoicechatApp(ScriptedSession())
    async with app.run_test() as pilot:
        await pilot.press("f7")
        turns = app.screen.query_one("#history-turns", OptionList)
        turns.styles.height = 0
        await pilot.pause()
        turns.add_options(["one", "two"])
        turns.highlighted = 0
        await app.run_action("page_down", turns)
        await app.run_action("page_up", turns)
        assert app._exception is None
