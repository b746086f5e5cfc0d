"""Changes that can be undone, the newest last.

Each request that changes timers, lists or notes records one entry, also when it changes nothing,
so that an undo never takes back an earlier request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

NOTHING_CHANGED = "The last request changed nothing, so there is nothing to undo."
NOTHING_TO_UNDO = "There is nothing to undo."
MOST = 20
"""Number of changes that are kept; older ones cannot be undone."""


@dataclass(frozen=True, slots=True)
class Undo:
    """The inverse of one change. `run` undoes it and returns the sentence to say."""

    run: Callable[[], str]
    blocking: bool = False
    """True if `run` uses the disk, so that it belongs on a thread."""


Record = Callable[[Undo | None], None]
"""Records one change; None if the request changed nothing."""


def no_record(_undo: Undo | None) -> None:
    """Record nothing, where nothing is ever undone."""


class UndoStack:
    """The changes of one session. The oldest beyond 20 are dropped."""

    def __init__(self) -> None:
        self._changes: deque[Undo | None] = deque(maxlen=MOST)

    def record(self, undo: Undo | None) -> None:
        """Add a change."""
        self._changes.append(undo)

    async def undo(self) -> str:
        """Undo the newest change and return the sentence to say. Raises `VoicechatError`."""
        if not self._changes:
            return NOTHING_TO_UNDO
        return await undone(self._changes.pop())


async def undone(change: Undo | None) -> str:
    """Undo one change and return the sentence to say. Raises `VoicechatError`."""
    if change is None:
        return NOTHING_CHANGED
    return await asyncio.to_thread(change.run) if change.blocking else change.run()
