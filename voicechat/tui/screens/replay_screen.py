"""The screen that replays a recording, with keys to pause, seek and change the speed."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from voicechat.tui.app import VoicechatApp, run_app
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.entry_text import QUIET
from voicechat.tui.widgets.notice_line import NoticeLine
from voicechat.tui.widgets.status_lines import FloorLine, TopLine
from voicechat.tui.widgets.transcript_view import NewBelowHint, TranscriptView

if TYPE_CHECKING:
    from voicechat.recording.replayed_session import Replay
    from voicechat.session.session import Session

SEEK_S = 5.0
"""Time in seconds that an arrow key seeks."""

_INHERITED_ACTIONS = {"previous_page", "next_page", "newest", "toggle_results", "console"}
"""Actions of the conversation screen that work in a replay."""
_REPLAY_ACTIONS = {
    "pause",
    "seek_back",
    "seek_forward",
    "restart",
    "faster",
    "slower",
    "leave_replay",
}

SPEEDS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0)
"""Speeds that the up and down keys select, as multiples of real time."""

_KEY_HINTS = "Space pauses · ←/→ 5 s · ↑/↓ speed · Esc quits"
_CONSOLE_HINTS = "Esc goes back to the keys of the replay"
"""The hint while the console has the focus, whose own keys are active then."""


def format_time(seconds: float) -> str:
    """Return a time in seconds as minutes and seconds: "1:05"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class PlaybackLine(Static):
    """A line with the position of the replay and its keys."""

    DEFAULT_CSS = "PlaybackLine { height: 1; padding: 0 2; }"

    def __init__(self, replay: Replay) -> None:
        super().__init__("", markup=False, id="time")
        self._replay = replay

    def on_mount(self) -> None:
        """Redraw periodically, because no event reports the position."""
        self.set_interval(0.25, self.refresh)

    def render(self) -> Content:
        """Return the line."""
        replay = self._replay
        state = "‖ paused" if replay.paused else "▶ replay"
        speed = "" if replay.speed == 1.0 else f" ×{replay.speed:g}"
        hints = _CONSOLE_HINTS if self.screen.query("ConsolePanel:focus-within") else _KEY_HINTS
        return Content.assemble(
            (f"{state}{speed} ", "bold $accent"),
            f"{format_time(replay.position)} of {format_time(replay.length)}",
            (f"  {hints}", QUIET),
        )


class ReplayScreen(ConversationScreen):
    """The conversation screen with a playback line instead of the composer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "pause", "Pause", priority=True),
        Binding("left", "seek_back", "Back", priority=True),
        Binding("right", "seek_forward", "Forward", priority=True),
        Binding("up", "faster", "Faster", priority=True),
        Binding("down", "slower", "Slower", priority=True),
        Binding("home", "restart", "Restart", priority=True),
        Binding("escape,q", "leave_replay", "Quit", priority=True),
    ]

    AUTO_FOCUS = ""

    def __init__(self, replay: Replay, *, console: bool = False) -> None:
        super().__init__(cast("Session", replay), console=console)
        self._replay = replay

    def compose(self) -> ComposeResult:
        """Yield the widgets of the conversation screen, without composer and keys."""
        session = self._session
        yield TopLine(session)
        yield TranscriptView(session.transcript, Content(""))
        yield NewBelowHint()
        yield Static("", markup=False, id="banner")
        yield NoticeLine()
        yield FloorLine(session)
        yield PlaybackLine(self._replay)

    def _update_mode(self) -> None:
        """Do nothing: a replay has no composer, and its keys do not depend on the mode."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Allow only actions that do not change the conversation; the console has its own keys."""
        if action in _REPLAY_ACTIONS and self.console is not None and self.console.has_focus_within:
            return False
        return action in _INHERITED_ACTIONS | _REPLAY_ACTIONS

    async def action_leave_replay(self) -> None:
        """Quit."""
        await self.app.action_quit()

    def action_pause(self) -> None:
        """Pause or resume."""
        self._replay.pause()
        self.query_one(PlaybackLine).refresh()

    def action_seek_back(self) -> None:
        """Seek back by `SEEK_S`."""
        self._replay.seek(-SEEK_S)

    def action_seek_forward(self) -> None:
        """Seek forward by `SEEK_S`."""
        self._replay.seek(SEEK_S)

    def action_restart(self) -> None:
        """Seek to the start."""
        self._replay.seek(-self._replay.length)

    def action_faster(self) -> None:
        """Select the next higher speed."""
        self._set_speed(min((s for s in SPEEDS if s > self._replay.speed), default=None))

    def action_slower(self) -> None:
        """Select the next lower speed."""
        self._set_speed(max((s for s in SPEEDS if s < self._replay.speed), default=None))

    def _set_speed(self, speed: float | None) -> None:
        if speed is not None:
            self._replay.set_speed(speed)
            self.query_one(PlaybackLine).refresh()


class ReplayApp(VoicechatApp):
    """The app for a recording. It keeps running after the recording has ended."""

    def __init__(self, replay: Replay, *, console: bool = False) -> None:
        super().__init__(cast("Session", replay), console=console)
        self._replay = replay

    def get_default_screen(self) -> Screen[None]:
        """Return the screen of the recorded conversation."""
        return ReplayScreen(self._replay, console=self.opens_console)


def run(replay: Replay, *, console: bool = False) -> int:
    """Show the recording, with `console` also its frames. Returns and raises as `run_app`."""
    return run_app(ReplayApp(replay, console=console))
