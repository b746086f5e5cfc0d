"""Tool calls: each is run once and answered once, and one response follows all of a reply.

A response may hold several calls. Its *batch* is finished when the response is over and every
call of it has an answer; then, and only then, one response is asked for. A batch whose calls
were interrupted asks for nothing: the person has something else in mind.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from voicechat.core.items import ToolCall, ToolState
from voicechat.core.turns import RecentIds


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

    def __init__(self) -> None:
        self._open: dict[str, ToolCall] = {}
        self._batches: dict[str, Batch] = {}
        self._seen = RecentIds(1024)

    def get(self, call_id: str) -> ToolCall | None:
        """The call, while it has no answer."""
        return self._open.get(call_id)

    def opens(self, call: ToolCall) -> bool:
        """Take note of a call that shall run. False for a call that was seen before."""
        if call.call_id in self._seen:
            return False
        self._seen.add(call.call_id)
        self._open[call.call_id] = call
        self._batches.setdefault(call.response_id, Batch()).open.add(call.call_id)
        return True

    def close(
        self, call_id: str, state: ToolState, output: str | None, now: float
    ) -> ToolCall | None:
        """The call got its answer. None when it had one already or was never opened."""
        call = self._open.pop(call_id, None)
        if call is None:
            return None
        call.state, call.output = state, output
        if call.started_at is not None:
            call.elapsed_ms = (now - call.started_at) * 1000
        batch = self._batches[call.response_id]
        batch.open.discard(call_id)
        batch.answered += 1
        batch.interrupted = batch.interrupted or state is ToolState.CANCELLED
        return call

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

    def forget(self) -> list[ToolCall]:
        """The connection is gone, nothing can be answered any more: the calls that were open."""
        calls = list(self._open.values())
        self._open.clear()
        self._batches.clear()
        return calls

    @property
    def waiting(self) -> Iterable[str]:
        """Ids of the calls without an answer."""
        return tuple(self._open)
