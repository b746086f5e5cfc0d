"""The start of the screen: the session connects while the screen is imported."""

from __future__ import annotations

import asyncio
import gc
import os
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from voicechat.tui.pending_changes import PendingChanges, changes_of

if TYPE_CHECKING:
    from voicechat.session.session import Session
    from voicechat.tui.composer_history import ComposerHistory

_PARTS: Final = (
    "rich.console",
    "textual.content",
    "textual.css.stylesheet",
    "textual.app",
    "markdown_it",
    "voicechat.tui.widgets.transcript_view",
    "voicechat.tui.app",
)
"""Parts of the screen, about equally long to import; between them the session goes on."""
_STEPS: Final = 10
"""Steps of the event loop between two parts."""
_END_S: Final = 2.0
"""Longest wait for a session that is cancelled because there is no screen."""


class EarlySession:
    """A session that runs before its screen is there, and what it has changed so far."""

    def __init__(self, session: Session) -> None:
        session.outlives_connections = True
        self.changes: Final[PendingChanges] = changes_of(session)
        self._task: Final = asyncio.get_running_loop().create_task(session.run(), name="session")

    async def run(self) -> None:
        """Run to the end. Returns and raises as `Session.run`; ends the session if cancelled."""
        await self._task

    async def end(self) -> None:
        """End a session that has no screen."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=_END_S)
        with suppress(asyncio.CancelledError, asyncio.InvalidStateError):
            self._task.exception()


def run(
    session: Session,
    theme: str | None = None,
    *,
    shows_history: bool = False,
    console: bool = False,
    keymap: Mapping[str, str] = MappingProxyType({}),
    notifies: bool = True,
    sent: ComposerHistory | None = None,
) -> int:
    """Show the session until the user quits. Returns and raises as `app.exit_code`.

    theme: name of the theme; by default the remembered one. Raises `UsageError` for an unknown one.
    shows_history: begin with the history, to choose a conversation.
    console: open the event console, which shows the session from its first frame.
    keymap: other keys by action, from `checked_keymap`.
    notifies: call the user while the terminal does not have the focus.
    sent: the messages to recall and search; by default only those of this run.
    """
    gc.disable()  # until the first frame: most of what is imported stays

    async def show() -> int:
        early = None if shows_history or console else EarlySession(session)
        try:
            await _import_screen()
            from voicechat.tui import remembered_theme
            from voicechat.tui.app import VoicechatApp, exit_code
            from voicechat.tui.themes import require_theme

            if theme is not None:
                require_theme(theme)
            kept = os.environ.get("TEXTUAL_THEME") or remembered_theme.read()
            write = remembered_theme.write
            app = VoicechatApp(
                session, theme or kept, write, keymap, notifies, sent, console=console, early=early
            )
            app.shows_history = shows_history
            await app.run_async()
            return exit_code(app)
        finally:
            gc.enable()
            if early is not None:
                await early.end()

    return asyncio.run(show())


async def _import_screen() -> None:
    for part in _PARTS:
        for _ in range(_STEPS):
            await asyncio.sleep(0)
        import_module(part)
