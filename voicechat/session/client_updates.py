"""The updates of a session as events of the Python API."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from voicechat.core import effects
from voicechat.core.effects import Floor, Level
from voicechat.core.items import Item, ItemStatus, ToolCall, ToolState, Usage
from voicechat.session.client_events import (
    ConnectionEvent,
    InterruptedEvent,
    ProblemEvent,
    TranscriptEvent,
    TurnEndedEvent,
    tool_call_of,
    transcript_of,
)
from voicechat.session.event_queue import EventQueue
from voicechat.session.event_stream import Overflow
from voicechat.session.session import Session
from voicechat.session.updates import UPDATES, Link, LinkChanged, SoundChanged, Update

_RESTING = {Floor.IDLE, Floor.LISTENING}
_BUSY = {Floor.THINKING, Floor.SPEAKING, Floor.WORKING}


class ClientUpdates:
    """Puts an event into the queue for each update that a program may want.

    Calls `online` when a connection opens, and `ask` with the id of a call that needs permission.
    Messages are reworded by `reword`.
    """

    def __init__(
        self,
        session: Session,
        events: EventQueue,
        online: Callable[[], None],
        ask: Callable[[str], None],
        reword: Callable[[str], str],
    ) -> None:
        self._session = session
        self._events = events
        self._online = online
        self._ask = ask
        self._reword = reword
        self._floor = Floor.IDLE
        self._messages: dict[str, TranscriptEvent] = {}
        self._calls: dict[str, ToolState] = {}

    def follow(self) -> None:
        """Receive every update of the session."""
        updates = self._session.subscribe(
            "python api", limit=100, overflow=Overflow.DROP_OLDEST, wants=UPDATES
        )

        def take() -> None:
            for update in updates.pop_all():
                self._on_update(cast("Update", update))

        updates.wake = take

    def _on_update(self, update: Update) -> None:
        match update:
            case effects.EntryChanged(entry_id):
                self._entry_changed(entry_id)
            case effects.AskApproval(call_id):
                self._ask(call_id)
            case effects.FloorChanged(floor):
                if self._floor in _BUSY and floor in _RESTING:
                    self._events.put(TurnEndedEvent(self._session.latency_ms))
                self._floor = floor
            case effects.UsageChanged(_, added) if added != Usage():
                self._events.put(added)
            case LinkChanged(link, text):
                self._events.put(ConnectionEvent(link, text))
                if link is Link.ONLINE:
                    self._online()
            case effects.Notice(text, level, hint, pipe_hint) if level is not Level.INFO:
                remedy = self._reword(pipe_hint or hint)
                self._events.put(ProblemEvent(self._reword(text), remedy, level))
            case SoundChanged(_, _, problem, hint) if problem:
                self._events.put(ProblemEvent(problem, hint, Level.WARNING))
            case _:
                pass

    def _entry_changed(self, entry_id: str) -> None:
        entry = self._session.transcript.get(entry_id)
        if isinstance(entry, ToolCall):
            if entry.state is not ToolState.STREAMING and self._calls.get(entry_id) != entry.state:
                self._calls[entry_id] = entry.state
                self._events.put(tool_call_of(entry))
        elif entry is not None and not entry.hidden:
            self._message_changed(entry)

    def _message_changed(self, item: Item) -> None:
        before = self._messages.get(item.item_id)
        now = transcript_of(item, before.text if before else "")
        if before is not None and _same(before, now):
            return
        self._messages[item.item_id] = now
        self._events.put(now)
        cut = item.status is ItemStatus.INTERRUPTED
        if cut and (before is None or before.status is not ItemStatus.INTERRUPTED):
            self._events.put(InterruptedEvent(item.item_id, item.heard_ms, item.shown))


def _same(one: TranscriptEvent, other: TranscriptEvent) -> bool:
    return (one.text, one.heard, one.status) == (other.text, other.heard, other.status)
