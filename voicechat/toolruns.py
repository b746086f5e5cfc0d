"""Tools that run: one task per call, each ends in one `ToolFinished` unless it was stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from voicechat.core import events as ev
from voicechat.tools.registry import Registry


class ToolRuns:
    """The calls being run for one session, in the session's own task group."""

    def __init__(self, registry: Registry, finished: Callable[[ev.ToolFinished], None]) -> None:
        """`finished` is called on the event loop."""
        self._registry = registry
        self._finished = finished
        self._running: dict[str, asyncio.Task[None]] = {}

    def start(self, call: ev.RunTool, tasks: asyncio.TaskGroup) -> None:
        """Run a call; returns at once."""
        self._running[call.call_id] = tasks.create_task(self._run(call))

    def stop(self, call_ids: Iterable[str]) -> None:
        """Stop these calls; nobody is told."""
        for call_id in call_ids:
            task = self._running.pop(call_id, None)
            if task is not None:
                task.cancel()

    def stop_all(self) -> None:
        """Stop everything that runs."""
        self.stop(list(self._running))

    async def _run(self, call: ev.RunTool) -> None:
        outcome = await self._registry.run(call.name, call.arguments)
        self._running.pop(call.call_id, None)
        self._finished(ev.ToolFinished(call.call_id, outcome.output, outcome.failed))
