"""The conversation screen: keys call the session, updates change the screen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from scripted_session import ScriptedSession
from textual.content import Content
from textual.events import Paste
from textual.message import Message
from textual.pilot import Pilot
from textual.widgets import Static

from voicechat.core.effects import Floor, Level, Notice
from voicechat.core.events import RateLimit
from voicechat.core.items import Item, ItemStatus, Role, ToolState, Usage
from voicechat.errors import UsageError
from voicechat.line_mode.slash_commands import app_commands
from voicechat.session.session import Session
from voicechat.session.updates import LevelsChanged, Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import CONFIRM_S, ConversationScreen
from voicechat.tui.screens.help_screen import HelpScreen
from voicechat.tui.themes import DARK, LIGHT
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.notice_line import NoticeLine
from voicechat.tui.widgets.status_lines import FloorLine, floor_line, meter

SIZES = [(120, 36), (80, 24), (60, 20), (44, 12), (20, 5), (3, 2), (1, 1)]


@asynccontextmanager
async def running_app(
    session: ScriptedSession, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Pilot[None]]:
    async with VoicechatApp(session).run_test(size=size, notifications=True) as pilot:
        yield pilot


async def refresh(pilot: Pilot[None]) -> None:
    """Paint all updates of the session."""
    await conversation_screen(pilot).flush()
    await pilot.pause()


def conversation_screen(pilot: Pilot[None]) -> ConversationScreen:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ConversationScreen)
    return screen


def line_text(pilot: Pilot[None], name: str) -> str:
    content = conversation_screen(pilot).query_one(f"#{name}", Static).render()
    assert isinstance(content, Content)
    return content.plain


def notices(pilot: Pilot[None]) -> list[str]:
    return [each.text for each in conversation_screen(pilot).query_one(NoticeLine).notices]


# -------------------------------------------------------------------- keys


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("f3", ("set_muted", True)),
        ("f4", ("set_hands_free", False)),
        ("f5", ("new_conversation",)),
        ("ctrl+n", ("new_conversation",)),
    ],
)
async def test_a_key_calls_the_session(key: str, asked: tuple[object, ...]) -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await pilot.press("a", key)
        assert session.asked == [asked]
        assert conversation_screen(pilot).query_one(Composer).text == "a"


@pytest.mark.parametrize("floor", [Floor.SPEAKING, Floor.THINKING, Floor.WORKING])
async def test_escape_interrupts_speech_thinking_and_tools(floor: Floor) -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.turn_to(floor)
        await refresh(pilot)
        await pilot.press("escape")
        assert session.asked == [("interrupt",)]


async def test_the_talk_key_toggles_in_push_to_talk() -> None:
    session = ScriptedSession(hands_free=False)
    async with running_app(session) as pilot:
        await pilot.press("f2")
        assert session.talking
        await pilot.press("ctrl+t")
        assert session.asked == [("talk", True), ("talk", False)]


async def test_space_is_the_talk_key_in_push_to_talk_with_an_empty_composer() -> None:
    session = ScriptedSession(hands_free=False)
    async with running_app(session) as pilot:
        await pilot.press("space")
        assert session.asked == [("talk", True)]


async def test_the_talk_key_has_no_effect_in_hands_free_mode() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await pilot.press("f2", "ctrl+t")
        assert session.asked == []


async def test_escape_discards_a_spoken_turn() -> None:
    session = ScriptedSession(hands_free=False)
    async with running_app(session) as pilot:
        await pilot.press("space")
        await refresh(pilot)
        await pilot.press("escape")
        assert session.asked == [("talk", True), ("interrupt",)]


def without_microphone() -> ScriptedSession:
    session = ScriptedSession(hands_free=False)
    session.microphone = None
    return session


@pytest.mark.parametrize(
    ("session", "key", "reason"),
    [
        (ScriptedSession(), "f2", "F2 is for push-to-talk. In hands-free, just talk"),
        (ScriptedSession(), "ctrl+t", "Ctrl+T is for push-to-talk"),
        (without_microphone(), "f2", "F2 needs a microphone. Connect one, or type."),
        (without_microphone(), "f3", "F3 needs a microphone."),
        (ScriptedSession(with_sound=False), "f4", "F4 needs sound. Start voicechat without --text"),
    ],
)
async def test_a_sound_key_without_effect_says_what_it_needs(
    session: ScriptedSession, key: str, reason: str
) -> None:
    async with running_app(session) as pilot:
        await pilot.press(key)
        await pilot.pause()
        [notice] = notices(pilot)
        assert notice.startswith(reason)
        assert [call for call in session.asked if call != ("close",)] == []


@pytest.mark.parametrize("move_focus", ["click", "tab"])
async def test_typing_outside_the_composer_is_typed_in_it(move_focus: str) -> None:
    session = ScriptedSession(with_sound=False)
    async with running_app(session) as pilot:
        session.call("look", "{}", ToolState.DONE, output="x" * 50)
        await refresh(pilot)
        composer = conversation_screen(pilot).query_one(Composer)
        if move_focus == "click":
            await pilot.click("ToolPanel")
        else:
            await pilot.press("tab")
        assert not composer.has_focus
        await pilot.press("h", "i")
        assert composer.has_focus
        assert composer.text == "hi"
        pilot.app.screen.set_focus(None)
        pilot.app.post_message(Paste(" there\n"))
        await pilot.pause()
        assert composer.text == "hi there"


async def test_an_update_while_the_screen_closes_is_ignored() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await conversation_screen(pilot).remove_children()
        session.levels(-20.0, -30.0)
        session.turn_to(Floor.SPEAKING)
        await pilot.pause(0.1)
        assert pilot.app._exception is None


async def test_typed_text_is_sent_as_a_message() -> None:
    session = ScriptedSession()
    messages: list[Message] = []
    app = VoicechatApp(session)
    async with app.run_test(message_hook=messages.append) as pilot:
        await pilot.press(*"hello", "enter")
        await pilot.pause()
    assert Composer.Sent("hello") in messages
    assert session.asked[0] == ("type", "hello")


async def test_without_sound_the_sound_keys_are_hidden_and_have_no_effect() -> None:
    session = ScriptedSession(with_sound=False)
    async with running_app(session) as pilot:
        await pilot.press("f2", "f3", "f4", "space")
        assert session.asked == []
        assert "Mute" not in line_text(pilot, "keys")
        assert "mic" not in line_text(pilot, "floor")
        assert pilot.app.focused is conversation_screen(pilot).query_one(Composer)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (44, "F5 New  F7 History  F1 Help  Ctrl+Q Quit"),
        (26, "F1 Help  Ctrl+Q Quit"),
        (12, "Ctrl+Q Quit"),
    ],
)
async def test_a_narrow_key_line_drops_help_last_and_quit_never(width: int, shown: str) -> None:
    session = ScriptedSession(with_sound=False)
    async with running_app(session, (width, 20)) as pilot:
        assert line_text(pilot, "keys") == shown
    with_sound = ScriptedSession(with_sound=True)
    async with running_app(with_sound, (40, 20)) as pilot:
        assert line_text(pilot, "keys").endswith("F1 Help  Ctrl+Q Quit")


async def test_help_opens_over_the_conversation_and_closes() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await pilot.press("f1")
        assert isinstance(pilot.app.screen, HelpScreen)
        session.you("still talking")
        await refresh(pilot)
        await pilot.press("f3")
        assert session.asked == []
        await pilot.press("escape")
        assert pilot.app.screen is conversation_screen(pilot)
        assert session.asked == []


async def test_the_palette_has_the_actions_of_the_keys() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        commands = {each.title: each for each in pilot.app.get_system_commands(pilot.app.screen)}
        assert {"/mute", "/help", "/quit", "/volume", "Newest", "/themes"} <= commands.keys()
        assert "F3" in commands["/mute"].help
        commands["/mute"].callback()
        assert session.asked == [("set_muted", True)]
        commands["/volume"].callback()
        assert conversation_screen(pilot).query_one(Composer).text == "/volume "


@pytest.mark.parametrize("with_sound", [True, False])
async def test_the_palette_offers_only_what_makes_sense_now(with_sound: bool) -> None:
    session = ScriptedSession(with_sound=with_sound)
    async with running_app(session) as pilot:
        screen = pilot.app.screen

        def titles() -> set[str]:
            return {each.title for each in pilot.app.get_system_commands(screen)}

        never = {"/unmute", "/hands-free", "/allow", "/deny", "/interrupt", "/new", "Decide"}
        assert not titles() & never
        assert ("/mute" in titles()) is ("/volume" in titles()) is with_sound
        session.you("hello")
        session.call("look", "{}", ToolState.ASKING)
        session.muted = True
        assert {"/allow", "/deny", "/interrupt", "/new", "Decide"} <= titles()
        assert ("/unmute" in titles()) is with_sound
        assert "/mute" not in titles()


# -------------------------------------------------------------------- updates


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
async def test_the_floor_line_shows_the_floor_as_a_word(floor: Floor, word: str) -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.turn_to(floor)
        await refresh(pilot)
        assert line_text(pilot, "floor").startswith(word)


async def test_the_floor_line_shows_the_mute_state() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await pilot.press("f3")
        await refresh(pilot)
        assert line_text(pilot, "floor").startswith("⊘ muted")
        session.turn_to(Floor.SPEAKING)
        await refresh(pilot)
        assert line_text(pilot, "floor").startswith("▶ speaking · ⊘ muted")


async def test_the_floor_line_says_when_only_clear_speech_interrupts() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.half_duplex = True
        session.turn_to(Floor.SPEAKING)
        await refresh(pilot)
        assert line_text(pilot, "floor").startswith(
            "▶ speaking · ◑ speak up to interrupt  Esc stops"
        )
        session.turn_to(Floor.LISTENING)
        await refresh(pilot)
        assert line_text(pilot, "floor").startswith("● listening")


async def test_the_floor_line_shows_the_link_and_its_text() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.link_to(Link.CONNECTING, "Starting the embedded voice")
        await refresh(pilot)
        assert line_text(pilot, "floor").startswith("◌ connecting  Starting the embedded voice")
        assert "◌ connecting" in line_text(pilot, "top")
        session.link_to(Link.ONLINE)
        await refresh(pilot)
        assert line_text(pilot, "floor").startswith("● listening")


async def test_the_top_line_shows_model_latency_voice_and_usage() -> None:
    session = ScriptedSession()
    async with running_app(session, (120, 36)) as pilot:
        session.latency_ms = 312.4
        session.usage = Usage(total_tokens=1834)
        session.shown_cost = "$0.04"
        session.turn_to(Floor.LISTENING)
        await refresh(pilot)
        top = line_text(pilot, "top")
        for text in ("local/built-in", "answered in 312 ms", "voice en-gb", "1,834 tokens"):
            assert text in top


async def test_the_top_line_shows_tokens_only_if_they_cost_or_are_limited() -> None:
    session = ScriptedSession()
    async with running_app(session, (120, 36)) as pilot:
        session.usage = Usage(total_tokens=14_506)
        session.turn_to(Floor.LISTENING)
        await refresh(pilot)
        assert "tokens" not in line_text(pilot, "top")
        session.limits = (RateLimit("tokens", 40_000, 30_000, 34.0),)
        session.turn_to(Floor.IDLE)
        await refresh(pilot)
        assert "14,506 tokens" in line_text(pilot, "top")


async def test_the_top_line_shows_recording_at_any_width() -> None:
    session = ScriptedSession()
    for size in ((120, 36), (80, 24), (40, 12)):
        session.recording = True
        async with running_app(session, size) as pilot:
            assert "◉ recording" in line_text(pilot, "top")
            session.recording = False
            session.turn_to(Floor.LISTENING)
            await refresh(pilot)
            assert "recording" not in line_text(pilot, "top")


def test_a_meter_fills_with_the_level() -> None:
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
def test_a_bar_marks_a_peak_above_the_level(level: float, peak: float, drawn: str) -> None:
    assert meter(level, 10, "bold", peak).plain == drawn


async def test_level_updates_change_the_meters() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.levels(-30.0, -100.0)
        await refresh(pilot)
        mic, _, speaker = line_text(pilot, "floor").partition("speaker")
        assert mic.count("━") == 4
        assert speaker.count("━") == 0
        assert "│" not in mic + speaker
        session.levels(-30.0, -100.0, -15.0, -45.0)
        await refresh(pilot)
        mic, _, speaker = line_text(pilot, "floor").partition("speaker")
        assert mic.endswith("━━━━─│──  ")
        assert speaker.endswith("─│──────")


async def test_levels_that_look_the_same_redraw_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.levels(-30.0, -100.0)
        await refresh(pilot)
        floor = conversation_screen(pilot).query_one(FloorLine)
        drawn: list[int] = []
        monkeypatch.setattr(floor, "refresh", lambda *_, **__: drawn.append(1))
        for level in (-30.1, -29.9, -30.2):
            session.levels(level, -90.0)
            await refresh(pilot)
        assert drawn == []


async def test_a_sound_problem_stays_in_the_banner_with_its_remedy() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.sound("No microphone was found.", "Connect a device; typing works.")
        await refresh(pilot)
        banner = conversation_screen(pilot).query_one("#banner", Static)
        assert banner.display
        assert str(banner.content) == "▲ No microphone was found.  Connect a device; typing works."
        assert "mic none" in line_text(pilot, "floor")
        assert "listening" not in line_text(pilot, "floor")
        await pilot.press("f2")
        assert session.asked == []
        session.sound("")
        await refresh(pilot)
        assert not banner.display


async def test_a_notice_has_a_sign_and_no_markup() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.notice(Notice("The tool [/x] took long.", Level.WARNING, "It was stopped."))
        await refresh(pilot)
        assert line_text(pilot, "notice") == "▲ The tool [/x] took long. It was stopped."


async def test_a_notice_takes_back_a_warning_that_is_over() -> None:
    session = ScriptedSession()
    silence = Notice("The microphone delivers only silence.", Level.WARNING, "Check its switch.")
    async with running_app(session) as pilot:
        session.notice(silence)
        await refresh(pilot)
        session.notice(Notice("The microphone delivers sound.", ends=silence.text))
        await refresh(pilot)
        assert line_text(pilot, "notice") == "The microphone delivers sound."


async def test_a_notice_of_the_app_or_the_library_is_in_the_same_line() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        pilot.app.notify("No [b]room[/].", title="Copy", severity="error")
        assert line_text(pilot, "notice") == "✗ Copy: No [b]room[/]."
        await pilot.press("ctrl+c")
        assert line_text(pilot, "notice") == "Press Ctrl+C again to quit."
        assert list(pilot.app._notifications) == []


@pytest.mark.parametrize(
    ("command", "floor", "shown"),
    [
        ("/mute", Floor.IDLE, ["Muted. There is no microphone."]),
        ("/push-to-talk", Floor.IDLE, ["Push-to-talk is on. There is no microphone."]),
        ("/hands-free", Floor.IDLE, ["There is no microphone."]),
        ("/interrupt", Floor.IDLE, ["There is nothing to stop."]),
        ("/interrupt", Floor.SPEAKING, ["Stopped."]),
        ("/new", Floor.IDLE, []),
    ],
)
async def test_a_command_reports_the_state(command: str, floor: Floor, shown: list[str]) -> None:
    session = ScriptedSession(with_sound=True)
    session.microphone, session.floor = None, floor
    async with running_app(session) as pilot:
        conversation_screen(pilot).query_one(Composer).insert(command)
        await pilot.press("enter")
        await refresh(pilot)
        assert notices(pilot) == shown


async def run_for_model(pilot: Pilot[None], session: ScriptedSession, command: str) -> str:
    """Run a command as the model's tool does; return its result."""
    name, _, argument = command.partition(" ")
    [found] = [each for each in app_commands(cast("Session", session)) if each.name == name]
    result = await found.run(argument)
    await refresh(pilot)
    return result


