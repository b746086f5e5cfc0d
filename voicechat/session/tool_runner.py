"""Running tools: one task per call; each ends in one `ToolFinished` unless it was stopped.

A call is recorded in the journal before it runs. A recorded call does not run a second time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from voicechat.core import effects, inputs
from voicechat.core.tool_calls import CHANGED, LOST
from voicechat.system.home_folder import unwritable
from voicechat.tools.journal import Journal, journals_folder
from voicechat.tools.registry import Outcome, Tool

if TYPE_CHECKING:
    from voicechat.session.toolbox import Toolbox


class ToolRunner:
    """The running calls of a session, in the session's task group."""

    def __init__(
        self,
        toolbox: Toolbox,
        journal: Journal,
        finished: Callable[[inputs.ToolFinished | inputs.ToolProgressed], None],
        notify: Callable[[effects.Notice], None],
    ) -> None:
        """`finished` also gets progress. It and `notify` are called on the event loop."""
        self.tasks: asyncio.TaskGroup | None = None
        """The task group; None while no call may start."""
        self._toolbox = toolbox
        self._journal = journal
        self._finished = finished
        self._notify = notify
        self._running: dict[str, asyncio.Task[None]] = {}
        self._complained = False

    def settle(self, effect: effects.RunTool | effects.CancelTools | effects.KeepApproval) -> None:
        """Execute an effect about tools; returns at once."""
        match effect:
            case effects.RunTool(call_id):
                if self.tasks is not None:
                    # The user decided on the tool as it is at this moment.
                    tool = self._toolbox.registry.get(effect.name)
                    self._running[call_id] = self.tasks.create_task(self._run(effect, tool))
            case effects.CancelTools(call_ids):
                self.stop(call_ids)
            case effects.KeepApproval(name, pattern):
                tool = self._toolbox.registry.get(name)
                if self.tasks is not None and tool is not None:
                    self.tasks.create_task(self._toolbox.keep_approval(tool, pattern))

    def stop(self, call_ids: Iterable[str]) -> None:
        """Stop these calls without an event."""
        for call_id in call_ids:
            task = self._running.pop(call_id, None)
            if task is not None:
                task.cancel()

    def stop_all(self) -> None:
        """Stop all calls and start no more."""
        self.tasks = None
        self.stop(list(self._running))

    async def _run(self, call: effects.RunTool, tool: Tool | None) -> None:
        registry = self._toolbox.registry
        try:
            outcome = Outcome(LOST, failed=True)
            if await self._begin(call):
                there = registry.get(call.name)
                if there is None or there == tool:
                    report = partial(self._report, call.call_id)
                    outcome = await registry.run(call.name, call.arguments, report)
                else:
                    outcome = Outcome(CHANGED, failed=True)
        finally:
            self._journal.end(call.call_id, call.arguments)
        self._running.pop(call.call_id, None)
        self._finished(
            inputs.ToolFinished(call.call_id, outcome.output, outcome.failed, outcome.pictures)
        )

    def _report(self, call_id: str, text: str) -> None:
        if call_id in self._running:
            self._finished(inputs.ToolProgressed(call_id, text))

    async def _begin(self, call: effects.RunTool) -> bool:
        begin = self._journal.begin
        try:
            return await asyncio.to_thread(begin, call.call_id, call.name, call.arguments)
        except OSError as error:
            if not self._complained and not unwritable(journals_folder().parent):
                self._complained = True
                why = (error.strerror or str(error)).lower()
                self._notify(
                    effects.Notice(
                        f"Cannot write the tool journal: {why}.",
                        effects.Level.WARNING,
                        "Tools run, but after a crash their results are unknown.",
                    )
                )
            return True
