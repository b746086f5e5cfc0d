"""Tool calls: each is run once and answered once, and one response follows all of a reply.

A response may hold several calls. Its *batch* is finished when the response is over and every
call of it has an answer; then, and only then, one response is asked for. A batch whose calls
were interrupted asks for nothing: the person has something else in mind.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from voicechat.core import events as ev
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.outbox import Outbox
from voicechat.core.turns import RecentIds

INTERRUPTED_OUTPUT = '{"error": "The person interrupted before this finished. Do not repeat it."}'


@dataclass(slots=True)
class Batch:
    """The calls of one response."""

    open: set[str] = field(default_factory=set)
    answered: int = 0
    response_over: bool = False
    interrupted: bool = False

    @property
    def finished(self) -> bool:
        """Whether nothing more is to come for this response."""
        return self.response_over and not self.open


class Calls:
    """The tool calls of a conversation that still need something."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._open: dict[str, ToolCall] = {}
        self._batches: dict[str, Batch] = {}
        self._seen = RecentIds(1024)

    @property
    def waiting(self) -> bool:
        """Whether a call still has no answer."""
        return bool(self._open)

    def entry(self, response_id: str, item_id: str, call_id: str, name: str) -> ToolCall:
        """The call with this id; it is new when it was never spoken of."""
        entry = self._outbox.transcript.get(call_id)
        if isinstance(entry, ToolCall):
            return entry
        call = ToolCall(call_id, item_id, response_id, name)
        self._outbox.transcript.add(call)
        self._outbox.changed(call)
        return call

    def arguments(self, event: ev.ToolArgumentsDelta) -> None:
        """More of a call's arguments."""
        call = self._outbox.transcript.get(event.call_id)
        if isinstance(call, ToolCall) and call.state is ToolState.STREAMING:
            call.arguments += event.text
            self._outbox.changed(call)

    def ready(self, event: ev.ToolCallReady, now: float, *, alive: bool) -> None:
        """The call is complete: run it, once. A call of a dead response is answered right away."""
        if event.call_id in self._seen:
            return
        self._seen.add(event.call_id)
        call = self.entry(event.response_id, event.item_id, event.call_id, event.name)
        call.name, call.arguments = event.name or call.name, event.arguments
        self._open[call.call_id] = call
        self._batches.setdefault(call.response_id, Batch()).open.add(call.call_id)
        if not alive:
            self._answer(call, ToolState.CANCELLED, INTERRUPTED_OUTPUT, now)
            return
        call.state, call.started_at = ToolState.RUNNING, now
        self._outbox.changed(call)
        self._outbox.do(ev.RunTool(call.call_id, call.name, call.arguments))

    def finished(self, event: ev.ToolFinished, now: float) -> None:
        """A tool ended; results nobody waits for are dropped."""
        call = self._open.get(event.call_id)
        if call is not None:
            state = ToolState.FAILED if event.failed else ToolState.DONE
            self._answer(call, state, event.output, now)

    def interrupt(self, now: float) -> None:
        """Stop what runs, and tell the model so."""
        stopped = list(self._open.values())
        for call in stopped:
            self._answer(call, ToolState.CANCELLED, INTERRUPTED_OUTPUT, now)
        self._stop(stopped)

    def cancelled(self, event: ev.ToolCallsCancelled, now: float) -> None:
        """The provider wants these results no longer: they get no answer."""
        dropped = [self._open[call_id] for call_id in event.call_ids if call_id in self._open]
        for call in dropped:
            self._close(call, ToolState.CANCELLED, None, now)
        self._stop(dropped)

    def connection_lost(self, now: float) -> None:
        """Nothing can be answered any more."""
        lost = list(self._open.values())
        for call in lost:
            self._close(call, ToolState.CANCELLED, None, now)
        self._batches.clear()
        self._stop(lost)

    def response_over(self, response_id: str) -> None:
        """The response that made the calls ended."""
        batch = self._batches.get(response_id)
        if batch is not None:
            batch.response_over = True

    def take_finished(self) -> bool:
        """Forget the finished batches; True when one of them wants its one follow-up response."""
        finished = [key for key, batch in self._batches.items() if batch.finished]
        batches = [self._batches.pop(key) for key in finished]
        return any(batch.answered and not batch.interrupted for batch in batches)

    def _answer(self, call: ToolCall, state: ToolState, output: str, now: float) -> None:
        self._close(call, state, output, now)
        failed = state is not ToolState.DONE
        self._outbox.send(ev.ToolResult(call.call_id, output, call.name, failed))

    def _close(self, call: ToolCall, state: ToolState, output: str | None, now: float) -> None:
        del self._open[call.call_id]
        call.state, call.output = state, output
        if call.started_at is not None:
            call.elapsed_ms = (now - call.started_at) * 1000
        batch = self._batches[call.response_id]
        batch.open.discard(call.call_id)
        batch.answered += 1
        batch.interrupted = batch.interrupted or state is ToolState.CANCELLED
        self._outbox.changed(call)

    def _stop(self, calls: list[ToolCall]) -> None:
        if calls:
            self._outbox.do(ev.CancelTools(tuple(call.call_id for call in calls)))