async def test_the_help_is_typed_or_requested_by_the_model_and_shown_once() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        conversation_screen(pilot).query_one(Composer).insert("/help")
        await pilot.press("enter")
        await refresh(pilot)
        assert await run_for_model(pilot, session, "help") == "The help is shown."
        assert [type(screen) for screen in pilot.app.screen_stack[1:]] == [HelpScreen]


async def test_the_model_changes_the_theme() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        themes = []
        for name in ("light", "dark", "other", "other", "nord"):
            assert await run_for_model(pilot, session, f"theme {name}") == "The theme is changed."
            themes.append(pilot.app.theme)
        assert themes == [LIGHT.name, DARK.name, LIGHT.name, DARK.name, "nord"]
        with pytest.raises(UsageError, match="no theme"):
            await run_for_model(pilot, session, "theme purple")


async def test_the_model_mutes_and_the_result_names_the_key() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        assert await run_for_model(pilot, session, "mute") == "Muted. Press F3 to unmute."
        assert "⊘ muted" in line_text(pilot, "floor")


async def test_a_new_conversation_clears_the_transcript_and_shows_the_greeting() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.you("hello")
        await refresh(pilot)
        assert not conversation_screen(pilot).query("#greeting")
        session.new_conversation()
        await refresh(pilot)
        assert len(conversation_screen(pilot).query("#greeting")) == 1
        assert not conversation_screen(pilot).query("EntryLine")


