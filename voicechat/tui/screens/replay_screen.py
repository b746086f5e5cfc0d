"""The screen of a recording: the conversation happens again, and keys move in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from voicechat.tui.app import VoicechatApp, show
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.entry_text import QUIET
from voicechat.tui.widgets.status_lines import FloorLine, TopLine
from voicechat.tui.widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from voicechat.recording.replayed_session import Replay
    from voicechat.session.session import Session

STEP_S = 5.0
"""Seconds that an arrow key moves."""

_KEPT = {"earlier", "later", "unfold"}
"""What the keys of the conversation do here, too."""
_OWN = {"pause", "back", "on", "begin", "faster", "slower", "app.quit", "quit"}

STEPS = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 8.0, 16.0, 32.0)
"""Speeds that an arrow key goes to."""

_KEYS = "Space pauses · ←/→ 5 s · ↑/↓ speed · Esc ends"


def clock(seconds: float) -> str:
    """Minutes and seconds: "1:05"."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


class TimeLine(Static):
    """Where the replay stands, and the keys."""

    DEFAULT_CSS = "TimeLine { height: 1; padding: 0 2; }"

    def __init__(self, replay: Replay) -> None:
        super().__init__("", markup=False, id="time")
        self._replay = replay

    def on_mount(self) -> None:
        """Time goes by without any event."""
        self.set_interval(0.25, self.refresh)

    def render(self) -> Content:
        """One line."""
        replay = self._replay
        state = "‖ paused" if replay.paused else "▶ replay"
        speed = "" if replay.speed == 1.0 else f" ×{replay.speed:g}"
        return Content.assemble(
            (f"{state}{speed} ", "bold $accent"),
            f"{clock(replay.position)} of {clock(replay.length)}",
            (f"  {_KEYS}", QUIET),
        )


class ReplayScreen(ConversationScreen):
    """The conversation's screen with a line of time where one would type."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "pause", "Pause", priority=True),
        Binding("left", "back", "Back", priority=True),
        Binding("right", "on", "On", priority=True),
        Binding("up", "faster", "Faster", priority=True),
        Binding("down", "slower", "Slower", priority=True),
        Binding("home", "begin", "Begin", priority=True),
        Binding("escape,q", "app.quit", "End", priority=True),
    ]

    AUTO_FOCUS = ""

    def __init__(self, replay: Replay) -> None:
        super().__init__(cast("Session", replay))
        self._replay = replay

    def compose(self) -> ComposeResult:
        """As in a conversation, without a place to type."""
        session = self._session
        yield TopLine(session)
        yield TranscriptView(session.transcript, Content(""))
        yield Static("", markup=False, id="banner")
        yield FloorLine(session)
        yield TimeLine(self._replay)

    def _mode_changed(self) -> None:
        """There is nothing to type into and no key that depends on it."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Nothing of what was said can be changed."""
        return action in _KEPT | _OWN

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self._replay.pause()
        self.query_one(TimeLine).refresh()

    def action_back(self) -> None:
        """Some seconds back."""
        self._replay.seek(-STEP_S)

    def action_on(self) -> None:
        """Some seconds on."""
        self._replay.seek(STEP_S)

    def action_begin(self) -> None:
        """From the beginning."""
        self._replay.seek(-self._replay.length)

    def action_faster(self) -> None:
        """The next speed."""
        self._go_at(min((s for s in STEPS if s > self._replay.speed), default=None))

    def action_slower(self) -> None:
        """The speed before."""
        self._go_at(max((s for s in STEPS if s < self._replay.speed), default=None))

    def _go_at(self, speed: float | None) -> None:
        if speed is not None:
            self._replay.set_speed(speed)
            self.query_one(TimeLine).refresh()


class ReplayApp(VoicechatApp):
    """The app around a recording. The replay has `wait_at_end`."""

    def __init__(self, replay: Replay) -> None:
        super().__init__(cast("Session", replay))
        self._replay = replay

    def get_default_screen(self) -> Screen[None]:
        """The recorded conversation."""
        return ReplayScreen(self._replay)


def run(replay: Replay) -> int:
    """Show the recording until the user leaves; as `voicechat.tui.app.run`."""
    return show(ReplayApp(replay))
