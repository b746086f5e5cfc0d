"""Tool calls: each runs once and is answered once; one response follows all calls of a response.

    ready ──► permission? ──auto──► RUNNING ──► DONE, FAILED
                 │ ask             ▲  └───► CANCELLED (interrupted, or withdrawn)
                 ├──────► ASKING ──┘ approved
                 │           └──────► DENIED
                 └ never, unknown ──► DENIED, FAILED

A tool that asks runs only after `Decided`, which is valid for one call and exactly the arguments
that were shown. The calls of one response form a *batch*. A batch is finished when the response
ended and every call has an answer; only then, one response is requested. A batch with interrupted
calls requests none: the user wants something else. Nor does a batch after `MAX_ROUNDS` others
without a word of the user, whose calls do not run.

A call may outlive its connection. It continues, and the next session is seeded with it: such
*carried* calls and their results are part of the history there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from voicechat.core import commands, effects, events, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import ToolCall, ToolState
from voicechat.core.settings import Permission, ToolSpec
from voicechat.core.text import clean, clean_json
from voicechat.core.turns import RecentIds

MAX_OPEN_CALLS = 32
"""Most calls that may run or wait for a decision; further ones are answered with an error."""

MAX_KNOWN_IDS = 1024
"""Most ids of calls that are remembered."""

MAX_ROUNDS = 25
"""Most responses in a row that call tools while the user neither speaks, types nor decides."""

MAX_REFUSED_ROUNDS = 3
"""Further such responses until a new session starts: the provider goes on without a request."""

MAX_ARGUMENT_CHARS = 20_000
"""Most characters of arguments that a user can be asked to approve."""

LONGEST_ARGUMENTS = 100_000
"""Most characters of arguments of any tool; the rest is not read, and the tool does not run."""

MAX_ARGUMENT_LINES = 800
"""Most lines of arguments that a user can be asked to approve; more would slow down the screen."""

INTERRUPTED = '{"error": "The user interrupted before this finished. Do not repeat it."}'
NOT_ALLOWED = '{"error": "The user did not allow this. It was not done."}'
FORBIDDEN = '{"error": "This tool may not be used. It was not done."}'
FORBIDDEN_CALL = '{"error": "This call is not allowed with these arguments. It did not run."}'
UNKNOWN = '{"error": "This tool does not exist. Nothing was done."}'
TOO_LONG = '{"error": "The arguments are too long for the user to check. The tool did not run."}'
TOO_MANY = '{"error": "Too many calls at once. This one was not done."}'
TOO_MANY_ROUNDS = (
    '{"error": "Too many calls in a row. This one was not done. Wait for the user to say more."}'
)
CHANGED = '{"error": "The tool changed before the user allowed this call. The tool did not run."}'
USED_ID = '{"error": "This call id was used before, for something else. It was not done."}'
LOST = '{"error": "It is unknown whether this was done. Do not repeat it."}'

_EXPLAINED = '{"error": "The user did not allow this. It was not done. The user says: '

_FOR_USER = {
    INTERRUPTED: "Interrupted.",
    NOT_ALLOWED: "Not allowed.",
    FORBIDDEN: "Your settings never allow this tool.",
    FORBIDDEN_CALL: "Your settings never allow this call.",
    UNKNOWN: "This tool does not exist.",
    TOO_LONG: "The arguments are too long to check. The tool did not run.",
    TOO_MANY: "Too many calls at once. The tool did not run.",
    TOO_MANY_ROUNDS: "Too many calls in a row. The tool did not run.",
    CHANGED: "The tool changed before you allowed the call. The tool did not run.",
    USED_ID: "The id of an earlier call was used again. The tool did not run.",
    LOST: "The result was lost. The tool may or may not have run.",
}


def for_user(output: str) -> str:
    """Return the output of a call for the user; texts for the model have another wording."""
    if output.startswith(_EXPLAINED):
        reason = output.removeprefix(_EXPLAINED).removesuffix('"}')
        return f"Not allowed: {reason}"
    return _FOR_USER.get(output, output)


def denied(reason: str) -> str:
    """Return the result of a denied call, with the user's reason."""
    reason = " ".join(clean(reason).split()).replace("\\", "/").replace('"', "'")
    if not reason:
        return NOT_ALLOWED
    return f'{_EXPLAINED}{reason}"}}'


