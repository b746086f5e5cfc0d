"""What a session spends and how long it takes: actions and state of a live session."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from voicechat.config.budget_settings import BudgetSettings
from voicechat.core import effects, events, inputs
from voicechat.core.items import Usage
from voicechat.errors import BudgetSpent, VoicechatError
from voicechat.session.budget_watch import BudgetWatch
from voicechat.session.costs import CostTally
from voicechat.session.latency_report import history_lines, quiet_line, session_lines
from voicechat.session.updates import Link, Report, Update, WorkEnded
from voicechat.session.view import SessionView

if TYPE_CHECKING:
    from voicechat.session.budget_watch import Ledger
    from voicechat.session.conversation_log import ConversationLog
    from voicechat.session.latency_log import LatencyLog
    from voicechat.session.model import ChosenModel

_MAY_DISCONNECT = {effects.Floor.IDLE, effects.Floor.LISTENING, effects.Floor.HEARING}
"""Phases in which no response and no tool is running."""


class SpendingControls(SessionView):
    """Costs, the budget and the latency of a live session."""

    _latency: LatencyLog

    def __init__(self, chosen: ChosenModel, open_ledger: Callable[[], Ledger] | None) -> None:
        self._chosen = chosen
        self._tasks: asyncio.TaskGroup | None = None
        """Tasks of the session; None while it does not run."""
        options = chosen.options
        self._costs = CostTally(options.prices, options.chat_url)
        self._budget = BudgetWatch(
            options.spending or BudgetSettings(), self._costs, self._publish_update, open_ledger
        )
        self._log: ConversationLog | None = None
        """Keeps the conversation in the history; None if it is not kept."""
        self._used: list[tuple[str, str, Usage]] = []
        """Usage that is not counted yet: model, kind and amount."""
        self._checks = 0
        """Checks of the budget that a response waits for."""
        self._jobs = 0
        """Work in the background that the session waits for at its end."""

    # ----------------------------------------------------------------- what the session provides

    @abstractmethod
    def _handle(self, event: events.Event | inputs.Input) -> None:
        """Pass an event or an input to the conversation."""

    @abstractmethod
    def _publish_update(self, update: Update) -> None:
        """Publish an update."""

    @abstractmethod
    def _renew(self) -> None:
        """Open another connection."""

    @abstractmethod
    def _disconnect(self, error: VoicechatError) -> None:
        """End the connection because of this error."""

    def _run(
        self, work: Coroutine[None, None, None], *, counts: bool = True
    ) -> asyncio.Task[None] | None:
        """Run work in the background; drop it while the session does not run.

        counts: the session is not done before this work is.
        """
        try:
            task = self._tasks.create_task(work) if self._tasks is not None else None
        except RuntimeError:  # the session ends with an error
            task = None
        if task is None:
            work.close()
            return None
        if counts:
            self._jobs += 1
            task.add_done_callback(self._job_done)
        return task

    def _job_done(self, _task: asyncio.Task[None]) -> None:
        self._jobs -= 1
        self._publish_update(WorkEnded())

    def _warn_of(self, error: VoicechatError) -> None:
        self._publish_update(effects.Notice(error.message, effects.Level.WARNING, error.hint))

    # ----------------------------------------------------------------- state

    @property
    def shown_cost(self) -> str:
        """Estimated cost so far, like "$0.04"; empty when it is zero or unknown."""
        self._account()
        return self._costs.shown_cost

    @property
    def usage(self) -> Usage:
        """Usage of the whole session, over all its models."""
        self._account()
        return self._costs.total

    @property
    def usage_report(self) -> list[str]:
        """Usage, cost and rate limits, one sentence per line."""
        self._account()
        return [*self._costs.lines(self.limits), *self._budget.lines]

    @property
    def budget_used_up(self) -> bool:
        """True if a budget is used up, so that no response is requested."""
        return self._budget.used_up

    # ----------------------------------------------------------------- budget

    def allow_more(self) -> str:
        """Allow a bit more of the budget that is used up, and go on; return what is allowed.

        For keys and typed commands only. Raises `UsageError` if no budget is used up.
        """
        allowed = self._budget.allow_more()
        self._handle(inputs.BudgetChecked(self._budget.used_up))
        if self.link is Link.OFFLINE:
            self._renew()
        return allowed

    def _account(self) -> None:
        """Count what was used; the conversation learns if the budget is used up."""
        if not self._used:
            return
        self._budget.conversation_id = self.conversation_id
        for model, source, added in self._used:
            self._costs.add(model, source, added)
            self._budget.add(model, source, added)
        self._used.clear()
        self._check_budget()

    def _check_budget(self, *, is_due: bool = False) -> None:
        """Compare the budget with what all sessions spent. is_due: a response waits for it."""
        started = self._run(self._answer_budget(is_due=is_due), counts=False)
        self._checks += is_due and started is not None

    async def _answer_budget(self, *, is_due: bool) -> None:
        used_up = await self._budget.check(writes=not is_due)
        self._checks -= is_due
        self._budget.withheld = self._budget.withheld or (is_due and used_up)
        if self._budget.has_limits:
            self._handle(inputs.BudgetChecked(used_up))

    @property
    def _is_stopping(self) -> bool:
        """True while a response is due that the budget does not allow; no user can allow more.

        Before the budget is used up, a response that is due keeps the floor.
        """
        ends = self._budget.withheld and not self.outlives_connections
        return ends or bool(self._checks and self._budget.used_up)

    def _keep_budget(self, event: events.Event | inputs.Input) -> None:
        """Look at the budget when the user begins to talk; disconnect once it is used up.

        Without a connection no provider answers by itself, and none bills by the minute. A filter
        ends only when a response is due.
        """
        if isinstance(event, events.SpeechStarted | inputs.Talk):
            self._check_budget()
        elif isinstance(event, inputs.Typed):
            self._budget.is_told = False
        ends = self._budget.withheld or self.outlives_connections or self.hands_free
        if self._budget.used_up and ends and self.floor in _MAY_DISCONNECT:
            self._disconnect(self._budget.error)

    def _tell_offline(self, error: VoicechatError) -> None:
        """Tell why the session is offline, and how to go on."""
        if isinstance(error, BudgetSpent):
            if not self._budget.is_told:
                self._publish_update(self._budget.notice)
            self._budget.is_told = True
            return
        hint = f"{error.hint} Type a line, /new or /model to connect again.".strip()
        self._publish_update(effects.Notice(error.message, effects.Level.ERROR, hint))

    # ----------------------------------------------------------------- latency

    @property
    def latency_parts(self) -> str:
        """The parts of the latency of the last spoken turn, for a status line."""
        return quiet_line(self._latency)

    def report_latency(self) -> None:
        """Publish the latencies of this session, and those of each model, as a `Report`."""
        self._run(self._publish_latency())

    async def latency_report(self) -> str:
        """Return the latencies of this session, and those of each model in all sessions."""
        models = await self._budget.latencies()
        return "\n".join([*session_lines(self._latency), *history_lines(models)])

    async def _publish_latency(self) -> None:
        self._publish_update(Report("Latency", await self.latency_report()))
