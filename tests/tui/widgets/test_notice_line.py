"""The notice line: equal notices merge, important ones first, time that pauses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.content import Content
from textual.screen import Screen

from voicechat.core.effects import Level
from voicechat.tui.widgets.notice_line import MAX_SHOWN, NoticeLine


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class OneLine(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()

    def compose(self) -> ComposeResult:
        yield NoticeLine(self.clock)


@asynccontextmanager
async def shown_line() -> AsyncIterator[tuple[OneLine, NoticeLine]]:
    app = OneLine()
    async with app.run_test():
        yield app, app.query_one(NoticeLine)


def text(line: NoticeLine) -> str:
    content = line.render()
    assert isinstance(content, Content)
    return content.plain


async def test_there_is_no_line_without_a_notice() -> None:
    async with shown_line() as (app, line):
        assert not line.display
        line.show("Saved.")
        assert line.display
        app.clock.now = 5.0
        line.expire()
        assert not line.display


async def test_equal_notices_merge() -> None:
    async with shown_line() as (_, line):
        for _ in range(3):
            line.show("The network is slow.", Level.WARNING)
        assert text(line) == "▲ The network is slow.  ×3"
        line.show("The network is slow.", Level.ERROR)
        assert text(line) == "✗ The network is slow."
        assert len(line.notices) == 2


async def test_a_repeated_notice_starts_its_time_again() -> None:
    async with shown_line() as (app, line):
        line.show("Saved.")
        app.clock.now = 4.0
        line.show("Saved.")
        app.clock.now = 8.0
        line.expire()
        assert text(line) == "Saved.  ×2"


async def test_a_less_important_notice_waits_below() -> None:
    async with shown_line() as (app, line):
        line.show("Broken.", Level.ERROR, seconds=3.0)
        line.show("Saved.", seconds=5.0)
        assert text(line) == "✗ Broken."
        app.clock.now = 3.0
        line.expire()
        assert text(line) == "Saved."


async def test_a_reply_covers_an_older_warning_and_then_ends() -> None:
    async with shown_line() as (app, line):
        line.show("The network is slow.", Level.WARNING, seconds=10.0)
        line.show("The model is x.", is_reply=True)
        line.show("Saved.")
        assert text(line) == "Saved."
        line.show("The volume is 50 percent.", is_reply=True)
        assert text(line) == "The volume is 50 percent."
        assert "The model is x." not in [each.text for each in line.notices]
        line.show("It broke.", Level.ERROR)
        assert text(line) == "✗ It broke."
        line.end_reply()
        app.clock.now = 5.0
        line.expire()
        assert text(line) == "▲ The network is slow."


async def test_the_time_stands_still_under_another_screen() -> None:
    async with shown_line() as (app, line):
        line.show("Saved.")
        await app.push_screen(Screen())
        app.clock.now = 60.0
        line.expire()
        assert line.display
        app.pop_screen()
        line.expire()
        assert not line.display


async def test_notices_are_bounded() -> None:
    async with shown_line() as (_, line):
        for number in range(1_000):
            line.show(f"Notice {number}.")
        assert len(line.notices) == MAX_SHOWN
        assert text(line) == "Notice 999."


@pytest.mark.parametrize(
    ("given", "shown"), [("[b]x[/] \x1b[31m\n\n y", "[b]x[/] \ufffd[31m y"), (" \n ", "")]
)
async def test_a_notice_is_one_clean_line(given: str, shown: str) -> None:
    async with shown_line() as (_, line):
        line.show(given)
        assert text(line) == shown


async def test_a_warning_that_is_over_is_removed_at_once() -> None:
    async with shown_line() as (app, line):
        line.show("The microphone M delivers only silence. Check its switch.", Level.WARNING, 10.0)
        line.show("The disk is full.", Level.WARNING, 2.0)
        line.show(
            "The microphone M delivers sound.", ends="The microphone M delivers only silence."
        )
        assert [each.text for each in line.notices] == [
            "The microphone M delivers sound.",
            "The disk is full.",
        ]
        app.clock.now = 3.0
        line.expire()
        assert text(line) == "The microphone M delivers sound."