@dataclass(slots=True)
class Batch:
    """The calls of one response."""

    open: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    """Ids at the provider of the calls with an answer."""
    response_ended: bool = False
    interrupted: bool = False
    refused: bool = False
    """The batch came after `MAX_ROUNDS` others: its calls do not run."""

    @property
    def finished(self) -> bool:
        """True if the response ended and all its calls are answered."""
        return self.response_ended and not self.open


class CallRounds:
    """Counts the responses in a row that call tools, so that a model does not go on forever."""

    def __init__(self, buffer: EffectBuffer) -> None:
        self._buffer = buffer
        self._count = 0

    @property
    def are_over(self) -> bool:
        """True after too many: nothing more is requested."""
        return self._count > MAX_ROUNDS

    def reset(self) -> None:
        """Start again: the user spoke, typed or decided."""
        self._count = 0

    def begin(self) -> bool:
        """Count a round; return False after too many. The user is told once."""
        self._count += 1
        if self._count == MAX_ROUNDS + 1:
            self._buffer.do(
                effects.Notice(
                    f"The model called tools {MAX_ROUNDS} times in a row, so it was stopped.",
                    effects.Level.ERROR,
                    "Say or type something to go on.",
                    "Ask for less in one line, or use another model.",
                )
            )
        if self._count > MAX_ROUNDS + MAX_REFUSED_ROUNDS:
            self._buffer.do(effects.StartNewSession())
        return not self.are_over


class CallIds:
    """Unique ids of calls. A provider may use one id again, in another response.

    A call is the same one if response and id are the same. After a lost connection, it is also the
    same if it has the same item, or if the provider resumed the session.
    """

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str, str, str]] = {}
        """Id at the provider -> unique id, response and item of its latest call."""
        self._earlier: set[str] = set()
        """Ids at the provider that no call of this connection has used."""
        self._resumed = False

    def connected(self, *, resumed: bool) -> None:
        """Start a connection; a `resumed` session may repeat its calls."""
        self._earlier, self._resumed = set(self._latest), resumed

    def unique(self, wire_id: str, response_id: str, item_id: str) -> str:
        """Return the unique id of this call."""
        known = self._latest.get(wire_id)
        if known is None:
            unique = wire_id
        elif self._is_same(wire_id, known, response_id, item_id):
            unique = known[0]
        else:
            unique = self._next(known[0], wire_id)
        if known is None or wire_id in self._earlier or unique != known[0]:
            self._latest[wire_id] = (unique, response_id, item_id)
        self._earlier.discard(wire_id)
        if len(self._latest) > MAX_KNOWN_IDS:
            del self._latest[next(iter(self._latest))]
        return unique

    def _is_same(
        self, wire_id: str, known: tuple[str, str, str], response_id: str, item_id: str
    ) -> bool:
        if wire_id in self._earlier:
            return self._resumed or known[2] == item_id
        return not response_id or known[1] in {"", response_id}

    def _next(self, latest: str, wire_id: str) -> str:
        """Return the id of the next call with this id: `ID_2`, `ID_3`."""
        number = latest.removeprefix(f"{wire_id}_")
        unique = f"{wire_id}_{int(number) + 1 if number.isdecimal() else 2}"
        # The provider itself may use that id, too.
        return self._next(unique, wire_id) if unique in self._latest else unique


