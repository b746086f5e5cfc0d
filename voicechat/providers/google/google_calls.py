"""The open tool calls of a Gemini Live connection, and those that new input cancels.

While a blocking call runs, the server waits for its result. New input of the user cancels the call:
the server forgets it and answers the input. It does not always send `toolCallCancellation`, and it
answers no result of such a call, so the client cancels the tool and sends no result.

Sources: Gemini API docs, "Migrate to Gemini 3.8 Live" (function calls); its developers' forum,
"with behavior BLOCKING, an interrupting turn drops the pending function call".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from voicechat.core.events import (
    Event,
    InputCommitted,
    ResponseCreated,
    SpeechStarted,
    ToolCallReady,
    ToolCallsCancelled,
)

MOST_CALLS = 256
"""Most calls that are remembered, open or cancelled."""


class OpenCalls:
    """Calls without a result."""

    def __init__(self, *, cancelled_by_input: bool) -> None:
        """Start without calls; `cancelled_by_input` is False if they survive new input."""
        self._cancelled_by_input = cancelled_by_input
        self._names: dict[str, str] = {}
        """Names of the tools of open calls, by the id of the call."""
        self._cancelled: dict[str, str] = {}
        self._unreported: tuple[str, ...] = ()
        """Cancelled calls that the conversation does not know of."""
        self._heard = False
        """The user spoke while a call was open."""

    def take(self, call_id: str, name: str) -> str | None:
        """Close a call with its result; return the name of its tool, None for a cancelled call.

        `name` is returned for a call of an earlier connection.
        """
        if call_id in self._cancelled:
            return None
        return self._names.pop(call_id, name)

    def note_input(self) -> None:
        """Note new input of the user that is sent now."""
        if self._cancelled_by_input and self._names:
            self._unreported += tuple(self._names)
            self._cancel(self._names)

    def follow(self, events: Iterable[Event]) -> list[Event]:
        """Return the events of a frame, with the cancellations that the server does not report."""
        return list(self._followed(list(events)))

    def _followed(self, events: list[Event]) -> Iterator[Event]:
        has_calls = any(isinstance(event, ToolCallReady) for event in events)
        for event in events:
            if isinstance(event, ResponseCreated) and self._heard and not has_calls:
                # The server answers what the user said, so it no longer waits for results.
                self.note_input()
            if self._unreported:
                yield ToolCallsCancelled(self._unreported)
                self._unreported = ()
            self._note(event)
            yield event

    def _note(self, event: Event) -> None:
        match event:
            case ToolCallReady(call_id=call_id, name=name):
                self._heard = self._heard and bool(self._names)
                _add(self._names, call_id, name)
                self._cancelled.pop(call_id, None)
            case ToolCallsCancelled(call_ids):
                self._cancel(call_ids)
            case SpeechStarted() | InputCommitted():
                self._heard = bool(self._names)

    def _cancel(self, call_ids: Iterable[str]) -> None:
        for call_id in tuple(call_ids):
            _add(self._cancelled, call_id, self._names.pop(call_id, ""))


def _add(known: dict[str, str], call_id: str, name: str) -> None:
    if len(known) >= MOST_CALLS:
        del known[next(iter(known))]
    known[call_id] = name
