"""The state of one dialogue: the last request, its changes, and the replies that can continue."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voicechat.server.assistant.intents import Meaning
from voicechat.server.engine_protocols import Message
from voicechat.skills.notebook import Notebook
from voicechat.skills.undo_stack import MOST, Undo

_MOST_REPLIES = 4
"""Number of replies that can be repeated or continued."""


@dataclass(frozen=True, slots=True)
class ToolChange:
    """A change that a tool of the client made."""

    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Revision:
    """A request that takes the place of one that is undone."""

    text: str
    """The complete request to run."""
    replaces: Revision | None = None
    """The request that a correction replaces; an undo of the correction runs it."""
    opening: str = ""
    """The sentence that introduces the answer."""


@dataclass(slots=True)
class LastRequest:
    """The last request that was understood, which the next turn may correct."""

    said: str
    """The user's message."""
    text: str
    """The complete request; differs from `said` after a correction."""
    meaning: Meaning | None
    arguments: str = ""
    """The arguments of the tool call, as JSON text."""
    changes: int = 0
    """Number of changes that the request made."""
    revision: Revision | None = None
    """The revision that this request runs, if it takes the place of another request."""


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the stack of changes."""

    inverse: Undo | ToolChange | None
    """Undoes the change; None for a request that changed nothing."""
    request: LastRequest | None
    """The request that made the change."""


class DialogueState:
    """The state that the assistant keeps for one session.

    path: of the notebook; None keeps the notebook in memory.
    """

    def __init__(self, path: Path | None) -> None:
        self.notebook = Notebook(path, record=self.record)
        self.changes: deque[Change] = deque(maxlen=MOST)
        """The changes that can be undone, the newest last."""
        self.last: LastRequest | None = None
        self.revision: Revision | None = None
        """The request to run after the client has undone the one before."""
        self.offered = ""
        """The request that the assistant asked about, and that "yes" runs."""
        self._replies: deque[str] = deque(maxlen=_MOST_REPLIES)

    def record(self, change: Undo | ToolChange | None) -> None:
        """Add a change of the current request."""
        self.changes.append(Change(change, self.last))
        if self.last is not None:
            self.last.changes += 1

    def drop_change(self, call_id: str) -> None:
        """Remove the change of a tool call that failed."""
        for change in list(self.changes):
            undo = change.inverse
            if isinstance(undo, ToolChange) and undo.call_id == call_id:
                self.changes.remove(change)
                if self.last is not None:
                    self.last.changes -= 1

    def add_reply(self, text: str) -> None:
        """Keep the complete text of a reply."""
        if text:
            self._replies.append(text)

    def last_reply(self, messages: Sequence[Message]) -> str:
        """Return the complete text of the last reply, also if it was interrupted."""
        heard = next((one.text for one in reversed(messages) if one.role == "assistant"), "")
        return next((one for one in reversed(self._replies) if one.startswith(heard)), heard)

    def take_unheard(self, messages: Sequence[Message]) -> str:
        """Return the rest of the newest interrupted reply, once; empty if there is none."""
        heard = [one.text.strip() for one in reversed(messages) if one.role == "assistant"]
        for text in heard[:_MOST_REPLIES]:
            for reply in reversed(self._replies):
                if reply.startswith(text) and reply[len(text) :].strip():
                    self._replies.remove(reply)
                    return reply[len(text) :].strip()
        return ""
