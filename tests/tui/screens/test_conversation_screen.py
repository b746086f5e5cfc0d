"""The screen as a whole: keys become calls, updates become words."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted_session import ScriptedSession
from textual.content import Content
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Static

from voicechat.core.effects import Floor, Level, Notice
from voicechat.core.items import Item, ItemStatus, Role, ToolState, Usage
from voicechat.session.updates import Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.screens.help_screen import HelpScreen
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.status_lines import FloorLine, floor_line, meter

SIZES = [(120, 36), (80, 24), (60, 20), (44, 12), (20, 5), (3, 2), (1, 1)]


@asynccontextmanager
async def showing(
    session: ScriptedSession, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Pilot[None]]:
    async with VoicechatApp(session).run_test(size=size, notifications=True) as pilot:
        yield pilot


async def look(pilot: Pilot[None]) -> None:
    """Let the screen show everything the session said."""
    await main(pilot).flush()
    await pilot.pause()


def main(pilot: Pilot[None]) -> ConversationScreen:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ConversationScreen)
    return screen


def line(pilot: Pilot[None], name: str) -> str:
    content = main(pilot).query_one(f"#{name}", Static).render()
    assert isinstance(content, Content)
    return content.plain


# -------------------------------------------------------------------- keys become calls


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("f3", ("set_muted", True)),
        ("ctrl+o", ("set_muted", True)),
        ("f4", ("set_hands_free", False)),
        ("ctrl+g", ("set_hands_free", False)),
        ("f5", ("new_conversation",)),
        ("ctrl+n", ("new_conversation",)),
    ],
)
async def test_a_key_asks_the_session(key: str, asked: tuple[object, ...]) -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        await pilot.press("a", key)
        assert session.asked == [asked]
        assert main(pilot).query_one(Composer).text == "a"


@pytest.mark.parametrize("floor", [Floor.SPEAKING, Floor.THINKING, Floor.WORKING])
async def test_escape_interrupts_whatever_runs(floor: Floor) -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.turn_to(floor)
        await look(pilot)
        await pilot.press("escape")
        assert session.asked == [("interrupt",)]


async def test_talk_is_a_toggle_in_push_to_talk() -> None:
    session = ScriptedSession(hands_free=False)
    async with showing(session) as pilot:
        await pilot.press("f2")
        assert session.talking
        await pilot.press("ctrl+t")
        assert session.asked == [("talk", True), ("talk", False)]


async def test_space_talks_in_push_to_talk_with_nothing_typed() -> None:
    session = ScriptedSession(hands_free=False)
    async with showing(session) as pilot:
        await pilot.press("space")
        assert session.asked == [("talk", True)]


async def test_talk_does_nothing_hands_free() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        await pilot.press("f2", "ctrl+t")
        assert session.asked == []


async def test_what_is_typed_is_sent_as_a_message() -> None:
    session = ScriptedSession()
    messages: list[Message] = []
    app = VoicechatApp(session)
    async with app.run_test(message_hook=messages.append) as pilot:
        await pilot.press(*"hello", "enter")
        await pilot.pause()
    assert Composer.Sent("hello") in messages
    assert session.asked[0] == ("type", "hello")


async def test_without_sound_the_keys_of_sound_are_gone() -> None:
    session = ScriptedSession(with_sound=False)
    async with showing(session) as pilot:
        await pilot.press("f2", "f3", "f4", "space")
        assert session.asked == []
        assert "Mute" not in line(pilot, "keys")
        assert "mic" not in line(pilot, "floor")
        assert pilot.app.focused is main(pilot).query_one(Composer)


async def test_help_opens_over_the_talk_and_closes() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        await pilot.press("f1")
        assert isinstance(pilot.app.screen, HelpScreen)
        session.you("still talking")
        await look(pilot)
        await pilot.press("f3")
        assert session.asked == []
        await pilot.press("escape")
        assert pilot.app.screen is main(pilot)
        assert session.asked == []


async def test_the_palette_offers_what_the_keys_do() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        commands = list(pilot.app.get_system_commands(pilot.app.screen))
        assert {"Mute", "New", "Help", "Quit", "Theme"} <= {command.title for command in commands}
        [mute] = [command for command in commands if command.title == "Mute"]
        await mute.callback()
        assert session.asked == [("set_muted", True)]


# -------------------------------------------------------------------- updates become words


@pytest.mark.parametrize(
    ("floor", "word"),
    [
        (Floor.IDLE, "○ ready"),
        (Floor.LISTENING, "● listening"),
        (Floor.HEARING, "◉ hearing you"),
        (Floor.THINKING, "◔ thinking"),
        (Floor.SPEAKING, "▶ speaking"),
        (Floor.WORKING, "◆ working"),
    ],
)
async def test_the_floor_is_told_in_a_word(floor: Floor, word: str) -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.turn_to(floor)
        await look(pilot)
        assert line(pilot, "floor").startswith(word)


async def test_muted_stands_beside_the_floor() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        await pilot.press("f3")
        await look(pilot)
        assert line(pilot, "floor").startswith("⊘ muted")
        session.turn_to(Floor.SPEAKING)
        await look(pilot)
        assert line(pilot, "floor").startswith("▶ speaking · ⊘ muted")


async def test_the_link_is_told_with_its_sentence() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.link_to(Link.CONNECTING, "Warming up the local voice: ears")
        await look(pilot)
        assert line(pilot, "floor").startswith("◌ connecting  Warming up the local voice: ears")
        assert "◌ connecting" in line(pilot, "top")
        session.link_to(Link.ONLINE)
        await look(pilot)
        assert line(pilot, "floor").startswith("● listening")


async def test_the_top_line_tells_model_latency_and_voice() -> None:
    session = ScriptedSession()
    async with showing(session, (120, 36)) as pilot:
        session.latency_ms = 312.4
        session.usage = Usage(total_tokens=1834)
        session.turn_to(Floor.LISTENING)
        await look(pilot)
        top = line(pilot, "top")
        for words in ("local/built-in", "answered in 312 ms", "voice en-gb", "1,834 tokens"):
            assert words in top


async def test_that_it_is_recorded_is_seen_at_any_width() -> None:
    session = ScriptedSession()
    for size in ((120, 36), (80, 24), (40, 12)):
        session.recording = True
        async with showing(session, size) as pilot:
            assert "◉ recording" in line(pilot, "top")
            session.recording = False
            session.turn_to(Floor.LISTENING)
            await look(pilot)
            assert "recording" not in line(pilot, "top")


def test_meters_run_from_quiet_to_loud() -> None:
    def filled(level: float) -> float:
        text = meter(level, 10, "bold").plain
        assert len(text) == 10
        return text.count("━") + text.count("╸") / 2

    steps = [filled(level) for level in (-100, -60, -45, -30, -15, 0, 6)]
    assert steps == [0, 0, 2.5, 5, 7.5, 10, 10]


@pytest.mark.parametrize(
    ("level", "peak", "drawn"),
    [
        (-30, -12, "━━━━━──│──"),
        (-30, 0, "━━━━━────│"),
        (-30, -30, "━━━━━─────"),
        (-27, -26, "━━━━━╸────"),
        (-100, -100, "──────────"),
        (0, 0, "━━━━━━━━━━"),
    ],
)
def test_a_bar_marks_the_peak_ahead_of_the_level(level: float, peak: float, drawn: str) -> None:
    assert meter(level, 10, "bold", peak).plain == drawn


async def test_levels_move_the_meters() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.levels(-30.0, -100.0)
        await look(pilot)
        mic, _, speaker = line(pilot, "floor").partition("speaker")
        assert mic.count("━") == 4
        assert speaker.count("━") == 0
        assert "│" not in mic + speaker
        session.levels(-30.0, -100.0, -15.0, -45.0)
        await look(pilot)
        mic, _, speaker = line(pilot, "floor").partition("speaker")
        assert mic.endswith("━━━━─│──  ")
        assert speaker.endswith("─│──────")


async def test_levels_that_look_the_same_draw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.levels(-30.0, -100.0)
        await look(pilot)
        floor = main(pilot).query_one(FloorLine)
        drawn: list[int] = []
        monkeypatch.setattr(floor, "refresh", lambda *_, **__: drawn.append(1))
        for level in (-30.1, -29.9, -30.2):
            session.levels(level, -90.0)
            await look(pilot)
        assert drawn == []


async def test_missing_sound_stays_on_the_screen_with_its_remedy() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.sound("No microphone was found.", "Plug one in; typing works.")
        await look(pilot)
        banner = main(pilot).query_one("#banner", Static)
        assert banner.display
        assert str(banner.content) == "▲ No microphone was found.  Plug one in; typing works."
        assert "mic none" in line(pilot, "floor")
        assert "listening" not in line(pilot, "floor")
        await pilot.press("f2")
        assert session.asked == []
        session.sound("")
        await look(pilot)
        assert not banner.display


async def test_a_notice_is_one_line_with_a_sign() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.notice(Notice("The tool [/x] took long.", Level.WARNING, "It was stopped."))
        await look(pilot)
        [notice] = list(pilot.app._notifications)
        assert notice.message == "▲ The tool [/x] took long. It was stopped."
        assert notice.severity == "warning"
        assert not notice.markup


async def test_a_new_conversation_empties_the_screen_and_greets() -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.you("hello")
        await look(pilot)
        assert not main(pilot).query("#greeting")
        await pilot.press("f5")
        await look(pilot)
        assert len(main(pilot).query("#greeting")) == 1
        assert not main(pilot).query("EntryLine")


@pytest.mark.parametrize("size", SIZES)
async def test_every_size_shows_something_and_none_crashes(size: tuple[int, int]) -> None:
    session = ScriptedSession()
    async with showing(session, size) as pilot:
        session.you("hello there")
        session.voiced("one two", status=ItemStatus.INTERRUPTED, heard_chars=3)
        session.call("look", "{}", ToolState.DONE, output="x" * 500, elapsed_ms=3.0)
        session.sound("No microphone.", "Type.")
        session.notice(Notice("Something."))
        await look(pilot)
        await pilot.press("f1", "escape", "a", "ctrl+j", "b")
        for width, height in [(200, 60), (1, 1), size]:
            await pilot.resize_terminal(width, height)


@pytest.mark.parametrize("theme", ["voicechat", "voicechat-light", "textual-ansi", "ansi-dark"])
async def test_every_theme_draws(theme: str) -> None:
    session = ScriptedSession()
    async with showing(session) as pilot:
        if theme not in pilot.app.available_themes:
            theme = "textual-dark"
        pilot.app.theme = theme
        session.call("look", "{}", ToolState.ASKING)
        await look(pilot)
        assert "listening" in line(pilot, "floor")


async def test_without_colour_every_state_still_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    session = ScriptedSession()
    async with showing(session) as pilot:
        session.voiced("one two", status=ItemStatus.INTERRUPTED, heard_chars=3)
        session.turn_to(Floor.SPEAKING)
        await look(pilot)
        shot = pilot.app.export_screenshot()
    for word in ("interrupted", "heard", "speaking"):
        assert word in shot


def test_the_hint_names_the_key_only_where_it_works() -> None:
    session = ScriptedSession(hands_free=False)
    assert "Space" in floor_line(session).plain
    session.microphone = None
    assert "Space" not in floor_line(session).plain


async def test_words_appear_without_anybody_looking() -> None:
    """The screen looks by itself, so that a word is there soon after it was heard."""
    session = ScriptedSession()
    async with showing(session) as pilot:
        item = session.put(Item("a", Role.ASSISTANT, "one two", spoken=True, heard_chars=3))
        for _ in range(100):
            if main(pilot).query("EntryLine"):
                break
            await pilot.pause(0.02)
        assert isinstance(item, Item)
        assert len(main(pilot).query("EntryLine")) == 1
