"""The composer: sending, new lines, recalled messages and the talk key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from scripted_session import ScriptedSession
from textual import events
from textual.app import App, ComposeResult
from textual.message import Message
from textual.pilot import Pilot

from voicechat.tui.app import VoicechatApp
from voicechat.tui.key_repeat import RELEASE_S
from voicechat.tui.widgets import composer as composer_module
from voicechat.tui.widgets.composer import Composer


class ComposerApp(App[None]):
    """An app with only a composer."""

    def compose(self) -> ComposeResult:
        yield Composer()


class ComposerDriver:
    """A running composer and the messages that it posted."""

    def __init__(self, pilot: Pilot[None], messages: list[Message]) -> None:
        self.pilot = pilot
        self.composer = pilot.app.query_one(Composer)
        self._messages = messages

    def posted(self) -> list[Message]:
        posted_types = (Composer.Sent, Composer.TalkKey)
        return [message for message in self._messages if isinstance(message, posted_types)]

    async def press_space(self, time: float) -> None:
        """Press Space at this time in seconds."""
        key = events.Key("space", " ")
        key.time = time
        self.composer.post_message(key)
        await self.pilot.pause()


@pytest.fixture
async def driver() -> AsyncIterator[ComposerDriver]:
    messages: list[Message] = []

    def record(message: Message) -> None:
        # The hook runs again for every widget that a message bubbles to.
        if not any(each is message for each in messages):
            messages.append(message)

    async with ComposerApp().run_test(message_hook=record) as pilot:
        pilot.app.query_one(Composer).focus()
        await pilot.pause()
        yield ComposerDriver(pilot, messages)


async def test_enter_sends_the_text_and_clears_the_composer(driver: ComposerDriver) -> None:
    await driver.pilot.press(*"hi", "space", *"you", "enter")
    assert driver.posted() == [Composer.Sent("hi you")]
    assert driver.composer.text == ""


async def test_blank_text_is_not_sent(driver: ComposerDriver) -> None:
    await driver.pilot.press("space", "space", "enter")
    assert driver.posted() == []


@pytest.mark.parametrize("key", ["ctrl+j", "shift+enter", "alt+enter"])
async def test_a_new_line_key_does_not_send(driver: ComposerDriver, key: str) -> None:
    await driver.pilot.press("a", key, "b", "enter")
    assert driver.posted() == [Composer.Sent("a\nb")]


async def test_enter_after_a_paste_does_not_send(
    driver: ComposerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composer_module, "get_time", lambda: 100.0)
    driver.pilot.app.post_message(events.Paste("one\rtwo\nthree"))
    await driver.pilot.pause()
    await driver.pilot.press("enter")
    assert driver.posted() == []
    monkeypatch.setattr(composer_module, "get_time", lambda: 101.0)
    await driver.pilot.press("enter")
    [sent] = driver.posted()
    assert isinstance(sent, Composer.Sent)
    assert sent.text.split() == ["one", "two", "three"]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\n\n"])
async def test_a_paste_that_ends_in_a_newline_leaves_no_empty_line(
    driver: ComposerDriver, end: str
) -> None:
    driver.pilot.app.post_message(events.Paste(f"one{end}two{end}"))
    await driver.pilot.pause()
    assert driver.composer.text.splitlines()[0] == "one"
    assert driver.composer.text.endswith("two")


async def test_a_paste_replaces_the_selection(driver: ComposerDriver) -> None:
    await driver.pilot.press(*"abc", "shift+left", "shift+left")
    driver.pilot.app.post_message(events.Paste("漢字"))
    await driver.pilot.pause()
    await driver.pilot.press("x")
    assert driver.composer.text == "a漢字x"


async def test_a_large_paste_does_not_send(driver: ComposerDriver) -> None:
    driver.pilot.app.post_message(events.Paste("words and more \x1b[201~ words\n" * 4000))
    await driver.pilot.pause()
    assert len(driver.composer.text) > 100_000
    assert driver.posted() == []


async def test_up_and_down_recall_sent_messages(driver: ComposerDriver) -> None:
    await driver.pilot.press("a", "enter", "b", "enter", "up")
    assert driver.composer.text == "b"
    await driver.pilot.press("up")
    assert driver.composer.text == "a"
    await driver.pilot.press("up", "down")
    assert driver.composer.text == "b"
    await driver.pilot.press("down")
    assert driver.composer.text == ""


async def test_up_does_not_replace_typed_text(driver: ComposerDriver) -> None:
    await driver.pilot.press("a", "enter", "x", "up")
    assert driver.composer.text == "x"


async def test_up_does_not_replace_an_edited_recalled_message(driver: ComposerDriver) -> None:
    await driver.pilot.press("a", "enter", "b", "enter", "up", "c", "up")
    assert driver.composer.text == "bc"


async def test_space_is_the_talk_key_only_in_an_empty_composer(driver: ComposerDriver) -> None:
    driver.composer.space_talks = True
    await driver.pilot.press("a", "space")
    assert driver.posted() == []
    await driver.pilot.press("enter", "space")
    assert driver.posted()[1:] == [Composer.TalkKey()]
    assert driver.composer.text == ""


async def test_space_types_a_blank_unless_it_is_the_talk_key(driver: ComposerDriver) -> None:
    await driver.pilot.press("space", "a")
    assert driver.composer.text == " a"


@dataclass
class RecordedTimer:
    """A timer that the test fires."""

    delay: float
    callback: Callable[[], None]
    is_stopped: bool = False

    def stop(self) -> None:
        self.is_stopped = True


def recorded_timers(driver: ComposerDriver, monkeypatch: pytest.MonkeyPatch) -> list[RecordedTimer]:
    timers: list[RecordedTimer] = []
    monkeypatch.setattr(
        driver.composer,
        "set_timer",
        lambda *call: timers.append(RecordedTimer(*call)) or timers[-1],
    )
    return timers


@pytest.mark.parametrize("repeats", range(1, 5))
async def test_a_held_space_posts_a_press_and_a_release(
    driver: ComposerDriver, monkeypatch: pytest.MonkeyPatch, repeats: int
) -> None:
    timers = recorded_timers(driver, monkeypatch)
    driver.composer.space_talks = True
    for time in (10.0, 11.0, *(11.0 + 0.03 * number for number in range(1, repeats + 1))):
        await driver.press_space(time)
    assert driver.posted() == [Composer.TalkKey()]
    [timer] = [timer for timer in timers if not timer.is_stopped]
    assert timer.delay == RELEASE_S
    timer.callback()
    await driver.pilot.pause()
    assert driver.posted() == [Composer.TalkKey(), Composer.TalkKey(released=True)]


async def test_a_second_tap_of_space_posts_a_press_when_no_repeat_follows(
    driver: ComposerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers = recorded_timers(driver, monkeypatch)
    driver.composer.space_talks = True
    await driver.press_space(10.0)
    await driver.press_space(10.6)
    assert driver.posted() == [Composer.TalkKey()]
    [timer] = timers
    timer.callback()
    await driver.pilot.pause()
    assert driver.posted() == [Composer.TalkKey(), Composer.TalkKey()]


async def test_printable_characters_are_typed_and_trigger_no_action() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        characters = "qhmnt?!/[]$:;äß漢"
        await pilot.press(*characters)
        composer = pilot.app.screen.query_one(Composer)
        assert composer.text == characters
    assert session.asked in ([], [("close",)])


async def test_editing_keys_act_in_the_order_of_typing(driver: ComposerDriver) -> None:
    for key, character in (("a", "a"), ("b", "b"), ("backspace", "\x7f"), ("c", "c")):
        driver.pilot.app.post_message(events.Key(key, character))
    driver.pilot.app.post_message(events.Key("ctrl+u", "\x15"))
    driver.pilot.app.post_message(events.Key("d", "d"))
    await driver.pilot.pause()
    await driver.pilot.pause()
    assert driver.composer.text == "d"
