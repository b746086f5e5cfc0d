"""Timers, reminders and alarms that ring in the event loop."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from voicechat.errors import ServerError
from voicechat.skills import wall_clock
from voicechat.skills.undo_stack import Record, Undo, no_record
from voicechat.skills.wording import joined, lasting, remaining, sentence, spoken_clock

LONGEST_S = 366 * 86_400
"""Maximum seconds until a timer rings."""
KINDS = frozenset({"timer", "alarm", "reminder"})
_WITHOUT_RUNNING = KINDS - {"timer"}
"""Kinds that are not said to run."""
_MAX_TIMERS = 32
_MOST_NAMED = 5
"""Maximum number of timers that a sentence names."""
_FAR_S = 3600
"""Seconds above which a moment is far away, so that voicechat may end before it."""
_TOLERANCE_S = 0.02
_RECHECK_S = 20.0


class Cancellable(Protocol):
    """A scheduled call, like `asyncio.TimerHandle`."""

    def cancel(self) -> None:
        """Prevent the call."""
        ...


Later = Callable[[float, Callable[[], None]], Cancellable]
"""Schedules a call after a delay in seconds, like `loop.call_later`."""


@dataclass(eq=False, slots=True)
class Timer:
    """One running timer. `kind` is timer, reminder or alarm."""

    kind: str
    ends: datetime
    seconds: float
    name: str = ""
    text: str = ""
    """The subject of a reminder."""
    waiting: Cancellable | None = None

    @property
    def title(self) -> str:
        """The spoken title: "pasta timer", "10 minute timer", "6:30 alarm"."""
        if self.name:
            return f"{self.name} {self.kind}"
        if self.kind == "alarm":
            return f"{spoken_clock(self.ends)} alarm"
        if self.kind == "reminder":
            return f"reminder to {self.text}" if self.text else "reminder"
        return f"{lasting(self.seconds).replace('s and', ' and').removesuffix('s')} timer"

    @property
    def announcement(self) -> str:
        """The sentence to say when the timer rings."""
        if self.kind == "reminder":
            return f"Here is your reminder: {self.text}."
        if self.kind == "alarm":
            return f"It is {spoken_clock(self.ends)}. This is your alarm."
        return f"Ding ding! Your {self.title} is done."


class Timers:
    """The running timers of one session. Each calls `ring` once with the sentence to say.

    now: returns the local time. later: replaces `loop.call_later` in tests.
    """

    def __init__(
        self, ring: Callable[[str], None], now: Callable[[], datetime], later: Later | None = None
    ) -> None:
        self._ring = ring
        self._now = now
        self._later = later
        self._running: list[Timer] = []

    def start(
        self,
        kind: str,
        seconds: float,
        name: str = "",
        text: str = "",
        record: Record = no_record,
    ) -> Timer:
        """Start a timer. Needs a running event loop.

        record: called with the inverse. Raises `ServerError` at 32 timers, and if `seconds` is not
        above zero or exceeds a year.
        """
        check_duration(seconds)
        if len(self._running) >= _MAX_TIMERS:
            raise ServerError("There are too many timers already. Cancel one first.")
        timer = Timer(kind, wall_clock.later(self._now(), seconds), seconds, name, text)
        self._running.append(timer)
        self._wait(timer)
        record(Undo(lambda: self._undo_start(timer)))
        return timer

    def _undo_start(self, timer: Timer) -> str:
        if timer not in self._running:
            return f"Your {timer.title} is no longer running."
        self.cancel([timer])
        return canceled([timer])

    def _undo_cancel(self, timers: Sequence[Timer]) -> str:
        back = [timer for timer in timers if self.left(timer) > 0]
        self._running += back
        for timer in back:
            self._wait(timer)
        if not back:
            return "The time is over by now, so I can't set that again."
        if len(back) > 1:
            return f"Your {len(back)} timers are running again."
        return f"Your {back[0].title} is set again, with {remaining(self.left(back[0]))} left."

    def _wait(self, timer: Timer) -> None:
        """Ring, or check again later: the event loop does not count the time a machine sleeps."""
        left = self.left(timer)
        if left <= _TOLERANCE_S:
            self._rung(timer)
            return
        later = self._later or asyncio.get_running_loop().call_later
        timer.waiting = later(min(left, _RECHECK_S), lambda: self._wait(timer))

    def running(self, name: str = "") -> list[Timer]:
        """Return the timers of this name, the next to ring first.

        name: words of the title, such as "pasta timer", or a kind: timer, alarm or reminder. Empty:
        all.
        """
        wanted = set(_words(name)) - {"the", "my"}
        kinds, wanted = wanted & KINDS, wanted - KINDS
        found = [
            timer
            for timer in self._running
            if wanted <= set(_words(timer.title)) and (not kinds or timer.kind in kinds)
        ]
        exact = [
            timer for timer in found if timer.name and timer.name.casefold() == name.casefold()
        ]
        return sorted(exact or found, key=lambda timer: timer.ends)

    def left(self, timer: Timer) -> float:
        """Return the seconds until the timer rings."""
        return max(0.0, (timer.ends - self._now()).total_seconds())

    def cancel(self, timers: Sequence[Timer], record: Record = no_record) -> None:
        """Stop these timers without ringing. record: called with the inverse."""
        record(Undo(lambda: self._undo_cancel(timers)) if timers else None)
        for timer in timers:
            if timer in self._running:
                self._running.remove(timer)
            if timer.waiting is not None:
                timer.waiting.cancel()

    def change(self, timer: Timer, ends: datetime, record: Record = no_record) -> None:
        """Move the moment at which a timer rings. record: called with the inverse.

        Raises `ServerError` if that moment has passed or is more than a year away.
        """
        check_duration((ends - self._now()).total_seconds())
        before = timer.ends, timer.seconds
        self._move(timer, ends, timer.seconds + (ends - timer.ends).total_seconds())
        record(Undo(lambda: self._undo_change(timer, *before)))

    def _undo_change(self, timer: Timer, ends: datetime, seconds: float) -> str:
        if timer not in self._running:
            return f"Your {timer.title} is no longer running."
        self._move(timer, ends, seconds)
        return f"Your {timer.title} is as before, with {remaining(self.left(timer))} left."

    def _move(self, timer: Timer, ends: datetime, seconds: float) -> None:
        if timer.waiting is not None:
            timer.waiting.cancel()
        timer.ends, timer.seconds = ends, seconds
        self._wait(timer)

    def _rung(self, timer: Timer) -> None:
        if timer in self._running:
            self._running.remove(timer)
            self._ring(timer.announcement)

    def describe(self, name: str = "") -> str:
        """Return a sentence that lists the timers of this name and the time each has left."""
        running = self.running(name)
        if not running:
            waits = name in _WITHOUT_RUNNING
            return f"You have no {name}s." if waits else f"There is no {name or 'timer'} running."
        titles = [f"the {timer.title}, {remaining(self.left(timer))} left" for timer in running]
        count = _counted(running)
        return f"You have {count}: {joined(titles)}."

    def lost(self) -> str:
        """Return a sentence about the timers that cannot ring because the program ends."""
        titles = [f"the {timer.title}" for timer in self.running()]
        if len(titles) > _MOST_NAMED:
            titles[_MOST_NAMED - 1 :] = [f"{len(titles) - _MOST_NAMED + 1} more"]
        return sentence(f"{joined(titles)} will not ring without voicechat") if titles else ""


def _words(text: str) -> list[str]:
    return re.findall(r"[\w:']+", text.casefold())


def check_duration(seconds: float) -> None:
    """Raise `ServerError` if no timer can run for this many seconds."""
    if not seconds > 0:
        raise ServerError("A timer needs a time above zero.")
    if seconds > LONGEST_S:
        raise ServerError("That is too long; I keep timers for up to a year.")


def changed(timer: Timer, left: float) -> str:
    """Return the sentence that confirms a changed timer. left: seconds until it rings."""
    if timer.kind == "timer":
        return f"Okay, {remaining(left)} left."
    days = (timer.ends.date() - wall_clock.later(timer.ends, -left).date()).days
    day = {0: "", 1: " tomorrow"}.get(days, f" on {timer.ends:%A}")
    return f"Your {timer.kind} is now at {spoken_clock(timer.ends)}{day}{_condition(left)}."


def started(seconds: float, name: str) -> str:
    """Return the sentence that confirms a new timer."""
    return f"Okay, {name + ' timer, ' if name else ''}{lasting(seconds)}, starting now."


def reminder_set(when: str, text: str, seconds: float) -> str:
    """Return the sentence that confirms a new reminder. when: like "in 10 minutes"."""
    return sentence(f"Okay, I'll remind you {when}{_condition(seconds)}: {text}")


def alarm_set(when: str, seconds: float) -> str:
    """Return the sentence that confirms a new alarm. when: like "at 7:00 AM"."""
    return f"Your alarm is set, {when}{_condition(seconds)}."


def _condition(seconds: float) -> str:
    """Return the condition for a moment that is far away; timers end with voicechat."""
    return ", while voicechat runs" if seconds > _FAR_S else ""


def canceled(timers: Sequence[Timer]) -> str:
    """Return the sentence that confirms that these timers were canceled."""
    if len(timers) == 1:
        return f"Your {timers[0].title} is canceled."
    kind = _shared_kind(timers)
    return (
        f"Both {kind}s are canceled."
        if len(timers) == 2
        else f"All {len(timers)} {kind}s are canceled."
    )


def _counted(timers: Sequence[Timer]) -> str:
    kind = _shared_kind(timers)
    return f"one {kind}" if len(timers) == 1 else f"{len(timers)} {kind}s"


def _shared_kind(timers: Sequence[Timer]) -> str:
    """Return the kind of these timers; timer if they differ."""
    kinds = {timer.kind for timer in timers}
    return kinds.pop() if len(kinds) == 1 else "timer"
