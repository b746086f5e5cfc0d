"""The responses of a conversation: when one is asked for, which live, and which are overdue.

`turns.ResponseSlot` decides whether a response may be asked for; this part feeds it. It knows
which response belongs to which turn, declares responses dead whose words are not wanted any
more, and gives up those that never come to an end. `begin` and `settle` frame every happening.
"""

from __future__ import annotations

from voicechat.core import commands, effects, events
from voicechat.core.assistant_items import OUTCOMES, AssistantItems
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import ItemStatus, Turn
from voicechat.core.seeding import unanswered
from voicechat.core.settings import Capabilities
from voicechat.core.tool_calls import ToolCalls
from voicechat.core.turns import RecentIds, ResponseSlot, SlotState, Trigger

OWED_S = 8.0
"""Seconds after a committed turn in which the provider may begin to answer."""

GO_ON_S = 3.0
"""Seconds in which a provider goes on by itself after a call that it ran; then it is asked to."""


class Responses:
    """Responses that are owed, running or overdue."""

    def __init__(
        self, buffer: EffectBuffer, can: Capabilities, items: AssistantItems, calls: ToolCalls
    ) -> None:
        self.latency_ms: float | None = None
        """Latency of the last turn, from its end to the first sound or text, in ms."""
        self._buffer = buffer
        self._can = can
        self._items = items
        self._tool_calls = calls
        self._slot = ResponseSlot()
        self._outside = RecentIds()
        self._turn: Turn | None = None
        self._hung = False
        self._owed_until: float | None = None
        self._goes_on_until: float | None = None
        self._state = self._slot.state
        self._now = 0.0

    # ----------------------------------------------------------------- around each happening

    def begin(self, now: float) -> None:
        """Something happens at the time `now` (s)."""
        self._now = now
        self._state = self._slot.state

    def settle(self, *, free: bool) -> None:
        """It happened: ask for the response that is due, if the floor is `free`."""
        slot = self._slot
        if self._tool_calls.take_finished():
            slot.wanted = True
        if slot.may_ask and free:
            slot.ask()
            self._buffer.send(commands.CreateResponse())
        if slot.state is not self._state:
            slot.seen_at = self._now

    @property
    def owed(self) -> bool:
        """True if an answer is wanted, requested or running, or a committed turn awaits one."""
        waits = self._owed_until is not None or self._goes_on_until is not None
        return self._slot.wanted or self._slot.busy or waits

    @property
    def busy(self) -> bool:
        """True if a response is requested, being given or being cancelled."""
        return self._slot.busy

    @property
    def requested(self) -> bool:
        """True if a response was requested that did not begin yet."""
        return self._slot.state is SlotState.REQUESTED

    @property
    def running(self) -> bool:
        """True if a response is being given."""
        return self._slot.state is SlotState.RUNNING

    @property
    def deadlines(self) -> list[float]:
        """Deadlines of this part, in seconds on the clock of `now`."""
        limits = (self._owed_until, self._goes_on_until, self._slot.due)
        return [at for at in limits if at is not None]

    # ----------------------------------------------------------------- requests

    def want(self, on: bool = True) -> None:
        """An answer shall be requested as soon as that is in order; or not any more."""
        self._slot.wanted = on

    def want_none(self) -> None:
        """No answer shall be requested, nor is one awaited."""
        self._slot.wanted = False
        self._owed_until = self._goes_on_until = None

    @property
    def waited_for(self) -> bool:
        """True if a turn ended, and nothing of its answer was heard or read yet."""
        return self._turn is not None

    def turn_ended(self, at: float | None = None) -> None:
        """The user's turn ended at this time: from now on they wait."""
        self._turn = Turn(self._now if at is None else at)

    def expect(self) -> None:
        """The provider may answer by itself; it is given `OWED_S` for that."""
        self._owed_until = self._now + OWED_S

    def expect_more(self) -> None:
        """The provider goes on by itself; when it does not within `GO_ON_S`, it is asked to."""
        self._goes_on_until = self._now + GO_ON_S

    def expect_unasked(self) -> None:
        """The provider answers this turn by itself: request nothing."""
        self._slot.wanted = False
        if not self._slot.busy:
            self.expect()

    def expect_none(self) -> None:
        """Nothing is owed for what the user said."""
        self._owed_until = self._goes_on_until = None

    # ----------------------------------------------------------------- a response's life

    def created(self, event: events.ResponseCreated) -> None:
        """The provider began a response."""
        if event.out_of_band:
            self._outside.add(event.response_id)
        else:
            self._begin(event.response_id)

    def _begin(self, response_id: str) -> None:
        previous = self._slot.response_id
        if self._slot.created(response_id):
            self._slot.response_id = response_id
            self._slot.fire(Trigger.CANCEL)
            if self._can.cancel:
                self._buffer.send(commands.CancelResponse(response_id))
        elif previous not in (None, response_id):
            self._tool_calls.response_over(previous or "")
        self._owed_until = self._goes_on_until = None
        turn = self._turn
        if turn and (not turn.responses or self._buffer.transcript.ends_with_call):
            turn.responses.add(response_id)

    def alive(self, response_id: str) -> bool:
        """True if this response may still be played and shown; one never announced begins here."""
        slot = self._slot
        if response_id in slot.dead or response_id in slot.ended or response_id in self._outside:
            return False
        if slot.response_id != response_id:
            if slot.state not in {SlotState.IDLE, SlotState.REQUESTED}:
                return False
            self._begin(response_id)
        slot.seen_at = self._now
        return response_id not in slot.dead

    def counts(self, response_id: str) -> bool:
        """True if words of this response still count; they may come when it is over."""
        return self._slot.over(response_id) or self.alive(response_id)

    def continues(self, response_id: str, now: float) -> bool:
        """Note a sign of life at `now` (s); False unless this is the running, living response."""
        slot = self._slot
        if slot.response_id != response_id or slot.state is not SlotState.RUNNING:
            return False
        if response_id in slot.dead:
            return False
        slot.seen_at = now
        return True

    def sign_of_life(self, now: float) -> None:
        """The running response still goes on at `now` (s)."""
        self._slot.seen_at = now

    def began(self, response_id: str) -> None:
        """The first of a response was heard or read: that ends the user's wait."""
        turn = self._turn
        if turn is None or response_id not in turn.responses:
            return
        turn.answered_at = self._now
        self._turn = None
        self.latency_ms = turn.latency_ms or 0.0
        self._buffer.do(effects.TurnMeasured(self.latency_ms))

    def done(self, event: events.ResponseDone) -> bool:
        """A response is over. True when the provider cut it because it hears the user."""
        rid = event.response_id
        if rid in self._outside:
            return False
        first = rid not in self._slot.ended
        self._slot.done(rid)
        if not first:
            return False
        self._hung = False
        self._items.response_over(rid, OUTCOMES[event.status], event.error)
        self._tool_calls.response_over(rid)
        if event.status is events.ResponseStatus.FAILED:
            self._buffer.do(
                effects.Notice(event.error or "The model could not answer.", effects.Level.ERROR)
            )
        return event.reason == "turn_detected" and rid not in self._slot.dead

    # ----------------------------------------------------------------- ends before the end

    def silence(self, *, provider_cancels: bool) -> None:
        """Nothing of what is being said is wanted: it is dead, and the speaker stops."""
        running = self._slot.cancel()
        if running is not None:
            self._items.close_items(running, ItemStatus.INTERRUPTED)
            if self._can.cancel and not provider_cancels:
                self._buffer.send(commands.CancelResponse(running))
        for response_id in self._items.silence(self._now):
            self._slot.dead.add(response_id)

    def bury(self, response_id: str) -> None:
        """Nothing that still comes of this response counts."""
        self._slot.dead.add(response_id)

    def refused(self, *, busy: bool) -> None:
        """The provider gives no response: another one runs (`busy`), or it cannot."""
        if busy:
            self._slot.wanted = True
            self._slot.fire(Trigger.REFUSE)
        elif self._slot.state is SlotState.REQUESTED:
            self._slot.expire()

    def tick(self) -> bool:
        """Apply the time. Return True to silence an overdue response."""
        if self._owed_until is not None and self._now >= self._owed_until:
            self._owed_until = None
        if self._goes_on_until is not None and self._now >= self._goes_on_until:
            self._goes_on_until = None
            self._slot.wanted = True
        due = self._slot.due
        return due is not None and self._now >= due and self._overdue()

    def _overdue(self) -> bool:
        # It is cancelled first; when that does not end it, the conversation goes on without it.
        if self.running:
            self._hung = True
            return True
        recycle = self._hung or self._slot.state is SlotState.REQUESTED
        self._hung = False
        response_id = self._slot.response_id
        self._slot.expire()
        if response_id is not None:
            self._tool_calls.response_over(response_id)
        if recycle:
            self._buffer.do(effects.Recycle("The model stopped answering."))
        return False

    def connection_lost(self) -> None:
        """No response of this connection will end; what was owed is requested on the next."""
        waits = self._owed_until is not None or self._goes_on_until is not None
        owed = self._slot.owed or waits
        self._slot.reset()
        self._hung = False
        self._owed_until = self._goes_on_until = None
        self._tool_calls.connection_lost()
        self._items.connection_lost()
        # What open calls come to is answered when they have; asked before, they might be repeated.
        still_owed = owed and not self._tool_calls.waiting and unanswered(self._buffer.transcript)
        self._slot.wanted = bool(self._slot.wanted or still_owed)
