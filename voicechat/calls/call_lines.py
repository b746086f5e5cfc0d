"""The lines about a call: what each side says, and which tools ran."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from voicechat.core import effects
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.session.updates import Link, LinkChanged

if TYPE_CHECKING:
    from voicechat.session.session import Session

_NAMES = {Role.USER: "Caller", Role.ASSISTANT: "Assistant", Role.SYSTEM: "Note"}
_ENDINGS = {
    ItemStatus.COMPLETED: "",
    ItemStatus.INTERRUPTED: " (interrupted)",
    ItemStatus.FAILED: " (failed)",
}
_STATES = {
    ToolState.RUNNING: "runs",
    ToolState.DONE: "is done",
    ToolState.FAILED: "failed",
    ToolState.DENIED: "was denied",
    ToolState.CANCELLED: "was stopped",
}

LONGEST = 4_000
"""Characters of a line."""


class CallLines:
    """Turns the updates of a session into lines, each finished message once."""

    def __init__(
        self, session: Session, say: Callable[[str], None], warn: Callable[[str], None]
    ) -> None:
        """say: receives what was said and done. warn: receives what went wrong."""
        self._session = session
        self._say = say
        self._warn = warn
        self._printed: dict[str, object] = {}

    def take(self, update: object) -> None:
        """Print an update, if it has something to print."""
        match update:
            case effects.EntryChanged(entry_id):
                self._print_entry(entry_id)
            case effects.Notice(text, level, hint):
                if level is not effects.Level.INFO:
                    self._warn(f"{text} {hint}".strip())
            case LinkChanged(Link.RECONNECTING, text) if text:
                self._warn(text)

    def finish(self) -> None:
        """Print the messages that the end of the call cut off."""
        for entry in self._session.transcript.entries:
            if isinstance(entry, Item) and entry.status is ItemStatus.IN_PROGRESS:
                self._print_item(entry, " (cut off)")

    def _print_entry(self, entry_id: str) -> None:
        entry = self._session.transcript.get(entry_id)
        if isinstance(entry, ToolCall):
            state = _STATES.get(entry.state)
            if state and self._printed.get(entry_id) is not entry.state:
                self._printed[entry_id] = entry.state
                self._say(f"Tool: {_line(entry.name)} {state}")
        elif isinstance(entry, Item) and not entry.hidden and entry.status in _ENDINGS:
            self._print_item(entry, _ENDINGS[entry.status])

    def _print_item(self, item: Item, ending: str) -> None:
        if item.item_id in self._printed:
            return
        text = _line(item.shown)
        if text or item.error:
            self._printed[item.item_id] = item.status
            self._say(f"{_NAMES[item.role]}: {text}{ending}{f' {item.error}' * bool(item.error)}")


def _line(text: str) -> str:
    return " ".join(text.split())[:LONGEST]
