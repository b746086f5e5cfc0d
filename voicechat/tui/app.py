"""The terminal app around one session, and its way out.

Whatever ends it, the terminal is given back before anything is told. The exit code is 0 for
leaving and 128 + n for a signal; errors are raised to the caller of `run`.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerCancelled, WorkerFailed

from voicechat.errors import VoicechatError
from voicechat.tui.keys import KEYS, Key
from voicechat.tui.safe_text import ControlNet
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.themes import DARK, LIGHT, first_theme

if TYPE_CHECKING:
    from voicechat.session.session import Session

GOODBYE = 2.0
"""Seconds the session gets to end when the user leaves."""
MOST_EARLY = 1_000
"""Keys that are kept while the screen starts; the oldest are dropped."""
TWICE = 3.0
"""Seconds in which a second Ctrl+C leaves."""


class VoicechatApp(App[None]):
    """Runs the session and shows it."""

    TITLE = "voicechat"
    CSS_PATH = Path(__file__).with_name("voicechat.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", id="quit", priority=True),
        Binding("ctrl+c", "leave", id="leave", show=False, system=True),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.failure: VoicechatError | None = None
        """Why the session could not go on."""
        self._asked_to_leave = float("-inf")
        self._talk: Worker[None] | None = None
        self._early: deque[events.Event] | None = deque(maxlen=MOST_EARLY)
        """Keys typed before the screen is up, which the composer then gets."""
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        self.theme = first_theme()
        self._filters.append(ControlNet())

    def get_default_screen(self) -> Screen[None]:
        """The conversation is the only standing screen."""
        return ConversationScreen(self._session)

    def on_mount(self) -> None:
        """Draw first, then begin to talk."""
        self.call_after_refresh(self._begin)
        self.call_after_refresh(self._type_early_keys)

    async def on_event(self, event: events.Event) -> None:
        """Keep keys until the composer can take them."""
        if self._early is not None and isinstance(event, events.Key | events.Paste):
            self._early.append(event)
        else:
            await super().on_event(event)

    async def _type_early_keys(self) -> None:
        early, self._early = self._early or (), None
        for event in early:
            await super().on_event(self._as_pressed(event))

    def _as_pressed(self, event: events.Event) -> events.Event:
        """Enter for a line feed: a terminal that is not in raw mode yet sends that for Enter."""
        is_feed = isinstance(event, events.Key) and event.key == "ctrl+j"
        return events.Key("enter", "\r") if is_feed and not self.is_headless else event

    def _begin(self) -> None:
        self._watch_signals()
        self._talk = self._run_session()
        if not self.is_headless:
            gc.freeze()  # the collector need not walk the modules while words come

    @work(group="session", exclusive=True)
    async def _run_session(self) -> None:
        try:
            await self._session.run()
        except VoicechatError as error:
            self._session_failed(error)
        else:
            self.exit()

    def _session_failed(self, error: VoicechatError) -> None:
        """Leave at once when nothing was said yet; else keep the conversation readable."""
        self.failure = error
        screen = self.screen_stack[0]
        if not self._session.transcript.entries or not isinstance(screen, ConversationScreen):
            self.exit(return_code=error.exit_code)
            return
        hint = f"{error.hint} Ctrl+Q leaves.".strip()
        screen.show_problem(error.message, hint)
        screen.refresh_state()

    # ---------------------------------------------------------------- ways out

    async def action_quit(self) -> None:
        """End the session and leave."""
        await self._leave(self.failure.exit_code if self.failure else 0)

    async def _leave(self, code: int) -> None:
        """Give the session time to end what it started, then leave with this exit code."""
        self._session.close()
        if self._talk is not None and self._talk.is_running:
            with suppress(TimeoutError, asyncio.CancelledError, WorkerFailed, WorkerCancelled):
                await asyncio.wait_for(self._talk.wait(), GOODBYE)
        self.exit(return_code=code)

    async def action_leave(self) -> None:
        """Ctrl+C with nothing to copy: the second one in a row leaves."""
        now = time.monotonic()
        if now - self._asked_to_leave < TWICE:
            await self.action_quit()
            return
        self._asked_to_leave = now
        self.notify("Press Ctrl+C again to quit.", timeout=TWICE, markup=False)

    def _watch_signals(self) -> None:
        """A terminated program gives the terminal back like one that was left."""
        loop = asyncio.get_running_loop()
        for name in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"):
            number = getattr(signal, name, None)
            if number is not None:
                with suppress(NotImplementedError, RuntimeError, ValueError):
                    loop.add_signal_handler(number, self._end_by_signal, number)

    def _end_by_signal(self, number: int) -> None:
        self.call_later(self._leave, 128 + number)

    def _fatal_error(self) -> None:
        """Leave quietly; Textual would print every local variable here, keys among them."""
        self._session.close()
        self._close_messages_no_wait()

    @property
    def crash(self) -> BaseException | None:
        """The error no one expected, if one ended the app."""
        error = self._exception
        return error.error if isinstance(error, WorkerFailed) else error

    # ---------------------------------------------------------------- commands

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: everything a key does, and the themes."""
        for key in KEYS:
            if key.action == "quit" or screen.check_action(key.action, ()):
                yield self._command(key, screen)
        yield SystemCommand("Theme", "change the colors", self.action_change_theme)

    def _command(self, key: Key, screen: Screen[object]) -> SystemCommand:
        namespace = "app" if key.action == "quit" else "screen"

        async def press() -> None:
            await screen.run_action(f"{namespace}.{key.action}")

        name = key.word or key.action.replace("_", " ").capitalize()
        return SystemCommand(name, key.meaning, press)


def run(session: Session) -> int:
    """Show the session until the user leaves; as `show`."""
    return show(VoicechatApp(session))


def show(app: VoicechatApp) -> int:
    """Run the app until the user leaves; the result is the exit code.

    Whatever happens, the terminal is given back first. Then what ended the app is raised: the
    `VoicechatError` for which the session could not go on, or the error no one expected; the
    caller tells it in one sentence.
    """
    app.run()
    error = app.crash or app.failure
    if error is not None:
        raise error
    return app.return_code or 0