async def test_the_key_for_a_new_conversation_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    session, now = ScriptedSession(), 100.0
    monkeypatch.setattr("voicechat.tui.screens.conversation_screen.monotonic", lambda: now)
    async with running_app(session) as pilot:
        session.you("hello")
        screen = conversation_screen(pilot)
        screen.action_new_conversation()
        assert session.asked == []
        assert notices(pilot) == ["Press F5 again to start a new conversation."]
        now += CONFIRM_S
        screen.action_new_conversation()
        assert session.asked == []
        now += CONFIRM_S / 2
        screen.action_new_conversation()
        assert session.asked == [("new_conversation",)]
        assert notices(pilot) == [], "the key was pressed again"


async def type_command(pilot: Pilot[None], command: str) -> None:
    conversation_screen(pilot).query_one(Composer).insert(command)
    await pilot.press("enter")
    await refresh(pilot)


async def test_a_reply_is_shown_over_the_warning_of_the_command_before() -> None:
    session = ScriptedSession()
    session.voices = ("alba", "en-gb")
    async with running_app(session) as pilot:
        await type_command(pilot, "/voice nope")
        assert "no voice 'nope'" in line_text(pilot, "notice")
        await type_command(pilot, "/volume")
        assert line_text(pilot, "notice") == "The volume is 100 percent."


