"""The Textual app for one session, and how it exits.

The app restores the terminal before it reports anything. The exit code is 0 when the user quits
and 128 + n after signal n; errors are raised to the caller of `run`.
"""

from __future__ import annotations

import asyncio
import gc
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import constants, events, on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.geometry import Offset, Size
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Input, TextArea
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from voicechat.errors import VoicechatError
from voicechat.system.terminal_guard import has_job_control
from voicechat.tui.key_repeat import NEXT_REPEAT_S, HeldKey, Press
from voicechat.tui.keys import KEYS, Key, key_of
from voicechat.tui.safe_text import ControlCharacterFilter
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.themes import DARK, LIGHT, initial_theme, theme_names

if TYPE_CHECKING:
    from voicechat.session.session import Session

CLOSE_TIMEOUT_S = 2.0
"""Time in seconds for the session to close when the user quits."""
MAX_EARLY_KEYS = 1_000
"""Most keys kept while the screen starts; the oldest are dropped."""
QUIT_WINDOW_S = 3.0
"""Time in seconds within which a second Ctrl+C quits."""
CLEAR = "\x1b[2J"
"""The command that clears the terminal."""

_TOGGLES = frozenset(name for key in KEYS if key.is_toggle for name in key.keys.split(","))
"""Keys whose repeats are dropped while they are held."""


