"""The Textual app for one session, and how it exits.

The app restores the terminal before it reports anything. The exit code is 0 when the user quits
and 128 + n after signal n; errors are raised to the caller of `exit_code`.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.color import Color
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from voicechat.core.effects import Level
from voicechat.errors import VoicechatError
from voicechat.system import garbage
from voicechat.system.loop_watch import stalls_logged
from voicechat.tui.keys import KEYS, key_of, use_keymap
from voicechat.tui.palette import Palette, palette_commands
from voicechat.tui.safe_text import ControlCharacterFilter
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.terminal_answers import BackgroundReported
from voicechat.tui.terminal_app import TerminalApp
from voicechat.tui.themes import (
    AUTO,
    DARK,
    LIGHT,
    ThemeChosen,
    ThemePreviewed,
    initial_theme,
    spoken_name,
    theme_for,
    theme_named,
    theme_names,
)
from voicechat.tui.user_caller import StateDrawn, UserCaller
from voicechat.tui.widgets.entry_text import use_speaker_label
from voicechat.tui.widgets.notice_line import NOTICE_S

if TYPE_CHECKING:
    from voicechat.session.session import Session
    from voicechat.tui.composer_history import ComposerHistory
    from voicechat.tui.screen_start import EarlySession

CLOSE_TIMEOUT_S = 2.0
"""Time in seconds for the session to close when the user quits."""
QUIT_WINDOW_S = 3.0
"""Time in seconds within which a second Ctrl+C quits."""


_LEVELS: dict[SeverityLevel, Level] = {
    "information": Level.INFO,
    "warning": Level.WARNING,
    "error": Level.ERROR,
}


class VoicechatApp(TerminalApp):
    """The app that runs a session and shows it."""

    TITLE = "voicechat"
    CSS_PATH: ClassVar = [
        Path(__file__).with_name(name) for name in ("voicechat.tcss", "list_screens.tcss")
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(key.keys, key.action, key.label or key.action, id=key.action, priority=True)
            for key in KEYS
            if key.of_app
        ),
        Binding("ctrl+c", "quit_on_repeat", id="quit_on_repeat", show=False, system=True),
    ]

    def __init__(
        self,
        session: Session,
        theme: str = AUTO,
        remember_theme: Callable[[str], None] = lambda name: None,
        keymap: Mapping[str, str] = MappingProxyType({}),
        notifies: bool = True,
        sent: ComposerHistory | None = None,
        *,
        console: bool = False,
        early: EarlySession | None = None,
    ) -> None:
        """Show a session; the arguments are those of `screen_start.run`.

        early: the session, if it runs already.
        """
        use_keymap(keymap)
        use_speaker_label(session.speaker_label.lower())
        super().__init__()
        self.opens_console = console
        """True if the event console is open from the start."""
        self.set_keymap(keymap)
        self._session = session
        self._early = early
        self.failure: VoicechatError | None = None
        """The error that ended the session, or None."""
        self._caller = UserCaller(session, self.write_to_terminal, notifies=notifies)
        self._sent = sent
        self._last_ctrl_c = float("-inf")
        self._session_worker: Worker[None] | None = None
        for own_theme in (DARK, LIGHT):
            self.register_theme(own_theme)
        session.themes = theme_names(self.available_themes)
        self._remember_theme = remember_theme
        self._background: Color | None = None
        """The background color of the terminal, as far as it is known."""
        theme = theme.lower()
        known = {*session.themes, *self.available_themes}
        self._follows_background = theme == AUTO or theme not in known
        self.theme = theme_named(AUTO if self._follows_background else theme, is_dark=True)
        self._shows_chosen_theme = True
        """False while the theme changes without a choice of the user."""
        self.shows_history = False
        """True to begin with the history."""
        self._theme_before = ""
        """The theme that returns after the preview of another one; empty without a preview."""
        self._name_theme()
        session.outlives_connections = True
        session.unmute_hint = f"Press {key_of('mute')} to unmute."
        self._filters.append(ControlCharacterFilter())

    def get_default_screen(self) -> Screen[None]:
        """Return the conversation, the bottom screen of the stack."""
        changes = self._early.changes if self._early is not None else None
        return ConversationScreen(self._session, changes, console=self.opens_console)

    async def on_mount(self) -> None:
        """Start the session after the first frame is drawn."""
        self._watch_signals()
        self.call_after_refresh(self._start_session)
        screen = self.screen_stack[0]
        if self._sent is not None and isinstance(screen, ConversationScreen):
            screen.call_after_refresh(screen.use_history, self._sent)

    @on(StateDrawn)
    def _state_drawn(self) -> None:
        """Show the state in the title of the window; call the user if that is needed."""
        self._caller.update(has_focus=self.app_focus)

    def action_redraw(self) -> None:
        """Draw every cell of the screen, and the title of the window, again."""
        self._caller.title_lost()
        self._state_drawn()
        super().action_redraw()

    # ---------------------------------------------------------------- theme

    @on(BackgroundReported)
    def _background_reported(self, message: BackgroundReported) -> None:
        """Use the theme for the background of the terminal, unless the user chose one."""
        self._background = message.color
        if self._follows_background:
            self._follow_background()

    def _follow_background(self) -> None:
        self._follows_background = True
        self._try_theme(theme_for(self._background) if self._background else initial_theme())
        self._name_theme()

    def _try_theme(self, registered: str) -> None:
        """Show a theme that the user did not choose."""
        self._shows_chosen_theme = False
        self.theme = registered
        self._shows_chosen_theme = True

    def _name_theme(self) -> None:
        """Tell the session the name of the theme that was chosen."""
        self._session.theme = AUTO if self._follows_background else spoken_name(self.theme)

    @on(ThemePreviewed)
    def _theme_previewed(self, message: ThemePreviewed) -> None:
        self._theme_before = self._theme_before or self.theme
        if message.name:
            self._try_theme(theme_named(message.name, self.current_theme.dark))
        else:
            self._end_preview()

    def _end_preview(self) -> None:
        before, self._theme_before = self._theme_before, ""
        if before:
            self._try_theme(before)

    @on(ThemeChosen)
    def _theme_chosen(self, message: ThemeChosen) -> None:
        self._end_preview()
        if message.name == AUTO:
            self._follow_background()
            self._remember_theme(AUTO)
            return
        name = theme_named(message.name, self.current_theme.dark)
        if name == self.theme:
            self.watch_theme(name)
        self.theme = name

    def watch_theme(self, name: str) -> None:
        """Remember a theme that the user chose, in the palette or with a command."""
        if self.is_running and self._shows_chosen_theme:
            self._follows_background = False
            self._name_theme()
            self._remember_theme(name)

    # ---------------------------------------------------------------- the session

    def _start_session(self) -> None:
        if self.shows_history:
            self.call_later(self.screen.run_action, "history")
        self._state_drawn()
        self._session_worker = self._run_session()
        if not self.is_headless:
            garbage.set_aside()
            gc.enable()

    @work(group="session", exclusive=True)
    async def _run_session(self) -> None:
        try:
            with nullcontext() if self.is_headless else stalls_logged():
                await (self._early or self._session).run()
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
        hint = f"{error.hint} {key_of('quit')} leaves.".strip()
        screen.ending = VoicechatError("The session has ended.", hint)
        screen.show_problem(error.message, hint)
        screen.refresh_state()

    # ---------------------------------------------------------------- exit

    async def action_quit(self) -> None:
        """Close the session and quit."""
        self.failure = self.failure or self._session.offline_error
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
        self.show_here("Press Ctrl+C again to quit.", QUIT_WINDOW_S)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Show a notice in the line of the conversation instead of a toast over it."""
        screen = self.screen_stack[0]
        if isinstance(screen, ConversationScreen):
            text = f"{title}: {message}" if title else message
            screen.show_reply(text, _LEVELS[severity], timeout or NOTICE_S)

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

    def action_command_palette(self) -> None:
        """Open the palette."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield the commands of the palette: what makes sense now."""
        if isinstance(screen, ConversationScreen):
            yield from palette_commands(self._session, screen)


def run_app(app: VoicechatApp) -> int:
    """Run the app until the user quits. Returns and raises as `exit_code`."""
    app.run()
    return exit_code(app)


def exit_code(app: VoicechatApp) -> int:
    """Return the exit code of an app that has restored the terminal.

    Raises the error that ended the app, if any: a `VoicechatError` from the session, or an
    unexpected error.
    """
    error = app.crash or app.failure
    if error is not None:
        raise error
    return app.return_code or 0
