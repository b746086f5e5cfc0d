"""Keys that arrive at once, as a slow line or a fast hand delivers them."""

from __future__ import annotations

import asyncio

from scripted import until
from scripted_session import ScriptedSession
from textual import events
from textual.command import CommandList
from textual.pilot import Pilot

from voicechat.tui.app import VoicechatApp
from voicechat.tui.widgets.composer import Composer


async def burst(pilot: Pilot[int], *keys: str) -> None:
    """Post all keys before the first one is handled."""
    for key in keys:
        pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
    for _ in range(20):
        await pilot.pause()
        await asyncio.sleep(0)


async def test_two_letters_over_the_help_close_it_once_and_are_typed() -> None:
    async with VoicechatApp(ScriptedSession()).run_test() as pilot:
        await pilot.press("f1")
        await pilot.pause()
        assert len(pilot.app.screen_stack) == 2
        await burst(pilot, "a", "b")
        assert len(pilot.app.screen_stack) == 1
        assert pilot.app.query_one(Composer).text == "ab"


async def test_the_palette_runs_a_command_once() -> None:
    async with VoicechatApp(ScriptedSession()).run_test() as pilot:
        await pilot.press("ctrl+p")
        await until(lambda: pilot.app.screen.query_one(CommandList).option_count > 1)
        await pilot.press("down")
        await burst(pilot, "enter", "enter")
        assert len(pilot.app.screen_stack) == 1