class ToolCalls:
    """The open tool calls of a conversation."""

    def __init__(self, buffer: EffectBuffer, tools: Iterable[ToolSpec] = ()) -> None:
        self._buffer = buffer
        self._tools = {spec.name: spec for spec in tools}
        self._allowed: dict[str, ToolSpec] = {}
        self._open: dict[str, ToolCall] = {}
        self._asked: dict[str, ToolSpec] = {}
        self._batches: dict[str, Batch] = {}
        self._ids = CallIds()
        self.rounds = CallRounds(buffer)
        """Responses with calls since the user last spoke, typed or decided."""
        self._seen = RecentIds(MAX_KNOWN_IDS)
        self._carried: set[str] = set()
        self._settled: set[str] = set()
        """Ids of calls that need no further answer on this connection."""

    @property
    def waiting(self) -> bool:
        """True if a call has no answer yet."""
        return bool(self._open)

    @property
    def asking(self) -> tuple[ToolCall, ...]:
        """Calls that wait for a decision, the oldest first."""
        return tuple(self._open[call_id] for call_id in self._asked)

    # ----------------------------------------------------------------- what may be called

    def offer(self, tools: Iterable[ToolSpec], now: float) -> None:
        """Replace the available tools. An approval of a tool that changed becomes void."""
        self._tools = {spec.name: spec for spec in tools}
        self._allowed = {
            name: spec
            for name, spec in self._allowed.items()
            if _is_same(spec, self._tools.get(name))
        }
        for call_id, spec in list(self._asked.items()):
            if not _is_same(spec, self._tools.get(spec.name)):
                self._answer(self._open[call_id], ToolState.FAILED, CHANGED, now)

    def entry(self, response_id: str, item_id: str, call_id: str, name: str) -> ToolCall:
        """Return this call of the provider; create it if it does not exist."""
        unique = self._ids.unique(call_id, response_id, item_id)
        entry = self._buffer.transcript.get(unique)
        if isinstance(entry, ToolCall):
            return entry
        call = ToolCall(unique, item_id, response_id, name, wire_id=call_id)
        self._buffer.transcript.add(call)
        self._buffer.changed(call)
        return call

    def arguments(self, event: events.ToolArgumentsDelta) -> None:
        """Add to the arguments of a call."""
        unique = self._ids.unique(event.call_id, event.response_id, event.item_id)
        call = self._buffer.transcript.get(unique)
        if isinstance(call, ToolCall) and call.state is ToolState.STREAMING:
            call.arguments += event.text
            self._buffer.changed(call)

    def ready(self, event: events.ToolCallReady, now: float, *, alive: bool) -> None:
        """Run a complete call or ask for approval, once. A call of a dead response is cancelled."""
        call = self.entry(event.response_id, event.item_id, event.call_id, event.name)
        if call.call_id in self._seen:
            self._answer_repeated(call, event, alive=alive)
            return
        self._seen.add(call.call_id)
        call.name = event.name or call.name
        # Some servers send the arguments in pieces only.
        arguments = event.arguments or call.arguments
        call.arguments = clean_json(arguments[:LONGEST_ARGUMENTS])
        spec = self._tools.get(call.name)
        call.source = spec.source if spec is not None else ""
        is_full = len(self._open) >= MAX_OPEN_CALLS
        self._open[call.call_id] = call
        batch = self._batch(call.response_id, alive=alive)
        batch.open.add(call.call_id)
        if not alive:
            self._answer(call, ToolState.CANCELLED, INTERRUPTED, now)
        elif batch.refused or is_full:
            output = TOO_MANY_ROUNDS if batch.refused else TOO_MANY
            self._answer(call, ToolState.FAILED, output, now)
        elif len(arguments) > LONGEST_ARGUMENTS:
            self._answer(call, ToolState.DENIED, TOO_LONG, now)
        elif spec is None:
            self._answer(call, ToolState.FAILED, UNKNOWN, now)
        elif self._permission(spec, call) is Permission.NEVER:
            is_tool = spec.permission is Permission.NEVER
            self._answer(call, ToolState.DENIED, FORBIDDEN if is_tool else FORBIDDEN_CALL, now)
        elif self._permission(spec, call) is Permission.AUTO:
            self._run(call, now)
        elif (
            len(call.arguments) > MAX_ARGUMENT_CHARS or _lines(call.arguments) > MAX_ARGUMENT_LINES
        ):
            self._answer(call, ToolState.DENIED, TOO_LONG, now)
        else:
            self._ask(call, spec)

    def _batch(self, response_id: str, *, alive: bool) -> Batch:
        """Return the batch of a response; begin it with its first call."""
        batch = self._batches.get(response_id)
        if batch is None:
            batch = Batch(response_ended=not alive, refused=alive and not self.rounds.begin())
            self._batches[response_id] = batch
        return batch

    def _permission(self, spec: ToolSpec, call: ToolCall) -> Permission:
        """Return the permission of a call: its rule overrides that of the tool, except `NEVER`."""
        if spec.permission is Permission.NEVER:
            return Permission.NEVER
        ruled = None if spec.rules is None else spec.rules.permission(call.arguments)
        if ruled is None:
            return Permission.AUTO if spec.name in self._allowed else spec.permission
        return ruled

    def _run(self, call: ToolCall, now: float) -> None:
        self._asked.pop(call.call_id, None)
        call.state, call.started_at = ToolState.RUNNING, now
        self._buffer.changed(call)
        self._buffer.do(effects.RunTool(call.call_id, call.name, call.arguments))

    def _ask(self, call: ToolCall, spec: ToolSpec) -> None:
        self._asked[call.call_id] = spec
        call.asks_always, call.remark = spec.asks_always, spec.remark
        call.pattern = "" if spec.rules is None else spec.rules.pattern(call.arguments)
        self._buffer.ask(call)

    def _answer_repeated(self, call: ToolCall, event: events.ToolCallReady, *, alive: bool) -> None:
        """Answer a repeated call without running it again."""
        if call.call_id in self._open:
            self._carried.discard(call.call_id)
        elif call.call_id not in self._settled:
            same = clean_json(event.arguments[:LONGEST_ARGUMENTS]) == call.arguments
            output = (call.output or LOST) if same else USED_ID
            self._send(call, commands.ToolResult(event.call_id, output, event.name, not same))
            batch = self._batches.setdefault(event.response_id, Batch(response_ended=not alive))
            batch.answered.add(event.call_id)

    # ----------------------------------------------------------------- the user's word

    def decide(self, decided: inputs.Decided, now: float) -> bool:
        """Apply the user's decision; return False if no such call asks.

        A decision on other arguments than those of the call has no effect.
        """
        spec = self._asked.get(decided.call_id)
        if spec is None:
            return False
        call = self._open[decided.call_id]
        if call.arguments != decided.arguments:
            return True
        self.rounds.reset()
        if decided.decision is inputs.Decision.DENY:
            self._answer(call, ToolState.DENIED, denied(decided.words), now)
            return True
        self._run(call, now)
        if decided.decision is inputs.Decision.ALWAYS and call.pattern:
            self._buffer.do(effects.KeepApproval(spec.name, decided.words or call.pattern))
        elif decided.decision is not inputs.Decision.ONCE and not spec.asks_always:
            self._allow(spec, now)
            if decided.decision is inputs.Decision.ALWAYS:
                self._buffer.do(effects.KeepApproval(spec.name))
        return True

    def _allow(self, spec: ToolSpec, now: float) -> None:
        """Approve this tool for the session, including its waiting calls."""
        self._allowed[spec.name] = spec
        for call_id, other in list(self._asked.items()):
            call = self._open[call_id]
            if other.name == spec.name and self._permission(other, call) is Permission.AUTO:
                self._run(call, now)

    # ----------------------------------------------------------------- ends

    def progressed(self, event: inputs.ToolProgressed) -> None:
        """Note the progress of a running call."""
        call = self._open.get(event.call_id)
        if call is not None and call.state is ToolState.RUNNING:
            call.progress = event.text
            self._buffer.changed(call)

    def finished(self, event: inputs.ToolFinished, now: float) -> ToolCall | None:
        """Answer a call with the result of its tool; drop a result that is no longer needed.

        Returns the call that was answered.
        """
        call = self._open.get(event.call_id)
        if call is None or call.state is not ToolState.RUNNING:
            return None
        state = ToolState.FAILED if event.failed else ToolState.DONE
        self._answer(call, state, event.output, now)
        return call

    def interrupt(self, now: float) -> None:
        """Deny the calls that ask, stop those that run, and report both to the model."""
        for call in self.asking:
            self._batches[call.response_id].interrupted = True
            self._answer(call, ToolState.DENIED, INTERRUPTED, now)
        stopped = list(self._open.values())
        for call in stopped:
            self._answer(call, ToolState.CANCELLED, INTERRUPTED, now)
        self._stop(stopped)

    def cancelled(self, event: events.ToolCallsCancelled, now: float) -> None:
        """Cancel calls whose results the provider no longer accepts; they get no answer."""
        dropped = [call for call in self._open.values() if call.wire_id in event.call_ids]
        running = [call for call in dropped if call.state is ToolState.RUNNING]
        for call in dropped:
            self._close(call, ToolState.CANCELLED, None, now)
            self._settled.add(call.call_id)
        self._stop(running)

    def connected(self, *, resumed: bool) -> None:
        """Start a connection; a `resumed` session still has the calls of the last one."""
        self._ids.connected(resumed=resumed)

    def connection_lost(self) -> None:
        """Carry running and waiting calls over to the next session; drop incomplete ones."""
        self._carried = set(self._open)
        self._settled.clear()
        for batch in self._batches.values():
            batch.response_ended = True
        for entry in self._buffer.transcript.entries:
            if isinstance(entry, ToolCall) and entry.state is ToolState.STREAMING:
                entry.state = ToolState.CANCELLED
                self._buffer.changed(entry)

    def end_response(self, response_id: str) -> None:
        """Note that the response that made the calls ended."""
        batch = self._batches.get(response_id)
        if batch is not None:
            batch.response_ended = True

    def take_finished(self) -> set[str]:
        """Remove finished batches; return the provider's ids of calls that need a response."""
        finished = [key for key, batch in self._batches.items() if batch.finished]
        batches = [self._batches.pop(key) for key in finished]
        wanted = [batch for batch in batches if not (batch.interrupted or batch.refused)]
        return {call_id for batch in wanted for call_id in batch.answered}

    def _answer(self, call: ToolCall, state: ToolState, output: str, now: float) -> None:
        carried = call.call_id in self._carried
        self._close(call, state, output, now)
        if carried:
            self._buffer.send(commands.SeedResult(call.call_id, output))
        else:
            failed = state is not ToolState.DONE
            self._send(call, commands.ToolResult(call.wire_id, output, call.name, failed))

    def _send(self, call: ToolCall, result: commands.ToolResult) -> None:
        self._settled.add(call.call_id)
        self._buffer.send(result)

    def _close(self, call: ToolCall, state: ToolState, output: str | None, now: float) -> None:
        del self._open[call.call_id]
        self._asked.pop(call.call_id, None)
        self._carried.discard(call.call_id)
        call.state, call.output = state, output
        if call.started_at is not None:
            call.elapsed_ms = (now - call.started_at) * 1000
        batch = self._batches[call.response_id]
        batch.open.discard(call.call_id)
        batch.answered.add(call.wire_id)
        batch.interrupted = batch.interrupted or state is ToolState.CANCELLED
        self._buffer.changed(call)

    def _stop(self, calls: list[ToolCall]) -> None:
        if calls:
            self._buffer.do(effects.CancelTools(tuple(call.call_id for call in calls)))


def _lines(arguments: str) -> int:
    """Count the lines of the arguments (JSON text) as displayed."""
    return arguments.count("\n") + arguments.count("\\n") + arguments.count("\\u000a")


def _is_same(spec: ToolSpec, other: ToolSpec | None) -> bool:
    """Return True if the user and the model see the same tool."""
    return other is not None and replace(spec, permission=other.permission) == other
