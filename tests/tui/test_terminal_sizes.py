"""The screen in terminals of every small size."""

from __future__ import annotations

import asyncio
import itertools

import pytest
import scenes
from scripted_session import ScriptedSession
from textual import events
from textual.app import App
from textual.geometry import Size
from textual.pilot import Pilot
from textual.screen import Screen

from voicechat.core.items import Item, Role
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.composer import Composer

SIZES = [Size(width, height) for width in range(30, 0, -1) for height in range(12, 0, -1)]
TINY_SIZES = [Size(width, height) for width in range(1, 7) for height in range(1, 4)]


async def resize(app: App[None], size: Size) -> None:
    """Resize the terminal and paint, without the delay that joins several resizes."""
    app._size, app._resize_event = size, events.Resize(size, size)
    app._check_resize()
    for _ in range(10_000):
        await asyncio.sleep(0)
        if app.screen._compositor.size == size or app._exception is not None:
            break
    assert app._exception is None, f"The app ended at {size}."
    assert app.screen._compositor.size == size


async def test_every_small_size_draws_while_an_answer_streams() -> None:
    session = ScriptedSession(hands_free=False)
    app = VoicechatApp(session)
    async with app.run_test():
        screen = app.screen_stack[0]
        assert isinstance(screen, ConversationScreen)
        answer = Item("a", Role.ASSISTANT, "", spoken=True, heard_chars=0)
        session.put(answer)
        words = itertools.cycle(
            ["a", "wörd", "漢字", "👨\u200d👩\u200d👧", "https://example.org/a/path"]
        )
        for size in SIZES:
            answer.text = f"{answer.text[-60:]} {next(words)}"
            session.changed(answer)
            await screen.flush()
            await resize(app, size)
        assert session.asked == []


@pytest.mark.parametrize("keys", [("f1",), ("ctrl+p",), ("f8", "o"), ("漢", "ctrl+j", "b")])
async def test_every_tiny_size_draws_everything(keys: tuple[str, ...]) -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        scenes.asking(session)
        session.sound("No microphone was found.", "Connect a device, or type.")
        screen = app.screen_stack[0]
        assert isinstance(screen, ConversationScreen)
        await screen.flush()
        await pilot.press(*keys)
        for size in TINY_SIZES:
            await resize(app, size)


@pytest.mark.parametrize("keys", [(), ("f8",), ("f1",), ("f6",), ("slash",)], ids=str)
async def test_an_idle_screen_of_one_column_is_not_laid_out_again_and_again(
    keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    layouts = []
    lay_out = Screen._refresh_layout

    def count(screen: Screen[None], size: Size | None = None, scroll: bool = False) -> None:
        layouts.append(screen)
        lay_out(screen, size, scroll)

    session = ScriptedSession(hands_free=False)
    async with VoicechatApp(session).run_test(size=(1, 10)) as pilot:
        if keys:
            scenes.asking(session)
        await pilot.press(*keys)
        for _ in range(10):  # until the last change is drawn
            await pilot.pause()
        monkeypatch.setattr(Screen, "_refresh_layout", count)
        for _ in range(10):
            await pilot.pause()
    assert len(layouts) <= 3, "ten pauses of an endless repetition have at least ten"


async def test_a_storm_of_sizes_ends_in_the_last_one() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        screen = app.screen_stack[0]
        assert isinstance(screen, ConversationScreen)
        answer = Item("a", Role.ASSISTANT, "", spoken=True, heard_chars=0)
        session.put(answer)
        for number, size in enumerate([Size(500, 200), *SIZES[::4], Size(500, 200), Size(70, 20)]):
            app.post_message(events.Resize(size, size))
            answer.text += f" {number} 漢字"
            session.changed(answer)
            await asyncio.sleep(0)
        await pilot.pause()
        async with asyncio.timeout(20):
            while screen._compositor.size != Size(70, 20):
                await pilot.pause()
        assert app._exception is None


async def composer_at(pilot: Pilot[None], size: Size) -> Composer:
    await resize(pilot.app, size)
    await pilot.pause()
    return pilot.app.screen.query_one(Composer)


@pytest.mark.parametrize("size", [Size(1, 1), Size(2, 1), Size(6, 1), Size(20, 3), Size(3, 12)])
async def test_the_composer_is_visible_at_every_size(size: Size) -> None:
    async with VoicechatApp(ScriptedSession()).run_test() as pilot:
        composer = await composer_at(pilot, size)
        assert composer.content_size.width >= 1
        assert composer.content_size.height >= 1
        assert composer.content_region in pilot.app.screen.region
