"""Lanes of one part of the speech engine: jobs of a lane run in order, lanes at the same time.

The lanes share the models in memory. With one lane for each core, several clients are served at
once; each new utterance or clause takes the lane with the least work.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class WorkerLane:
    """One lane. `users` is the number of open utterances, or of clauses that are spoken."""

    def __init__(self, part: str, number: int) -> None:
        self._prefix = f"{part}#{number}" if number else part
        self.users = 0
        self._held = False
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    @property
    def is_wanted(self) -> bool:
        """True if a job waits for the lane."""
        return any(not waiter.done() for _, _, waiter in self._waiting)

    def method(self, name: str) -> str:
        """Return the name of a method of the part, for a job on this lane."""
        return f"{self._prefix}.{name}"

    @asynccontextmanager
    async def turn(self, priority: int) -> AsyncIterator[None]:
        """Wait for the lane and hold it: the lowest priority first, then the oldest waiter."""
        while self._held:
            waiter = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (priority, next(self._order), waiter))
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._wake()
                raise
        self._held = True
        try:
            yield
        finally:
            self._held = False
            self._wake()

    def _wake(self) -> None:
        while not self._held and self._waiting:
            _, _, waiter = heapq.heappop(self._waiting)
            if not waiter.done():
                waiter.set_result(None)
                return


class WorkerLanes:
    """The lanes of a part of the engine, such as "stt"."""

    def __init__(self, part: str, count: int) -> None:
        self._lanes = [WorkerLane(part, number) for number in range(count)]

    def acquire(self) -> WorkerLane:
        """Return the lane with the fewest users; increase `users` by one."""
        lane = min(self._lanes, key=lambda each: each.users)
        lane.users += 1
        return lane
