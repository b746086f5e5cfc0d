"""Tool calls that the provider runs: shown like local calls, run and answered by the provider.

A call that needs approval is ASKING until `decide`; the provider then continues by itself. Every
call ends: with its connection, with an interruption by the user, or after `CALL_TIMEOUT_S`.
"""

from __future__ import annotations

from voicechat.core import commands, effects, events, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.text import clean_json, excerpt
from voicechat.core.tool_calls import MAX_ARGUMENT_CHARS

CALL_TIMEOUT_S = 60.0
"""Seconds that a call may run before the response that waits for it counts as hanging."""

NOT_ALLOWED = "The user did not allow it."
INTERRUPTED = "The user interrupted."


class ProviderTools:
    """The calls of a conversation that run at the provider."""

    def __init__(self, buffer: EffectBuffer) -> None:
        self.continuation_due = False
        """True if a call ended and the model has not spoken since: the provider will continue."""
        self._buffer = buffer
        self.undecided: dict[str, ToolCall] = {}
        self._running: dict[str, ToolCall] = {}
        self._allowed: set[tuple[str, str]] = set()

    @property
    def asking(self) -> tuple[ToolCall, ...]:
        """Calls that wait for approval, the oldest first."""
        return tuple(self.undecided.values())

    def is_working(self, now: float) -> bool:
        """True if a call is still expected to progress at the time `now` (s), before any answer."""
        since = [call.started_at or 0.0 for call in self._running.values()]
        return bool(self.undecided) or any(now < start + CALL_TIMEOUT_S for start in since)

    def due(self, now: float) -> float | None:
        """Return the time (s) when running calls no longer delay the answer; None if none do."""
        if not self.continuation_due or self.undecided or not self._running:
            return None
        at = max(call.started_at or 0.0 for call in self._running.values()) + CALL_TIMEOUT_S
        return at if at > now else None

    def tools_listed(self, event: events.RemoteTools) -> None:
        """Report that a server's tools could not be fetched."""
        if event.error is not None:
            which = f" of {event.server}" if event.server else ""
            self._buffer.do(
                effects.Notice(
                    f"The tools{which} are not available: {excerpt(event.error)}",
                    effects.Level.WARNING,
                )
            )

    def approval_requested(self, event: events.RemoteApproval) -> None:
        """Handle a request for approval; a repeated one changes nothing."""
        if self._buffer.transcript.get(event.item_id) is None:
            call = self._call(event.item_id, event.response_id, event.server, event.name)
            call.arguments = clean_json(event.arguments)
            self.undecided[call.call_id] = call
            if (call.server, call.name) in self._allowed:
                self.decide(call.call_id, True)
            elif len(call.arguments) > MAX_ARGUMENT_CHARS:
                self.decide(call.call_id, False, "The arguments are too long to check.")
            else:
                self._buffer.ask(call)

    def decided(self, decided: inputs.Decided) -> None:
        """Apply the user's decision if the call still asks and its arguments are the ones shown.

        An approval lasts at most for this session, because the tool's definition is not known.
        """
        call = self.undecided.get(decided.call_id)
        if call is None or call.arguments != decided.arguments:
            return
        if decided.decision is inputs.Decision.DENY:
            self.decide(call.call_id, False, decided.words or NOT_ALLOWED)
            return
        self.decide(call.call_id, True)
        if decided.decision is not inputs.Decision.ONCE:
            key = (call.server, call.name)
            self._allowed.add(key)
            for other in self.asking:
                if (other.server, other.name) == key:
                    self.decide(other.call_id, True)

    def decide(self, call_id: str, approve: bool, reason: str = NOT_ALLOWED) -> bool:
        """Approve or deny a call that asks; return False if it does not ask."""
        call = self.undecided.pop(call_id, None)
        if call is None:
            return False
        call.state = ToolState.QUEUED if approve else ToolState.DENIED
        self.continuation_due = True
        self._buffer.send(commands.AnswerApproval(call_id, approve, "" if approve else reason))
        self._buffer.changed(call)
        return True

    def changed(self, event: events.RemoteCall, now: float) -> None:
        """Update a call. A call that needed approval continues in the entry that asked."""
        known = self._buffer.transcript.get(event.approval_id or event.item_id)
        if isinstance(known, ToolCall):
            call = known
        else:
            call = self._call(event.item_id, event.response_id, event.server, event.name)
        if call.state.final:
            self._add_late_result(call, event)
            return
        self.undecided.pop(call.call_id, None)
        call.arguments = event.arguments or call.arguments
        call.name, call.server = event.name or call.name, event.server or call.server
        call.state = event.state
        call.output = event.output if event.error is None else event.error
        if event.state is ToolState.RUNNING and call.started_at is None:
            call.started_at = now
            self._running[call.call_id] = call
        if event.state.final:
            self._ended(call, now)
        self._buffer.changed(call)

    def interrupt(self, now: float) -> None:
        """Deny the calls that ask and stop tracking those that run."""
        for call_id in list(self.undecided):
            self.decide(call_id, False, INTERRUPTED)
        self._abandon_running(now)
        self.continuation_due = False

    def connection_lost(self, now: float) -> None:
        """Cancel all open calls: the connection was lost."""
        for call in self.undecided.values():
            call.state = ToolState.CANCELLED
            self._buffer.changed(call)
        self.undecided.clear()
        self._abandon_running(now)
        self.continuation_due = False

    def _abandon_running(self, now: float) -> None:
        for call in list(self._running.values()):
            call.state = ToolState.CANCELLED
            self._ended(call, now)
            self._buffer.changed(call)

    def _ended(self, call: ToolCall, now: float) -> None:
        self._running.pop(call.call_id, None)
        self.continuation_due = True
        if call.started_at is not None:
            call.elapsed_ms = (now - call.started_at) * 1000

    def _add_late_result(self, call: ToolCall, event: events.RemoteCall) -> None:
        """Add a result that arrives after the end of its call."""
        result = event.output if event.error is None else event.error
        if result is not None and call.output is None:
            call.output = result
            self._buffer.changed(call)

    def _call(self, item_id: str, response_id: str, server: str, name: str) -> ToolCall:
        call = ToolCall(item_id, item_id, response_id, name, server=server, source=server)
        self._buffer.transcript.add(call)
        return call
