"""Time for the layout of texts in one turn of the event loop.

One text takes at most about 50 ms, but many may have to be laid out at once: after a burst of
replies, or when the width of the screen changes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LAYOUT_S = 0.008
"""Seconds of a turn after which the layout of further texts waits for the next turn."""
MOST_S_PER_CHAR = 10e-6
"""Longest time for a character of a costly text."""
SHORT_CHARS = 2_000
"""A text of this length is laid out in at most about 10 ms; it may use up twice as much."""


class LayoutBudget:
    """The seconds that the layout of texts took in this turn."""

    def __init__(
        self, limit_s: float = LAYOUT_S, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._spent_s = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that begins the next turn; None before anything was spent in this one."""

    @property
    def is_used_up(self) -> bool:
        """True if further texts have to wait. Without a loop, nothing waits."""
        return self._is_current() and self._spent_s > self._limit_s

    def allows(self, chars: int) -> bool:
        """Return True if a text of this length may be laid out in this turn."""
        limit_s = self._limit_s * (2 if chars <= SHORT_CHARS else 1)
        return not self._is_current() or self._spent_s <= limit_s

    async def renewed(self) -> None:
        """Wait for the next turn."""
        await asyncio.sleep(0)

    @contextmanager
    def spent(self, chars: int) -> Iterator[None]:
        """Count the time of the layout of a text of this length."""
        began = self._clock()
        try:
            yield
        finally:
            # More is the first use of a library, or another program.
            self._spend(min(self._clock() - began, chars * MOST_S_PER_CHAR))

    def _spend(self, seconds: float) -> None:
        if not self._is_current():
            self._spent_s, self._loop = 0.0, _running_loop()
            if self._loop is not None:
                self._loop.call_soon(self._end_turn)
        self._spent_s += seconds

    def _is_current(self) -> bool:
        return self._loop is not None and self._loop is _running_loop()

    def _end_turn(self) -> None:
        self._loop = None


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


LAYOUT_BUDGET = LayoutBudget()
"""Of all texts of the screen."""
