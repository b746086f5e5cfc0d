"""Timers, reminders and alarms that ring in the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from voicechat.skills.wording import lasting, spoken_clock

_MOST = 32
_EXACT_S = 0.02
_LOOK_S = 20.0


class Cancellable(Protocol):
    """What waits until a moment."""

    def cancel(self) -> None:
        """Never happen."""
        ...


Later = Callable[[float, Callable[[], None]], Cancellable]
"""Runs the function after so many seconds, like `loop.call_later`."""


@dataclass(eq=False, slots=True)
class Timer:
    """One running timer. `kind` is timer, reminder or alarm."""

    kind: str
    ends: datetime
    seconds: float
    name: str = ""
    text: str = ""
    """What a reminder reminds of."""
    waiting: Cancellable | None = None

    @property
    def title(self) -> str:
        """How it is spoken of: "pasta timer", "10 minute timer", "6:30 alarm"."""
        if self.name:
            return f"{self.name} {self.kind}"
        if self.kind == "alarm":
            return f"{spoken_clock(self.ends)} alarm"
        if self.kind == "reminder":
            return f"reminder to {self.text}" if self.text else "reminder"
        return f"{lasting(self.seconds).replace('s and', ' and').removesuffix('s')} timer"

    @property
    def call(self) -> str:
        """What is said when it rings."""
        if self.kind == "reminder":
            return f"Here is your reminder: {self.text}."
        if self.kind == "alarm":
            return f"It is {spoken_clock(self.ends)}. This is your alarm."
        return f"Ding ding! Your {self.title} is done."


class Timers:
    """The running timers. `ring` is called with what to say; a rung timer is gone."""

    def __init__(
        self, ring: Callable[[str], None], now: Callable[[], datetime], later: Later | None = None
    ) -> None:
        self._ring = ring
        self._now = now
        self._later = later
        self._running: list[Timer] = []

    def start(self, kind: str, seconds: float, name: str = "", text: str = "") -> Timer | None:
        """Start a timer; None when too many run already. Needs a running event loop."""
        if len(self._running) >= _MOST:
            return None
        timer = Timer(kind, self._now() + timedelta(seconds=seconds), seconds, name, text)
        self._running.append(timer)
        self._wait(timer)
        return timer

    def _wait(self, timer: Timer) -> None:
        """Ring, or look again: a machine that slept did not count the time."""
        left = self.left(timer)
        if left <= _EXACT_S:
            self._rung(timer)
            return
        later = self._later or asyncio.get_running_loop().call_later
        timer.waiting = later(min(left, _LOOK_S), lambda: self._wait(timer))

    def running(self, name: str = "") -> list[Timer]:
        """The timers (of this name), the next to ring first."""
        wanted = name.casefold()
        found = [timer for timer in self._running if not wanted or wanted in timer.title.casefold()]
        return sorted(found, key=lambda timer: timer.ends)

    def left(self, timer: Timer) -> float:
        """Seconds until it rings."""
        return max(0.0, (timer.ends - self._now()).total_seconds())

    def cancel(self, timers: list[Timer]) -> None:
        """End these without ringing."""
        for timer in timers:
            if timer in self._running:
                self._running.remove(timer)
            if timer.waiting is not None:
                timer.waiting.cancel()

    def _rung(self, timer: Timer) -> None:
        if timer in self._running:
            self._running.remove(timer)
            self._ring(timer.call)
