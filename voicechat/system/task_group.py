"""A task group after which time limits hold on every supported Python."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class TaskGroup(asyncio.TaskGroup):
    """A task group that takes back its own request to cancel the task around it.

    A group cancels that task when one of its tasks fails. Before Python 3.13 the request may stay
    pending, and before 3.11.4 `asyncio.timeout` then lets the task end as cancelled at the next
    time limit instead of raising `TimeoutError` (CPython gh-102780, gh-117407).
    """

    _pending_before = 0

    async def __aenter__(self) -> Self:
        self._pending_before = _pending()
        return await super().__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await super().__aexit__(kind, error, trace)
        except BaseExceptionGroup:
            task = asyncio.current_task()
            requested = getattr(self, "_parent_cancel_requested", False)
            if task is not None and requested and _pending() > self._pending_before:
                task.uncancel()
            raise


def _pending() -> int:
    """Return the number of requests to cancel this task."""
    task = asyncio.current_task()
    return task.cancelling() if task is not None else 0
