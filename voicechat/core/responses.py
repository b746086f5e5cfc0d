"""Responses: requested, running, hanging and cancelled.

`turns.ResponseSlot` decides whether a response may be requested. This part feeds it, assigns
responses to turns, discards responses after an interruption, and gives up those that hang. Call
`begin` before and `settle` after each event or input.
"""

from __future__ import annotations

from voicechat.core import commands, effects, events, short_answers
from voicechat.core.assistant_items import OUTCOMES, AssistantItems
from voicechat.core.budget_gate import BudgetGate
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Item, ItemStatus, ToolCall, Turn
from voicechat.core.seeding import unanswered
from voicechat.core.settings import Capabilities
from voicechat.core.tool_calls import ToolCalls
from voicechat.core.turns import SLOT_TIMEOUT_S, RecentIds, ResponseSlot, SlotState, Trigger

ANSWER_TIMEOUT_S = 8.0
"""Seconds after a committed turn in which the provider may start its response."""

REJECTED_S = 2.0
"""Seconds in which the provider may start the response to a turn that a guardrail rejected."""

CONTINUE_TIMEOUT_S = 3.0
"""Seconds for the provider to continue after a call that it ran; then a response is requested."""


HANGS = "The model stopped answering, so its answer was cancelled."


class Responses:
    """Expected, requested and running responses."""

    def __init__(
        self,
        buffer: EffectBuffer,
        capabilities: Capabilities,
        items: AssistantItems,
        calls: ToolCalls,
        gate: BudgetGate,
    ) -> None:
        self.latency_ms: float | None = None
        """Latency of the last turn, from its end to the first audio or text, in ms."""
        self.interruptions = 0
        """Number of times that a reply was discarded."""
        self._buffer = buffer
        self._capabilities = capabilities
        self._items = items
        self._tool_calls = calls
        self._gate = gate
        self._slot = ResponseSlot()
        # A message that waits for a connection in the given transcript is to be answered.
        waiting = (entry.unsent for entry in buffer.transcript.entries if isinstance(entry, Item))
        self._slot.request_due = any(waiting)
        self._out_of_band_ids = RecentIds()
        self._with_output = RecentIds()
        self._turn: Turn | None = None
        self._verbatim: str | None = None
        """Text that the response that is due speaks word for word."""
        self._instructions: str | None = None
        """Instructions of the response that is due, instead of those of the session."""
        self._sent_instructions: str | None = None
        """The same of the response that is requested."""
        self._answered_calls: set[str] = set()
        """Calls whose results are the reason for the response that is due."""
        self._hanging = False
        self._answer_due: float | None = None
        self._rejected_until: float | None = None
        """Until then, a response that the provider starts by itself is cancelled."""
        self._continuation_due: float | None = None
        self._was_noise = False
        """True after a turn without words; an empty response to it is right."""
        self._state = self._slot.state
        self._now = 0.0

    # ----------------------------------------------------------------- around each event or input

    def begin(self, now: float) -> None:
        """Prepare for an event or input at the time `now` (s)."""
        self._now = now
        self._state = self._slot.state

    def settle(self, *, free: bool) -> None:
        """Request the response that is due, if the floor is `free`."""
        slot = self._slot
        if not slot.request_due:
            self._answered_calls.clear()
        if answered := self._tool_calls.take_finished():
            if self._answered_calls or not slot.request_due:
                self._answered_calls |= answered
            slot.request_due = True
        if not self._capabilities.text_input:
            slot.request_due = False
        gate = self._gate
        if gate.asks and not slot.request_due:
            gate.reset()
        free = free and self._rejected_until is None
        if slot.may_request and free and (not gate.asks or gate.opens(self._now)):
            slot.request()
            self._was_noise = False
            verbatim, self._verbatim = self._verbatim, None
            self._sent_instructions, self._instructions = self._instructions, None
            self._buffer.send(commands.CreateResponse(self._sent_instructions, verbatim=verbatim))
        if slot.state is not self._state:
            slot.seen_at = self._now

    @property
    def response_pending(self) -> bool:
        """True if a response is due, requested, running, or expected for a committed turn."""
        waits = self._answer_due is not None or self._continuation_due is not None
        due = self._slot.request_due and not self._gate.closed
        return due or self._slot.busy or waits

    @property
    def busy(self) -> bool:
        """True if a response is requested, running or being cancelled."""
        return self._slot.busy

    @property
    def requested(self) -> bool:
        """True if a response is requested and has not started."""
        return self._slot.state is SlotState.REQUESTED

    @property
    def running(self) -> bool:
        """True if a response is running."""
        return self._slot.state is SlotState.RUNNING

    @property
    def deadlines(self) -> list[float]:
        """Deadlines of this part, in seconds on the clock of `now`."""
        limits = (self._answer_due, self._rejected_until, self._continuation_due, self._due)
        found = [at for at in limits if at is not None]
        return [*found, *self._gate.deadlines] if self._gate.asks else found

    @property
    def _due(self) -> float | None:
        """Deadline (s) of the response. Some end only after the time that their audio takes."""
        due, slot = self._slot.due, self._slot
        if due is None or slot.state is not SlotState.RUNNING:
            return due
        more = SLOT_TIMEOUT_S[slot.state] * (self._capabilities.answer_factor - 1)
        return due + more + self._items.unplayed_ms(slot.response_id) / 1000

    # ----------------------------------------------------------------- requests

    def request(self, on: bool = True) -> None:
        """Request a response when the state permits it; with `on` false, withdraw this."""
        self._slot.request_due, self._instructions = on, None
        self._answered_calls.clear()

    def calls_cancelled(self, event: events.ToolCallsCancelled) -> None:
        """Cancel calls; a response that is due for nothing but their results is not requested."""
        self._tool_calls.cancelled(event, self._now)
        if self._answered_calls and self._answered_calls <= set(event.call_ids):
            self._slot.request_due = False

    def say(self, text: str) -> None:
        """Interrupt the response, and request one that speaks this text."""
        self.cancel_request()
        self.interrupt(provider_cancels=False)
        self._verbatim, self._slot.request_due = text, True

    def reject_expected(self) -> None:
        """Cancel the response that the provider starts by itself, if one is expected."""
        if self._answer_due is not None and not self._slot.busy:
            self._rejected_until = self._now + REJECTED_S

    def instruct(self, instructions: str) -> None:
        """Request a response with instructions of its own."""
        self.request()
        self._instructions = instructions

    def request_again(self) -> None:
        """Cancel a response that has not started, and request it again."""
        if self.requested and self._capabilities.cancel:
            self._slot.cancel()
            self._slot.request_due = True

    def cancel_request(self) -> None:
        """Withdraw any request for a response, and expect none."""
        self._slot.request_due, self._verbatim, self._instructions = False, None, None
        self._answered_calls.clear()
        self._answer_due = self._continuation_due = None

    @property
    def awaits_answer(self) -> bool:
        """True if a turn ended and nothing of its response was heard or shown yet."""
        return self._turn is not None

    def turn_ended(self, at: float | None = None) -> None:
        """Start measuring latency: the user's turn ended at `at` (s; None: now)."""
        self._turn = Turn(self._now if at is None else at)
        self.turn_started()

    def turn_started(self) -> None:
        """Note that the user speaks or types: the model may call tools again."""
        self._rejected_until = None
        self._tool_calls.rounds.reset()

    def expect(self) -> None:
        """Expect a response of the provider within `ANSWER_TIMEOUT_S`."""
        self._answer_due = self._now + ANSWER_TIMEOUT_S

    def expect_more(self) -> None:
        """Expect the provider to continue within `CONTINUE_TIMEOUT_S`; else request a response."""
        self._continuation_due = self._now + CONTINUE_TIMEOUT_S

    def expect_automatic(self) -> None:
        """Expect the provider to answer this turn by itself: request nothing."""
        self._slot.request_due = self._was_noise = False
        if not self._slot.busy:
            self.expect()

    def expect_none(self) -> None:
        """Expect no response to a turn without words."""
        self._answer_due = self._continuation_due = None
        self._was_noise = True

    # ----------------------------------------------------------------- a response's life

    def created(self, event: events.ResponseCreated) -> None:
        """Handle the start of a response."""
        if event.out_of_band:
            self._out_of_band_ids.add(event.response_id)
        else:
            self._begin(event.response_id)

    def _begin(self, response_id: str) -> None:
        slot, previous, before = self._slot, self._slot.response_id, self._slot.cancel_early
        rejected, self._rejected_until = self._rejected_until is not None, None
        # One that starts in an idle slot was started by the provider itself.
        unwanted = slot.state is SlotState.IDLE and (self._gate.closed or rejected)
        slot.cancel_early = before or unwanted or response_id in slot.dead
        if slot.created(response_id):
            slot.response_id = response_id
            slot.fire(Trigger.CANCEL)
            if self._capabilities.cancel:
                self._buffer.send(commands.CancelResponse(response_id))
        elif slot.cancel_early:
            slot.cancel_early = before  # it is not new
        elif previous not in (None, response_id):
            self._tool_calls.end_response(previous or "")
        self._answer_due = self._continuation_due = None
        turn = self._turn
        if turn and (not turn.responses or self._buffer.transcript.ends_with_call):
            turn.responses.add(response_id)

    def is_live(self, response_id: str) -> bool:
        """Return True if this response is live; start one that was never announced."""
        slot = self._slot
        if (
            response_id in slot.dead
            or response_id in slot.ended
            or response_id in self._out_of_band_ids
        ):
            return False
        if slot.response_id != response_id:
            if slot.state not in {SlotState.IDLE, SlotState.REQUESTED}:
                return False
            self._begin(response_id)
        slot.seen_at = self._now
        return response_id not in slot.dead

    def is_dead(self, response_id: str) -> bool:
        """Return True if nothing of this response may be played or shown any more."""
        return response_id in self._slot.dead

    def is_valid(self, response_id: str) -> bool:
        """Return True if text of this response is valid; it may arrive after the end."""
        return self._slot.over(response_id) or self.is_live(response_id)

    def continues(self, response_id: str, now: float) -> bool:
        """Note activity at `now` (s); return False unless this is the running, live response."""
        slot = self._slot
        if slot.response_id != response_id or slot.state is not SlotState.RUNNING:
            return False
        if response_id in slot.dead:
            return False
        slot.seen_at = now
        return True

    def note_activity(self, now: float) -> None:
        """Note activity of the running response at `now` (s)."""
        self._slot.seen_at = now

    def answered(self, response_id: str) -> None:
        """Measure the latency: the first part of a response was heard or shown."""
        turn = self._turn
        if turn is None or response_id not in turn.responses:
            return
        turn.answered_at = self._now
        self._turn = None
        self.latency_ms = turn.latency_ms or 0.0
        self._buffer.do(effects.TurnMeasured(self.latency_ms))

    def done(self, event: events.ResponseDone) -> bool:
        """End a response; return True if the provider stopped it because it detected speech."""
        rid = event.response_id
        if rid in self._out_of_band_ids:
            return False
        first = rid not in self._slot.ended
        self._slot.done(rid)
        if not first:
            return False
        self._hanging = False
        self._report(event)
        self._tool_calls.end_response(rid)
        return event.reason == "turn_detected" and rid not in self._slot.dead

    def _report(self, event: events.ResponseDone) -> None:
        """Close the items of a response; tell the user why the answer is incomplete or missing."""
        rid, transcript, sentence = event.response_id, self._buffer.transcript, ""
        if event.status in {events.ResponseStatus.INCOMPLETE, events.ResponseStatus.FAILED}:
            ended = transcript.of_response(rid)
            calls = [entry for entry in ended if isinstance(entry, ToolCall)]
            sentence, hint = short_answers.reason_of(event, calls)
            self._buffer.do(effects.Notice(sentence, effects.Level.ERROR, hint))
        self._items.end_response(rid, OUTCOMES[event.status], sentence or None)
        is_whole = event.status is events.ResponseStatus.COMPLETED and not event.reason
        if not is_whole or rid in self._slot.dead or rid in self._with_output:
            return
        if not self._was_noise and not transcript.has_output(rid):
            self._buffer.do(effects.Notice(short_answers.EMPTY, effects.Level.WARNING))

    def note_output(self, response_id: str) -> None:
        """Note that a response has output that is neither text, sound nor a local tool call."""
        self._with_output.add(response_id)

    # ----------------------------------------------------------------- ends before the end

    def interrupt(self, *, provider_cancels: bool) -> None:
        """Discard the running response and stop playback."""
        self.interruptions += 1
        running = self._slot.cancel()
        if running is not None:
            self._items.close_items(running, ItemStatus.INTERRUPTED)
            cancelled = provider_cancels and self._capabilities.cancels_on_speech
            if self._capabilities.cancel and not cancelled:
                self._buffer.send(commands.CancelResponse(running))
        for response_id in self._items.stop_playback(self._now):
            self._slot.dead.add(response_id)

    def discard(self, response_id: str) -> None:
        """Discard everything that still arrives for this response."""
        self._slot.dead.add(response_id)

    def refused(self, *, busy: bool) -> None:
        """Handle a refused request: another response runs (`busy`), or none is possible."""
        if busy:
            self._slot.request_due = True
            self._instructions = self._instructions or self._sent_instructions
            self._slot.fire(Trigger.REFUSE)
        elif self._slot.state is SlotState.REQUESTED:
            self._slot.expire()

    def tick(self) -> bool:
        """Check the deadlines; return True if a hanging response must be silenced."""
        if self._answer_due is not None and self._now >= self._answer_due:
            self._answer_due = None
        if self._rejected_until is not None and self._now >= self._rejected_until:
            self._rejected_until = None
        if self._continuation_due is not None and self._now >= self._continuation_due:
            self._continuation_due = None
            self._slot.request_due |= self._tool_calls.rounds.begin()
        due = self._due
        return due is not None and self._now >= due and self._expire()

    def _expire(self) -> bool:
        # It is cancelled first; if that does not end it, the conversation continues without it.
        if self.running:
            self._hanging = True
            self._buffer.do(effects.Notice(HANGS, effects.Level.ERROR, "Send the message again."))
            return True
        recycle = self._hanging or self._slot.state is SlotState.REQUESTED
        self._hanging = False
        response_id = self._slot.response_id
        self._slot.expire()
        if response_id is not None:
            self._tool_calls.end_response(response_id)
        if recycle:
            self._buffer.do(effects.Recycle("The model stopped answering."))
        return False

    def connection_lost(self, *, may_repeat: bool) -> None:
        """Reset for a new connection; a response that is still due is requested there.

        may_repeat: False if the same request would end the next connection, too.
        """
        goes_on = self._capabilities.outlives_connection
        may_repeat = may_repeat and not (goes_on or self._tool_calls.rounds.are_over)
        waits = self._answer_due is not None or self._continuation_due is not None
        response_pending = self._slot.response_pending or waits
        self._slot.reset()
        self._hanging, self._verbatim, self._instructions = False, None, None
        self._answer_due = self._continuation_due = self._rejected_until = None
        self._tool_calls.connection_lost()
        self._items.connection_lost()
        # A response requested before the open calls have results might repeat them.
        still_due = (
            response_pending
            and may_repeat
            and not self._tool_calls.waiting
            and unanswered(self._buffer.transcript)
        )
        self._slot.request_due = bool((self._slot.request_due and may_repeat) or still_due)