async def test_advice_ends_when_the_user_follows_it() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await type_command(pilot, "/mute")
        assert notices(pilot) == ["Muted. Press F3 to unmute."]
        await pilot.press("f3")
        assert notices(pilot) == []


async def test_the_empty_input_says_how_to_unmute() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        composer = conversation_screen(pilot).query_one(Composer)
        assert composer.placeholder == "Type a message, or just talk"
        await pilot.press("f3")
        await refresh(pilot)
        assert composer.placeholder == "Type a message, or press F3 to unmute"


async def test_a_problem_of_a_device_names_the_commands_of_the_app() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        hint = "Choose Desk; or use --output-device default."
        session.sound("No speaker has 'nope' in its name.", hint)
        await refresh(pilot)
        assert line_text(pilot, "banner").endswith("Desk; or use /speaker default.")


@pytest.mark.parametrize("size", SIZES)
async def test_every_terminal_size_draws(size: tuple[int, int]) -> None:
    session = ScriptedSession()
    async with running_app(session, size) as pilot:
        session.you("hello there")
        session.voiced("one two", status=ItemStatus.INTERRUPTED, heard_chars=3)
        session.call("look", "{}", ToolState.DONE, output="x" * 500, elapsed_ms=3.0)
        session.sound("No microphone.", "Type.")
        session.notice(Notice("Something."))
        await refresh(pilot)
        await pilot.press("f1", "escape", "a", "ctrl+j", "b")
        assert conversation_screen(pilot).query_one(Composer).text == "a\nb"
        for width, height in [(200, 60), (1, 1), size]:
            await pilot.resize_terminal(width, height)
            async with asyncio.timeout(30):
                while pilot.app.screen._compositor.size != (width, height):
                    await pilot.pause()
            strips = pilot.app.screen._compositor.render_strips()
            assert [strip.cell_length for strip in strips] == [width] * height
            if width == 200:
                assert "hello there" in "\n".join(strip.text for strip in strips)


