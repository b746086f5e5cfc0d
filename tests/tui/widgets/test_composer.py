"""Typing: what sends, what makes a line, what is recalled, and the talk key."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from scripted_session import ScriptedSession
from textual import events
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from voicechat.tui.app import VoicechatApp
from voicechat.tui.widgets import composer as module
from voicechat.tui.widgets.composer import Composer, HeldKey


class Alone(App[None]):
    """A composer and nothing else."""

    def compose(self) -> ComposeResult:
        yield Composer()


class Bench:
    """A running composer and the messages it sent."""

    def __init__(self, pilot: Pilot[None], messages: list[Message]) -> None:
        self.pilot = pilot
        self.composer = pilot.app.query_one(Composer)
        self._messages = messages

    def heard(self) -> list[Message]:
        told = (Composer.Sent, Composer.TalkKey)
        return [message for message in self._messages if isinstance(message, told)]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    messages: list[Message] = []

    def keep(message: Message) -> None:
        if message not in messages:
            messages.append(message)

    async with Alone().run_test(message_hook=keep) as pilot:
        pilot.app.query_one(Composer).focus()
        await pilot.pause()
        yield Bench(pilot, messages)


async def test_enter_sends_and_empties(bench: Bench) -> None:
    await bench.pilot.press(*"hi", "space", *"you", "enter")
    assert bench.heard() == [Composer.Sent("hi you")]
    assert bench.composer.text == ""


async def test_blanks_are_not_sent(bench: Bench) -> None:
    await bench.pilot.press("space", "space", "enter")
    assert bench.heard() == []


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
async def test_a_new_line_is_not_sent(bench: Bench, key: str) -> None:
    await bench.pilot.press("a", key, "b", "enter")
    assert bench.heard() == [Composer.Sent("a\nb")]


async def test_a_paste_never_sends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "monotonic", lambda: 100.0)
    bench.pilot.app.post_message(events.Paste("one\rtwo\nthree"))
    await bench.pilot.pause()
    await bench.pilot.press("enter")
    assert bench.heard() == []
    monkeypatch.setattr(module, "monotonic", lambda: 101.0)
    await bench.pilot.press("enter")
    [sent] = bench.heard()
    assert isinstance(sent, Composer.Sent)
    assert sent.text.split() == ["one", "two", "three"]


async def test_a_large_paste_stays_text(bench: Bench) -> None:
    bench.pilot.app.post_message(events.Paste("words and more \x1b[201~ words\n" * 4000))
    await bench.pilot.pause()
    assert len(bench.composer.text) > 100_000
    assert bench.heard() == []


async def test_up_and_down_walk_through_what_was_sent(bench: Bench) -> None:
    await bench.pilot.press("a", "enter", "b", "enter", "up")
    assert bench.composer.text == "b"
    await bench.pilot.press("up")
    assert bench.composer.text == "a"
    await bench.pilot.press("up", "down")
    assert bench.composer.text == "b"
    await bench.pilot.press("down")
    assert bench.composer.text == ""


async def test_up_leaves_a_text_being_typed_alone(bench: Bench) -> None:
    await bench.pilot.press("a", "enter", "x", "up")
    assert bench.composer.text == "x"


async def test_an_edited_recalled_message_is_a_text_being_typed(bench: Bench) -> None:
    await bench.pilot.press("a", "enter", "b", "enter", "up", "c", "up")
    assert bench.composer.text == "bc"


async def test_space_talks_only_with_nothing_typed(bench: Bench) -> None:
    bench.composer.space_talks = True
    await bench.pilot.press("a", "space")
    assert bench.heard() == []
    await bench.pilot.press("enter", "space")
    assert bench.heard()[1:] == [Composer.TalkKey()]
    assert bench.composer.text == ""


async def test_space_is_a_blank_when_it_does_not_talk(bench: Bench) -> None:
    await bench.pilot.press("space", "a")
    assert bench.composer.text == " a"


async def test_a_held_space_talks_until_it_is_let_go(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RELEASED", 0.01)
    clock = iter([10.0, 10.5, 10.53, 10.56, 10.59])
    monkeypatch.setattr(module, "monotonic", lambda: next(clock))
    bench.composer.space_talks = True
    await bench.pilot.press(*["space"] * 5)
    await bench.pilot.pause(0.05)
    assert bench.heard() == [Composer.TalkKey(), Composer.TalkKey(released=True)]


def test_two_taps_are_two_presses_and_repeats_are_none() -> None:
    key = HeldKey()
    assert key.press(0.0)
    assert key.press(2.0)
    assert not key.held
    assert not key.press(2.5)
    assert not key.press(2.53)
    assert not key.held
    assert not key.press(2.56)
    assert key.held
    assert key.press(9.0)
    assert not key.held


async def test_every_printable_character_is_typed_and_presses_nothing() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        characters = "qhmnt?!/[]$:;äß漢"
        await pilot.press(*characters)
        composer = pilot.app.screen.query_one(Composer)
        assert composer.text == characters
    assert session.asked in ([], [("close",)])
