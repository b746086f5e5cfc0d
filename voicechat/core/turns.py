"""Turns: the response slot and the floor.

A provider runs at most one response at a time in a conversation. Only `ResponseSlot` decides this:
code that needs a response sets `request_due`, and `may_request` is true when it may be requested.

            request             created              done
    IDLE ────────► REQUESTED ────────► RUNNING ────────────► IDLE
      │                │  refused         │ cancel             ▲
      │ created        └───────► REFUSED  ▼          done,     │
      └──────────────────────────────► CANCELLING ────expired──┘

A provider with turn detection creates responses by itself (IDLE -> RUNNING). A requested response
that must no longer be heard is cancelled once it is created (`cancel_early`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from voicechat.core.effects import Floor


class SlotState(Enum):
    """State of the response slot."""

    IDLE = auto()
    REQUESTED = auto()
    RUNNING = auto()
    CANCELLING = auto()
    REFUSED = auto()


class Trigger(Enum):
    """Triggers of the response slot."""

    REQUEST = auto()
    CREATED = auto()
    CANCEL = auto()
    DONE = auto()
    REFUSE = auto()
    EXPIRE = auto()


_S, _T = SlotState, Trigger
TRANSITIONS: dict[SlotState, dict[Trigger, SlotState]] = {
    _S.IDLE: {_T.REQUEST: _S.REQUESTED, _T.CREATED: _S.RUNNING},
    _S.REQUESTED: {
        _T.CREATED: _S.RUNNING,
        _T.REFUSE: _S.REFUSED,
        _T.EXPIRE: _S.IDLE,
    },
    _S.RUNNING: {
        _T.CREATED: _S.RUNNING,
        _T.CANCEL: _S.CANCELLING,
        _T.DONE: _S.IDLE,
        _T.EXPIRE: _S.IDLE,
    },
    _S.CANCELLING: {_T.CREATED: _S.RUNNING, _T.DONE: _S.IDLE, _T.EXPIRE: _S.IDLE},
    _S.REFUSED: {_T.CREATED: _S.RUNNING, _T.DONE: _S.IDLE, _T.EXPIRE: _S.IDLE},
}
"""State -> trigger -> next state; a trigger that is not listed changes nothing."""


SLOT_TIMEOUT_S = {_S.REQUESTED: 15.0, _S.RUNNING: 15.0, _S.CANCELLING: 3.0, _S.REFUSED: 2.0}
"""Seconds without activity of a response until it is given up, by state of the slot."""


class RecentIds(dict[str, None]):
    """The last `size` ids that were added; older ones are dropped."""

    def __init__(self, size: int = 256) -> None:
        super().__init__()
        self._size = size

    def add(self, key: str) -> None:
        """Add an id."""
        if key not in self and len(self) >= self._size:
            del self[next(iter(self))]
        self[key] = None


@dataclass(slots=True)
class ResponseSlot:
    """The single response of a conversation."""

    state: SlotState = SlotState.IDLE
    response_id: str | None = None
    request_due: bool = False
    """A response is requested once the slot is idle; a queue of one."""
    cancel_early: bool = False
    """The requested response is cancelled when it is created."""
    seen_at: float = 0.0
    """Time (s) of the last activity of the response or change of state."""
    dead: RecentIds = field(default_factory=RecentIds)
    """Ids of responses that must no longer be played or shown."""
    ended: RecentIds = field(default_factory=RecentIds)
    """Ids of responses that ended."""

    @property
    def busy(self) -> bool:
        """True if a response is requested, running or being cancelled."""
        return self.state is not SlotState.IDLE

    @property
    def response_pending(self) -> bool:
        """True if a response is expected and not cancelled."""
        return self.state in {SlotState.REQUESTED, SlotState.RUNNING} and not self.cancel_early

    @property
    def may_request(self) -> bool:
        """True if a response is due and may be requested now."""
        return self.request_due and self.state is SlotState.IDLE

    @property
    def due(self) -> float | None:
        """Deadline (s) of the response."""
        patience = SLOT_TIMEOUT_S.get(self.state)
        return None if patience is None else self.seen_at + patience

    def fire(self, trigger: Trigger) -> bool:
        """Apply a trigger; return False if it has no transition in this state."""
        following = TRANSITIONS[self.state].get(trigger)
        if following is None:
            return False
        self.state = following
        if following is SlotState.IDLE:
            self.response_id = None
            self.cancel_early = False
        return True

    def request(self) -> None:
        """Mark a response as requested; call only when `may_request`."""
        self.request_due = False
        self.fire(Trigger.REQUEST)

    def created(self, response_id: str) -> bool:
        """Start a response; return True if it must be cancelled at once."""
        if response_id in self.ended or response_id == self.response_id:
            return False
        if self.response_id is not None:
            self.end(self.response_id)
        cancel_early = self.cancel_early
        self.fire(Trigger.CREATED)
        self.response_id = response_id
        self.cancel_early = False
        if cancel_early:
            self.dead.add(response_id)
        return cancel_early

    def cancel(self) -> str | None:
        """Cancel the response; return its id if it is running."""
        if self.state is SlotState.REQUESTED:
            self.cancel_early = True
            return None
        running = self.response_id
        if not self.fire(Trigger.CANCEL) or running is None:
            return None
        self.dead.add(running)
        return running

    def done(self, response_id: str) -> bool:
        """End a response; return False if it is not the one in this slot."""
        if response_id in self.ended:
            return False
        self.ended.add(response_id)
        if self.state is SlotState.REQUESTED:
            self.fire(Trigger.CREATED)
        elif self.response_id not in (None, response_id):
            return False
        return self.fire(Trigger.DONE)

    def expire(self) -> None:
        """Give up a response that does not end."""
        if self.response_id is not None:
            self.end(self.response_id)
        self.fire(Trigger.EXPIRE)

    def over(self, response_id: str) -> bool:
        """Return True if the response ended and its text is still valid."""
        return response_id in self.ended and response_id not in self.dead

    def end(self, response_id: str) -> None:
        """Treat a response as ended although the provider has not reported it."""
        self.ended.add(response_id)
        self.dead.add(response_id)

    def reset(self) -> None:
        """Give up the response of a lost connection."""
        if self.response_id is not None:
            self.end(self.response_id)
        self.state = SlotState.IDLE
        self.response_id = None
        self.cancel_early = False


@dataclass(slots=True)
class Presence:
    """The facts that determine the floor."""

    talking: bool = False
    """The push-to-talk key is down."""
    user_speaking: bool = False
    """The provider detects speech."""
    held: bool = False
    """The audio process holds playback because it detects the user's voice."""
    sounding: bool = False
    """A response is playing (or, without a speaker, being written)."""
    response_pending: bool = False
    """A response is due, requested or running, or expected for a committed turn."""
    tools: bool = False
    """Tools run or wait for a decision."""
    open_mic: bool = False
    """Hands-free with an open microphone."""

    def floor(self) -> Floor:
        """Return the floor: the first that applies."""
        for applies, floor in (
            (self.talking or self.user_speaking or self.held, Floor.HEARING),
            (self.sounding, Floor.SPEAKING),
            (self.response_pending, Floor.THINKING),
            (self.tools, Floor.WORKING),
            (self.open_mic, Floor.LISTENING),
        ):
            if applies:
                return floor
        return Floor.IDLE