@pytest.mark.parametrize("theme", ["voicechat", "voicechat-light", "textual-dark", "ansi-dark"])
async def test_every_theme_draws(theme: str) -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        pilot.app.theme = theme
        session.call("look", "{}", ToolState.ASKING)
        await refresh(pilot)
        screenshot = pilot.app.export_screenshot()
        assert "listening" in screenshot
        assert "Allow" in screenshot


async def test_without_color_words_show_every_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.voiced("one two", status=ItemStatus.INTERRUPTED, heard_chars=3)
        session.turn_to(Floor.SPEAKING)
        await refresh(pilot)
        screenshot = pilot.app.export_screenshot()
    for word in ("interrupted", "heard", "speaking"):
        assert word in screenshot
    # The first style is the default of the SVG, not of the app.
    colors = re.findall(r"-r\d+ \{ fill: #(..)(..)(..)", screenshot)[1:]
    assert colors
    assert all(red == green == blue for red, green, blue in colors)


def test_the_floor_line_shows_a_silent_microphone() -> None:
    session = ScriptedSession()
    assert floor_line(session).plain == "● listening"
    session.microphone_is_silent = True
    assert floor_line(session).plain == "● listening  no sound from the microphone"
    session.muted = True
    assert "no sound" not in floor_line(session).plain


@pytest.mark.parametrize("hands_free", [True, False])
def test_the_floor_line_shows_a_microphone_that_delivers_nothing_yet(hands_free: bool) -> None:
    session = ScriptedSession(hands_free=hands_free)
    if not hands_free:
        session.talking, session.floor = True, Floor.HEARING
    session.loudness = LevelsChanged(-100.0, -100.0, hears=False)
    assert floor_line(session).plain.startswith("◌ opening the microphone")
    session.loudness = LevelsChanged(-100.0, -100.0)
    assert "opening" not in floor_line(session).plain


def test_the_floor_line_shows_the_talk_key_only_if_it_works() -> None:
    session = ScriptedSession(hands_free=False)
    assert "Space" in floor_line(session).plain
    session.microphone = None
    assert "Space" not in floor_line(session).plain


async def test_the_screen_paints_updates_by_itself() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.put(Item("a", Role.ASSISTANT, "one two", spoken=True, heard_chars=3))
        async with asyncio.timeout(10):
            while not conversation_screen(pilot).query("EntryLine"):
                await pilot.pause()
        assert len(conversation_screen(pilot).query("EntryLine")) == 1