class VoicechatApp(App[None]):
    """The app that runs a session and shows it."""

    TITLE = "voicechat"
    CSS_PATH = Path(__file__).with_name("voicechat.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key.keys, key.action, key.label or key.action, id=key.action, priority=True)
            for key in KEYS
            if key.of_app
        ),
        Binding("ctrl+c", "quit_on_repeat", id="quit_on_repeat", show=False, system=True),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        # CSS classes of every screen by height and width in cells; voicechat.tcss has their effect.
        self.VERTICAL_BREAKPOINTS = [
            (0, "-bare"),
            (4, "-tiny"),
            (8, "-flat"),
            (12, "-low"),
            (20, "-high"),
        ]
        self.HORIZONTAL_BREAKPOINTS = [
            (0, "-thin"),
            (10, "-narrow"),
            (60, "-normal"),
            (100, "-wide"),
        ]
        self._session = session
        self.failure: VoicechatError | None = None
        """The error that ended the session, or None."""
        self._last_ctrl_c = float("-inf")
        self._session_worker: Worker[None] | None = None
        self._early_keys: deque[events.Event] | None = deque(maxlen=MAX_EARLY_KEYS)
        """Keys pressed before the first frame; None after they were passed on."""
        self._held_toggles = {name: HeldKey() for name in _TOGGLES}
        self._toggle_timers: dict[str, Timer] = {}
        """Run out when the second press of a toggle was not a repeat."""
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = initial_theme()
        session.themes = theme_names(self.available_themes)
        session.unmute_hint = f"Press {key_of('mute')} to unmute."
        self._filters.append(ControlCharacterFilter())

    def get_default_screen(self) -> Screen[None]:
        """Return the conversation, the bottom screen of the stack."""
        return ConversationScreen(self._session)

    def on_mount(self) -> None:
        """Start the session after the first frame is drawn."""
        self.call_after_refresh(self._start_session)
        self.call_after_refresh(self._send_early_keys)

    def get_driver_class(self) -> type[Driver]:
        """Return the driver of the terminal."""
        driver = super().get_driver_class()
        if sys.platform == "win32" or constants.DRIVER is not None:
            return driver
        from voicechat.tui.terminal_driver import TerminalDriver

        return TerminalDriver

    @property
    def cursor_position(self) -> Offset:
        """The place of the hidden terminal cursor, where an input method opens its window.

        Textual moves it after an edit only; this is the cursor of the focused widget.
        """
        focused = self.focused if self._screen_stack else None
        if isinstance(focused, TextArea | Input):
            return focused.cursor_screen_offset
        return Offset(0, 0)

    @cursor_position.setter
    def cursor_position(self, position: Offset) -> None:
        """Ignore a place: the focused widget knows it."""

    # ---------------------------------------------------------------- input

    async def on_event(self, event: events.Event) -> None:
        """Keep keys until the first frame is drawn, and drop the repeats of toggles."""
        if self._early_keys is not None and isinstance(event, events.Key | events.Paste):
            self._early_keys.append(event)
        else:
            await self._pass_on(event)

    async def _pass_on(self, event: events.Event) -> None:
        if isinstance(event, events.Key) and not event.is_forwarded and event.key in _TOGGLES:
            await self._toggle_pressed(event)
        else:
            await super().on_event(event)

    async def _toggle_pressed(self, event: events.Key) -> None:
        """Pass on a press of a toggle's key once, however long it is held."""
        if (timer := self._toggle_timers.pop(event.key, None)) is not None:
            timer.stop()
        press = self._held_toggles[event.key].press(event.time)
        if press is Press.NEW:
            await super().on_event(event)
        elif press is Press.UNSURE:
            self._toggle_timers[event.key] = self.set_timer(
                NEXT_REPEAT_S, partial(super().on_event, event)
            )

    async def _send_early_keys(self) -> None:
        early, self._early_keys = self._early_keys or (), None
        for event in early:
            await self._pass_on(self._with_enter(event))

    def _with_enter(self, event: events.Event) -> events.Event:
        """Return Enter for a line feed, which a terminal sends for Enter before raw mode."""
        is_line_feed = isinstance(event, events.Key) and event.key == "ctrl+j"
        return events.Key("enter", "\r") if is_line_feed and not self.is_headless else event

    # ---------------------------------------------------------------- the terminal

    def on_resize(self, event: events.Resize) -> None:
        """Correct a size that is out of date.

        Textual reads the size in a signal handler, which the next signal can interrupt, so that the
        older of two sizes arrives last.
        """
        if self.is_headless or self.is_web:
            return
        size = Size(*shutil.get_terminal_size())
        if event.size != size:
            self.post_message(events.Resize(size, size))

    def action_redraw(self) -> None:
        """Draw every cell of the screen again."""
        if self._driver is not None:
            self._driver.write(CLEAR)
        for screen in self.screen_stack:
            screen.refresh(layout=True)

    @on(Driver.SignalResume)
    def _resumed(self) -> None:
        """Draw the screen after a suspension: the terminal shows nothing of it."""
        self.action_redraw()

    def action_suspend(self) -> None:
        """Return to the shell, which continues the app with `fg`."""
        if has_job_control():
            self.action_suspend_process()
        else:
            text = "No shell started voicechat, so it cannot be suspended."
            self.notify(text, severity="warning", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return False for suspending where the system or the terminal has no way back."""
        if action == "suspend":
            return sys.platform != "win32" and (self._driver is None or self._driver.can_suspend)
        return super().check_action(action, parameters)

    # ---------------------------------------------------------------- the session

    def _start_session(self) -> None:
        self._watch_signals()
        self._session_worker = self._run_session()
        if not self.is_headless:
            gc.freeze()  # keeps the garbage collector off the imported modules

    @work(group="session", exclusive=True)
    async def _run_session(self) -> None:
        try:
            await self._session.run()
        except VoicechatError as error:
            self._session_failed(error)
        else:
            self.exit()

    def _session_failed(self, error: VoicechatError) -> None:
        """Exit if the conversation is empty; otherwise keep it on the screen to read."""
        self.failure = error
        screen = self.screen_stack[0]
        if not self._session.transcript.entries or not isinstance(screen, ConversationScreen):
            self.exit(return_code=error.exit_code)
            return
        hint = f"{error.hint} Ctrl+Q leaves.".strip()
        screen.show_problem(error.message, hint)
        screen.refresh_state()

    # ---------------------------------------------------------------- exit

    async def action_quit(self) -> None:
        """Close the session and quit."""
        await self._close_and_exit(self.failure.exit_code if self.failure else 0)

    async def _close_and_exit(self, code: int) -> None:
        """Close the session, wait at most `CLOSE_TIMEOUT_S` for it, and exit with `code`."""
        self._session.close()
        if self._session_worker is not None and self._session_worker.is_running:
            with suppress(TimeoutError, asyncio.CancelledError, WorkerFailed, WorkerCancelled):
                await asyncio.wait_for(self._session_worker.wait(), CLOSE_TIMEOUT_S)
        self.exit(return_code=code)

    async def action_quit_on_repeat(self) -> None:
        """Quit if Ctrl+C was pressed twice in a row; Textual handles it when text is selected."""
        now = time.monotonic()
        if now - self._last_ctrl_c < QUIT_WINDOW_S:
            await self.action_quit()
            return
        self._last_ctrl_c = now
        self.notify("Press Ctrl+C again to quit.", timeout=QUIT_WINDOW_S, markup=False)

    def _watch_signals(self) -> None:
        """Exit as if the user quit when a signal arrives, so that the terminal is restored."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"):
            number = getattr(signal, name, None)
            if number is not None:
                with suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.add_signal_handler(number, self._end_by_signal, number)

    def _end_by_signal(self, number: int) -> None:
        self.call_later(self._close_and_exit, 128 + number)

    def _fatal_error(self) -> None:
        """Exit without Textual's traceback, which prints local variables and so API keys."""
        self._session.close()
        self._close_messages_no_wait()

    @property
    def crash(self) -> BaseException | None:
        """The unexpected error that ended the app, or None."""
        error = self._exception
        return error.error if isinstance(error, WorkerFailed) else error

    # ---------------------------------------------------------------- commands

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette: every key's action, and the themes."""
        for key in KEYS:
            owner = self if key.of_app else screen
            if owner.check_action(key.action, ()):
                yield self._command(key, screen)
        yield SystemCommand("Theme", "change the colors", self.action_change_theme)

    def _command(self, key: Key, screen: Screen[object]) -> SystemCommand:
        namespace = "app" if key.of_app else "screen"

        async def run_action() -> None:
            await screen.run_action(f"{namespace}.{key.action}")

        name = key.label or key.action.replace("_", " ").capitalize()
        return SystemCommand(name, key.description, run_action)


def run(session: Session) -> int:
    """Show the session until the user quits. Returns and raises as `run_app`."""
    return run_app(VoicechatApp(session))


def run_app(app: VoicechatApp) -> int:
    """Run the app until the user quits, and return the exit code.

    Restores the terminal first. Then raises the error that ended the app, if any: a
    `VoicechatError` from the session, or an unexpected error.
    """
    app.run()
    error = app.crash or app.failure
    if error is not None:
        raise error
    return app.return_code or 0
