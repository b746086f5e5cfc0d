"""Turns: the response slot and the floor.

A provider runs at most one response at a time in a conversation. `ResponseSlot` is the one
place where that is decided: everything that wants an answer says `want()`, and the slot tells
when a response may really be asked for.

            ask                created              done
    IDLE ────────► REQUESTED ────────► RUNNING ────────────► IDLE
      │                │  refused         │ cancel             ▲
      │ created        └───────► REFUSED  ▼          done,     │
      └──────────────────────────────► CANCELLING ────expired──┘

A provider with turn detection creates responses by itself (IDLE -> RUNNING). A response that
was asked for and must not be heard any more is *doomed*: it is cancelled as soon as it exists.
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

    ASK = auto()
    CREATED = auto()
    CANCEL = auto()
    DONE = auto()
    REFUSE = auto()
    EXPIRE = auto()


_S, _T = SlotState, Trigger
TRANSITIONS: dict[SlotState, dict[Trigger, SlotState]] = {
    _S.IDLE: {_T.ASK: _S.REQUESTED, _T.CREATED: _S.RUNNING},
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
"""state -> trigger -> next state; a trigger that is not listed changes nothing."""


PATIENCE_S = {_S.REQUESTED: 15.0, _S.RUNNING: 15.0, _S.CANCELLING: 3.0, _S.REFUSED: 2.0}
"""Seconds without any sign of a response until it is given up, by state of the slot."""


class RecentIds(dict[str, None]):
    """Remembers the last `size` ids that were added; older ones are forgotten."""

    def __init__(self, size: int = 256) -> None:
        super().__init__()
        self._size = size

    def add(self, key: str) -> None:
        """Remember the id."""
        if key not in self and len(self) >= self._size:
            del self[next(iter(self))]
        self[key] = None


@dataclass(slots=True)
class ResponseSlot:
    """The one response a conversation may have at a time."""

    state: SlotState = SlotState.IDLE
    response_id: str | None = None
    wanted: bool = False
    """A response shall be requested as soon as the slot is idle. A queue of one."""
    doomed: bool = False
    """The response that was requested is no longer wanted: cancel it when it is created."""
    seen_at: float = 0.0
    """Time of the last sign of the response or change of state, in seconds."""
    dead: RecentIds = field(default_factory=RecentIds)
    """Responses of which nothing may be played or shown any more."""
    ended: RecentIds = field(default_factory=RecentIds)
    """Responses whose end was seen."""

    @property
    def busy(self) -> bool:
        """True if a response is owed, running or being cancelled."""
        return self.state is not SlotState.IDLE

    @property
    def owed(self) -> bool:
        """True if a response is being waited for that is still wanted."""
        return self.state in {SlotState.REQUESTED, SlotState.RUNNING} and not self.doomed

    @property
    def may_ask(self) -> bool:
        """True if `ask` would be in order now."""
        return self.wanted and self.state is SlotState.IDLE

    @property
    def due(self) -> float | None:
        """Deadline of the response."""
        patience = PATIENCE_S.get(self.state)
        return None if patience is None else self.seen_at + patience

    def fire(self, trigger: Trigger) -> bool:
        """Take the transition; False when the trigger means nothing in this state."""
        following = TRANSITIONS[self.state].get(trigger)
        if following is None:
            return False
        self.state = following
        if following is SlotState.IDLE:
            self.response_id = None
            self.doomed = False
        return True

    def ask(self) -> None:
        """A response is being requested; call only when `may_ask`."""
        self.wanted = False
        self.fire(Trigger.ASK)

    def created(self, response_id: str) -> bool:
        """The provider began a response. True when it is doomed and must be cancelled now."""
        if response_id in self.ended or response_id == self.response_id:
            return False
        if self.response_id is not None:
            self.end(self.response_id)
        doomed = self.doomed
        self.fire(Trigger.CREATED)
        self.response_id = response_id
        self.doomed = False
        if doomed:
            self.dead.add(response_id)
        return doomed

    def cancel(self) -> str | None:
        """Nothing of the response is wanted any more; the id to cancel, if it runs."""
        if self.state is SlotState.REQUESTED:
            self.doomed = True
            return None
        running = self.response_id
        if not self.fire(Trigger.CANCEL) or running is None:
            return None
        self.dead.add(running)
        return running

    def done(self, response_id: str) -> bool:
        """The provider ended a response. False when it was not the one of this slot."""
        if response_id in self.ended:
            return False
        self.ended.add(response_id)
        if self.state is SlotState.REQUESTED:
            self.fire(Trigger.CREATED)
        elif self.response_id not in (None, response_id):
            return False
        return self.fire(Trigger.DONE)

    def expire(self) -> None:
        """The response does not end: go on without it."""
        if self.response_id is not None:
            self.end(self.response_id)
        self.fire(Trigger.EXPIRE)

    def over(self, response_id: str) -> bool:
        """True if the response ended and what was said of it still counts."""
        return response_id in self.ended and response_id not in self.dead

    def end(self, response_id: str) -> None:
        """Treat the response as over although the provider did not say so."""
        self.ended.add(response_id)
        self.dead.add(response_id)

    def reset(self) -> None:
        """The connection is gone: no response of it will ever end."""
        if self.response_id is not None:
            self.end(self.response_id)
        self.state = SlotState.IDLE
        self.response_id = None
        self.doomed = False


@dataclass(slots=True)
class Presence:
    """The facts that decide the floor."""

    talking: bool = False
    """Push-to-talk is down."""
    user_speaking: bool = False
    """The provider hears the user."""
    held: bool = False
    """The audio process stopped the reply because it hears the user."""
    sounding: bool = False
    """A reply is coming out of the speaker (or, without sound, being written)."""
    owed: bool = False
    """A response is wanted, requested or running, or a committed turn awaits one."""
    tools: bool = False
    """Tools run or wait for a decision."""
    open_mic: bool = False
    """Hands-free with an open microphone."""

    def floor(self) -> Floor:
        """The floor: the first that applies."""
        for applies, floor in (
            (self.talking or self.user_speaking or self.held, Floor.HEARING),
            (self.sounding, Floor.SPEAKING),
            (self.owed, Floor.THINKING),
            (self.tools, Floor.WORKING),
            (self.open_mic, Floor.LISTENING),
        ):
            if applies:
                return floor
        return Floor.IDLE
