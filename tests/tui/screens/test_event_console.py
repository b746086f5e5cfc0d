"""The event console on the screen: its keys and messages, hostile frames, a flood of deltas."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import scenes
from recorded import heading
from scripted_session import ScriptedSession
from textual.message import Message
from textual.pilot import Pilot
from textual.screen import ActiveBinding, Screen
from textual.widgets import Input, Static

from voicechat.core import inputs
from voicechat.core.effects import Floor
from voicechat.recording.recorder import Recorder
from voicechat.recording.replayed_session import Replay
from voicechat.session.event_stream import Direction, EventStream, RawFrame
from voicechat.session.frame_log import MOST_ROWS
from voicechat.session.updates import LevelsChanged
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.screens.line_sheet import LineSheet
from voicechat.tui.screens.replay_screen import ReplayApp
from voicechat.tui.screens.sheet import Sheet
from voicechat.tui.widgets.completion_list import CompletionList
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.console_panel import CONSOLE_KEYS, FRAME_S, ConsolePanel
from voicechat.tui.widgets.entry_widgets import EntryLine
from voicechat.tui.widgets.frame_list import FrameList
from voicechat.tui.widgets.notice_line import NoticeLine
from voicechat.tui.widgets.status_lines import FloorLine
from voicechat.tui.widgets.transcript_view import TranscriptView

WIDE, NARROW = (120, 36), (80, 24)


class Driven:
    """A running app with a console, and the messages that were posted."""

    def __init__(self, session: ScriptedSession, pilot: Pilot[None], posted: list[Message]) -> None:
        self.session, self.pilot, self.posted = session, pilot, posted
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        self.screen = screen

    @property
    def console(self) -> ConsolePanel:
        assert self.screen.console is not None
        return self.screen.console

    @property
    def frames(self) -> FrameList:
        return self.screen.query_one(FrameList)

    @property
    def types(self) -> list[str]:
        return [row.facts.type or row.facts.gist for row in self.frames.rows]

    @property
    def selected(self) -> str:
        row = self.frames.selected
        return row.facts.type if row else ""

    @property
    def notice(self) -> str:
        return str(Static.render(self.screen.query_one(NoticeLine)))

    @property
    def lines(self) -> list[str]:
        """The lines of the list."""
        drawn = map(self.frames.render_line, range(self.frames.size.height))
        return ["".join(segment.text for segment in line) for line in drawn]

    def text(self, selector: str) -> str:
        return str(Static.render(self.screen.query_one(selector, Static)))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def noticed(self, start: str) -> None:
        """Wait for a notice."""
        async with asyncio.timeout(30):
            while not self.notice.startswith(start):
                await self.pilot.pause()

    async def until(self, reached: Callable[[], object]) -> None:
        """Wait until a condition holds."""
        async with asyncio.timeout(30):
            while not reached():
                await self.pilot.pause(0.01)

    async def asked(self, title: str) -> None:
        """Wait until a line sheet asks."""
        await self.until(
            lambda: (
                isinstance(self.pilot.app.screen, LineSheet)
                and str(self.pilot.app.screen.query_one("#line").border_title) == title
            )
        )

    async def switch(self) -> None:
        """Do what F6 does; a key that is pressed twice at once counts as held."""
        await self.screen.run_action("screen.console")
        await self.pilot.pause()

    async def frame(self, data: str, direction: Direction = Direction.RECEIVED) -> None:
        self.session.tell(RawFrame(direction, data, 100.0))
        self.console.drain()
        await self.pilot.pause()

    def messages(self, kind: type[Message]) -> list[Message]:
        return [each for each in self.posted if isinstance(each, kind)]


@asynccontextmanager
async def opened(size: tuple[int, int] = WIDE, *keys: str) -> AsyncIterator[Driven]:
    """Run the app with a conversation, its frames, and the console in the focus."""
    session, posted = ScriptedSession(with_sound=False), list[Message]()
    seen = set[int]()

    def note(message: Message) -> None:
        if id(message) not in seen:
            seen.add(id(message))
            posted.append(message)

    async with VoicechatApp(session).run_test(size=size, message_hook=note) as pilot:
        scenes.talk(session)
        await pilot.press("f6")
        driven = Driven(session, pilot, posted)
        scenes.framed(session)
        await driven.screen.flush()
        driven.console.drain()
        await driven.press(*keys)
        yield driven


# ------------------------------------------------------------------------- opening, closing


async def test_frames_are_traced_only_while_the_console_is_open() -> None:
    async with opened() as app:
        stream = app.session.stream
        assert stream.wanted(RawFrame)
        assert app.frames.has_focus
        await app.press("escape")
        assert app.screen.query_one(Composer).has_focus
        await app.switch()
        assert app.frames.has_focus
        await app.switch()
        assert app.screen.console is None
        assert not stream.wanted(RawFrame)
        assert app.screen.query_one(Composer).has_focus
        await app.switch()
        assert app.types[0] == "session.created", "the log is kept"
        assert app.types[-1].startswith("The console was closed for ")


async def test_it_is_beside_the_conversation_or_over_it() -> None:
    async with opened(WIDE) as app:
        view = app.screen.query_one(TranscriptView)
        assert view.region.right <= app.console.region.x
        assert view.size.width > 40
        await app.pilot.resize_terminal(*NARROW)
        await app.pilot.pause()
        assert not view.display
        assert app.console.size.width == 80
        assert app.screen.query_one(Composer).region.height


async def test_commands_and_the_flag_open_it_and_leave_the_composer_the_focus() -> None:
    session = ScriptedSession(with_sound=False)
    async with VoicechatApp(session, console=True).run_test() as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        assert screen.query_one(Composer).has_focus
        for text, is_open in (("off", False), ("", True), ("errors", True), ("", False)):
            session.request_console(text)
            await screen.flush()
            assert (screen.console is not None) == is_open, text
            if text == "errors":
                assert screen.query_one(FrameList).filter.errors_only


# ------------------------------------------------------------------------- what it shows


async def test_sound_is_one_growing_row_and_pairs_have_a_gap() -> None:
    async with opened() as app:
        assert app.types == [
            "session.created", "session.update", "session.updated", "input_audio_buffer.append",
            "input_audio_buffer.speech_started", "input_audio_buffer.speech_stopped", "Turn 1",
            "input_audio_buffer.committed", "response.created",
            "response.function_call_arguments.done", "conversation.item.create", "response.create",
            "response.created", "response.output_audio.delta",
            *["response.output_audio_transcript.delta"] * 5,
            "response.output_audio.done", "response.done", "error",
        ]  # fmt: skip
        assert app.text("#console-title").startswith("Frames · 114")
        lines = app.lines
        assert "→ sent session.update" in lines[1]
        assert "⇄ 0.113 s" in lines[2]
        assert "580 kB ♪ 432 kB of sou…" in lines[3]
        assert "──── Turn 1" in lines[6]


async def test_filters_by_key_and_by_text() -> None:
    async with opened() as app:
        await app.press("e")
        assert app.types == ["error"]
        assert app.text("#console-title") == "Frames · 114 · ▽ errors (1 of 22)"
        await app.press("e", "d")
        assert set(app.types) == {
            "session.update", "input_audio_buffer.append", "Turn 1", "conversation.item.create",
            "response.create",
        }  # fmt: skip
        await app.press("d", "d", "slash", *"tea")
        assert app.types == ["response.output_audio_transcript.delta"]
        await app.press("enter")
        assert app.frames.has_focus
        assert app.screen.query_one("#console-filter", Input).display
        await app.press("slash", *["backspace"] * 3, "escape")
        assert len(app.types) == 22
        assert not app.screen.query_one("#console-filter", Input).display


async def test_a_pause_holds_the_list_and_not_the_log() -> None:
    async with opened() as app:
        await app.press("space")
        await app.frame('{"type":"rate_limits.updated"}')
        assert app.types[-1] == "error"
        assert "‖ paused, 1 new" in app.text("#console-title")
        await app.press("space")
        assert app.types[-1] == "rate_limits.updated"


async def test_the_list_follows_until_the_cursor_moves_up() -> None:
    async with opened(NARROW) as app:
        assert app.frames.scroll_offset.y == app.frames.max_scroll_y > 0
        await app.press("up")
        await app.frame('{"type":"rate_limits.updated"}')
        assert app.selected == "response.done"
        assert "↓ End follows" in app.text("#console-title")
        await app.press("pageup")
        assert app.frames.cursor < 10
        await app.press("end")
        await app.frame('{"type":"another"}')
        assert app.selected == "another"


async def test_a_frame_is_inspected_as_json() -> None:
    async with opened(WIDE, "home", "down", "enter") as app:
        assert app.messages(FrameList.Picked)
        detail = app.text("#frame-text")
        assert detail.startswith("→ sent session.update\n+0.008 s, 82 B\n⇄ 0.113 s before")
        assert '\n  "session": {\n    "voice": "marin"\n  },' in detail
        await app.press("down")
        assert app.text("#frame-text").startswith("← got session.updated")
        await app.press("down")
        assert "The last of 90 frames:" in app.text("#frame-text")
        await app.press("escape", "up", "p")
        assert not app.screen.query_one("#frame-detail").display
        assert app.frames.has_focus
        assert app.selected == "session.update"
        await app.press("p")
        assert app.selected == "session.updated"
        await app.press("end", "p")
        assert app.notice == "This frame has no pair."


async def test_from_a_frame_to_its_entry_and_back() -> None:
    async with opened(WIDE, "slash", *"argum", "enter", "t") as app:
        [wanted] = app.messages(ConsolePanel.EntryWanted)
        view = app.screen.query_one(TranscriptView)
        assert isinstance(wanted, ConsolePanel.EntryWanted)
        assert view.marked == "item_1"
        assert app.notice == "The frame belongs to “It is twenty past two in the afternoon”."
        await app.press("left_square_bracket")
        assert view.marked == "item_0"
        assert app.selected == "input_audio_buffer.speech_started"
        assert app.types[0] == "session.created", "the filter that hid it is gone"
        assert app.messages(ConsolePanel.EntryStepped)
        line = next(each for each in app.screen.query(EntryLine) if each.entry is not None)
        await app.pilot.click(line)
        await app.pilot.pause()
        assert app.notice == "Frames of “What time is it?”.  ×2"


async def test_in_a_narrow_terminal_the_transcript_replaces_the_frames() -> None:
    async with opened(NARROW, "home", *["down"] * 4, "t") as app:
        view = app.screen.query_one(TranscriptView)
        assert view.display
        assert view.marked == "item_0"
        assert "F6 goes back to the frames." in app.notice
        assert not app.console.display
        await app.switch()
        assert app.console.display
        assert app.frames.has_focus
        assert app.selected == "input_audio_buffer.speech_started"


async def test_the_keys_are_on_a_sheet() -> None:
    async with opened(NARROW, "question_mark") as app:
        assert isinstance(app.pilot.app.screen, Sheet)
        assert app.messages(ConsolePanel.KeysWanted)
        await app.press("escape")
        assert app.frames.has_focus
        bound = {name for binding in ConsolePanel.BINDINGS for name in binding.key.split(",")}  # type: ignore[union-attr]
        named = {"?": "question_mark", "/": "slash", "Esc": "escape", "Space": "space"}
        shown = {named.get(key, key) for key, _, _ in CONSOLE_KEYS} - {"Enter", "End", "[ ]"}
        assert shown == bound - {"left_square_bracket", "right_square_bracket"}


# ------------------------------------------------------------------------- copy, save, send


async def test_copy_and_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened(WIDE, "e", "c", "s") as app:
        assert json.loads(app.pilot.app.clipboard)["type"] == "error"
        await app.asked("Save 1 row to a file")
        await app.press("enter")
        await app.noticed("Saved 1 row to voicechat-frames-")
        await app.press("s")
        await app.asked("Save 1 row to a file")
        app.pilot.app.screen.query_one(Input).value = "no/such/folder.jsonl"
        await app.press("enter")
        await app.noticed("▲ no/such/folder.jsonl cannot be written: No such file or directory.")
    [path] = tmp_path.glob("voicechat-frames-*.jsonl")  # noqa: ASYNC240
    [line] = path.read_text().splitlines()
    assert json.loads(line)["frame"]["error"]["code"] == "invalid_value"
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_sentence_typed_into_the_console_changes_nothing_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened() as app:
        composer = app.screen.query_one(Composer)
        await app.until(lambda: composer.placeholder == "Esc goes back to type a message")
        await app.press(*"hello")
        await app.noticed("Letters are keys in the console; ? lists them. Esc goes back")
        assert (composer.text, app.frames.has_focus) == ("", True)
        await app.press("s", *"top")
        await app.asked("Save 1 row to a file")
        await app.press("escape", "escape")
        await app.until(lambda: composer.has_focus)
        await app.press(*"hello")
        await app.until(lambda: composer.text == "hello")
        assert composer.placeholder == "Type a message"
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240


async def test_an_empty_console_says_what_appears_and_what_letters_do() -> None:
    session = ScriptedSession(with_sound=False)
    async with VoicechatApp(session).run_test(size=NARROW) as pilot:
        app = Driven(session, pilot, [])
        await app.switch()
        await app.until(lambda: "Letters are keys here: ? lists them" in app.lines[1])
        assert app.lines[0].startswith(" No frames yet. Each frame that is sent or received")
        await app.press("escape")
        await app.until(lambda: "F6 goes here; letters are keys then." in app.lines[1])
        await app.frame('{"type":"session.created"}')
        await app.until(lambda: "session.created" in app.lines[0])
        app.console.set_filter("nothing")
        await app.until(lambda: "No frame matches the filter. / changes it." in app.lines[0])


async def test_the_hint_for_stop_is_shown_only_where_the_key_stops() -> None:
    async with opened() as app:
        app.session.turn_to(Floor.SPEAKING)
        await app.screen.flush()
        floor = app.screen.query_one(FloorLine)
        await app.until(lambda: "answering" in str(floor.render()))
        await app.until(lambda: "Esc stops" not in str(floor.render()))
        await app.press("escape")
        await app.until(lambda: "Esc stops" in str(floor.render()))
        await app.press("ctrl+f")
        await app.until(lambda: "Esc stops" not in str(floor.render()))


async def test_new_levels_do_not_look_for_the_key_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as app:
        app.session.turn_to(Floor.SPEAKING)
        await app.screen.flush()
        floor = app.screen.query_one(FloorLine)
        floor.render()
        looks: list[Screen[object]] = []
        found = Screen.active_bindings

        def counted(screen: Screen[object]) -> dict[str, ActiveBinding]:
            looks.append(screen)
            return found.__get__(screen)

        monkeypatch.setattr(type(app.screen), "active_bindings", property(counted))
        for level in range(20):
            floor.show(LevelsChanged(-level, -level), "")
            floor.render()
        assert not looks


async def test_an_event_of_the_user_is_completed_and_checked() -> None:
    async with opened(WIDE, "n") as app:
        composer = app.screen.query_one(Composer)
        assert (composer.has_focus, composer.text) == (True, "/event ")
        assert app.messages(ConsolePanel.SendWanted)
        await app.press(*"cancel")
        shown = app.screen.query_one(CompletionList)
        async with asyncio.timeout(30):
            while shown.line != composer.text:
                await app.pilot.pause()
        await app.press("tab")
        assert composer.text == '/event {"type": "response.cancel"}'
        composer.load_text('/event {"type": "response.cancel", "id": 1}')
        await app.press("enter")
        assert app.notice.startswith("▲ response.cancel has no field 'id'.")
        composer.load_text('/event {"type": "response.cancel"}')
        await app.press("enter")
        assert app.session.asked[-1] == ("send_event", '{"type": "response.cancel"}')


# ------------------------------------------------------------------------- hostile frames


HOSTILE = {
    "escapes": '{"type":"\\u001b[2J\\u0007","a":"\\u001b]0;x\\u0007 \\u202eabc","\\u001b[1m":1}',
    "raw": "\x1b[2J\x1b[?1049l",
    "markup": '{"type":"[bold]x[/]","delta":"[/ b [@click=app.quit]x[/]","[red]":"$primary"}',
    "deep": '{"a":' * 900 + "1" + "}" * 900,
    "long": json.dumps({"type": "x" * 9_000, "text": "\u4e2d" * 90_000, "k" * 9_000: 1}),
    "many lines": json.dumps({"type": "x", "list": list(range(5_000))}),
    "line feeds": '{"type":"a\\nb","text":"1\\n2\\u2028\\n3"}',
    "not JSON": "[" * 50_000,
}


@pytest.mark.parametrize("size", [WIDE, (12, 5)])
async def test_hostile_frames_are_shown_safely(size: tuple[int, int]) -> None:
    async with opened(size, "end", "enter") as app:
        for data in HOSTILE.values():
            await app.frame(data)
            shown = "\n".join([*app.lines, app.text("#frame-text")])
            assert "\x1b" not in shown
            assert "\u202e" not in shown
            assert len(app.text("#frame-text")) < 20_000
            width = app.frames.scrollable_content_region.width
            assert {app.frames.render_line(0).cell_length} <= {width}
        app.console.set_filter("[bold]")
        assert app.types == ["[bold]x[/]"]
        await app.press("p")
        assert "no pair" in app.notice


# ------------------------------------------------------------------------- flood


async def test_a_flood_of_deltas_draws_only_what_is_seen() -> None:
    async with opened() as app:
        before, drawn, began = app.console.paints, app.frames.drawn_rows, time.monotonic()
        for number in range(20_000):
            delta = f'{{"type":"response.text.delta","item_id":"i","delta":"{number}"}}'
            app.session.tell(RawFrame(Direction.RECEIVED, delta, 100.0))
            if number % 500 == 0:
                await asyncio.sleep(0)
        async with asyncio.timeout(30):
            while app.selected != "response.text.delta" or len(app.console._tap.subscription):
                await app.pilot.pause()
        elapsed = time.monotonic() - began
        paints = app.console.paints - before
        assert 0 < paints <= elapsed / FRAME_S + 2
        await app.pilot.pause()
        assert app.frames.drawn_rows - drawn <= (paints + 4) * 2 * app.frames.size.height
        assert len(app.frames.rows) <= MOST_ROWS
        async with asyncio.timeout(30):
            while '"19999"' not in app.lines[-1]:
                await app.pilot.pause()


# ------------------------------------------------------------------------- a recording


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    stream = EventStream()
    recorder = Recorder(tmp_path / "talk", heading(with_sound=False), stream, lambda notice: None)
    at = recorder._started_at
    stream.publish(RawFrame(Direction.SENT, '{"type":"session.update"}', at), at)
    stream.publish(inputs.Typed("Hello"), at + 1)
    stream.publish(RawFrame(Direction.RECEIVED, '{"type":"session.updated"}', at + 2), at + 2)
    recorder.close()
    return tmp_path / "talk"


async def test_a_recording_has_a_console_with_its_own_keys(recording: Path) -> None:
    replay = Replay(recording, speed=1000.0, play_sound=False, wait_at_end=True)
    async with ReplayApp(replay, console=True).run_test(size=WIDE) as pilot:
        frames = pilot.app.screen.query_one(FrameList)
        async with asyncio.timeout(30):
            while not (replay.is_over and len(frames.rows) == 3):
                await pilot.pause()
        assert [row.facts.type for row in frames.rows] == ["session.update", "", "session.updated"]
        await pilot.press("f6", "up", "space")
        assert frames.cursor == 1
        assert pilot.app.screen.query_one(ConsolePanel).paused
        assert not replay.paused
        for key in ("space", "n", "escape", "space"):
            await pilot.press(key)
            await pilot.pause()
        assert replay.paused
