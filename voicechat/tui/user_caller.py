"""Calls for a user who looks at another window: the title, the bell and a notification.

The title of the window shows the state of the conversation. While the terminal does not have the
focus, a bell and a notification (OSC 9) say that a tool waits or that an answer without sound is
ready. A terminal that does not report its focus gets neither. Outside text is cleaned.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.message import Message

from voicechat.core.effects import Floor
from voicechat.core.text import clean
from voicechat.session.updates import Link
from voicechat.tui.widgets.status_lines import state_of

if TYPE_CHECKING:
    from voicechat.session.session import Session

MAX_CHARACTERS = 80
"""Most characters of a title or a notification."""
_BUSY = {Floor.THINKING, Floor.SPEAKING, Floor.WORKING}
_AT_REST = {Floor.IDLE, Floor.LISTENING}


class StateDrawn(Message):
    """The screen shows the newest state of the session."""


class UserCaller:
    """Writes the title and the calls with `write`; call `update` after each change."""

    def __init__(
        self, session: Session, write: Callable[[str], None], *, notifies: bool = True
    ) -> None:
        self._session = session
        self._write = write
        self._notifies = notifies
        # The Linux console shows such commands as text; on Windows, no title is restored.
        self._has_titles = os.environ.get("TERM") != "linux" and sys.platform != "win32"
        self._title = ""
        self._was_busy = False
        self._known: set[object] = set()
        """The calls and questions that the user was called for."""

    def update(self, *, has_focus: bool) -> None:
        """Write the title if it changed, and call the user if there is a new reason."""
        session = self._session
        _, word, _ = state_of(session)
        is_at_rest = session.link is Link.ONLINE and session.floor in _AT_REST
        title = f"{'muted' if session.muted and is_at_rest else word} · voicechat"
        if title != self._title and self._has_titles:
            self._title = title
            self._write(f"\x1b]2;{_one_line(title)}\x07")
        reason = self._reason()
        if reason and self._notifies and not has_focus:
            notice = f"\x1b]9;voicechat: {_one_line(reason)}\x07" if self._has_titles else ""
            self._write(f"\x07{notice}")

    def title_lost(self) -> None:
        """Write the title again with the next update: another program had the terminal."""
        self._title = ""

    def _reason(self) -> str:
        """Return why the user is needed now, if that is new; otherwise an empty text."""
        session = self._session
        waiting = {each.call_id: each.name for each in session.asking}
        questions = {each.number: each.source for each in session.questions}
        new = [each for each in (*waiting, *questions) if each not in self._known]
        self._known = {*waiting, *questions}
        was_busy, self._was_busy = self._was_busy, session.floor in _BUSY
        if new:
            name = waiting.get(str(new[0])) or questions.get(new[0], "")  # type: ignore[call-overload]
            return f"{name} needs your {'approval' if new[0] in waiting else 'answer'}"
        is_silent = not session.with_sound or session.speaker is None
        if was_busy and session.floor in _AT_REST and is_silent:
            return "the answer is ready"
        return ""


def _one_line(text: str) -> str:
    """Return cleaned text in one line; no control character can end the command early."""
    return " ".join(clean(text).split())[:MAX_CHARACTERS]
