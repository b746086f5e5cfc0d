"""The budget of a session: what it and all other sessions spent, and if a response is allowed.

Each usage becomes a row of the ledger, numbers only, also with a history that is off. The row is
added and the sums are read in one transaction, so programs that run at the same time share one
budget. Without a limit for the day or the month, the ledger is written but not waited for.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from voicechat.config import unkept_files
from voicechat.core import effects
from voicechat.core.budget import PIPE_HINT, Budget, Period, Spending
from voicechat.core.items import Usage
from voicechat.core.price import Price
from voicechat.core.turn_latency import TurnLatency
from voicechat.errors import BudgetSpent, UsageError, VoicechatError
from voicechat.history.history_rows import ResponseRow
from voicechat.session.costs import BILLED_APART, TOKEN, CostTally, spending_of
from voicechat.system.daemon_call import call_with_deadline
from voicechat.system.text_table import counted

if TYPE_CHECKING:
    from voicechat.config.budget_settings import BudgetSettings
    from voicechat.history.turn_latencies import ModelLatency

CHECK_S = 1.5
"""Seconds to wait for the ledger before a response; then the sums that are known count."""

WRITE_S = 10.0
"""Seconds in which the ledger must take rows; then it is given up."""

MAX_ROWS = 10_000
"""Rows that wait for the ledger; more than a session has in a day."""


class Ledger(Protocol):
    """The usage of all sessions; see `history.usage_ledger.UsageLedger`."""

    def settle(
        self,
        rows: Sequence[ResponseRow],
        since: Mapping[Period, float],
        unknown: Price,
        turns: Sequence[tuple[float, TurnLatency]] = (),
    ) -> dict[Period, Spending]:
        """Add rows and return the sums since these Unix times (s); blocks on the disk."""
        ...

    def latencies(self) -> list[ModelLatency]:
        """Return the latency of each model; blocks on the disk."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class BudgetWatch:
    """Counts what is spent, and tells when a budget is near or used up."""

    def __init__(
        self,
        settings: BudgetSettings,
        costs: CostTally,
        publish: Callable[[effects.Notice], None],
        open_ledger: Callable[[], Ledger] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """clock: Unix time in seconds."""
        self.conversation_id = ""
        """Id of the conversation in the history; empty for a session without one."""
        self.has_limits = bool(settings.limits)
        """There is a budget at all."""
        self.withheld = False
        """A response was due and not requested."""
        self.is_told = False
        """The user knows that the budget is used up."""
        self._budget = Budget(settings.limits)
        self._unknown = settings.unknown
        self._costs = costs
        self._publish = publish
        self._open_ledger = open_ledger
        self._ledger: Ledger | None = None
        self._clock = clock
        self._periods = {limit.period for limit in self._budget.limits} - {Period.SESSION}
        self._others: dict[Period, Spending] = {}
        """Sums of the ledger, with the rows of this session that it has taken."""
        self._since: dict[Period, float] = {}
        """start of the periods to which `_others` belongs (Unix time in s)."""
        self._rows: list[ResponseRow] = []
        """Rows that the ledger has not taken."""
        self.turns: deque[tuple[float, TurnLatency]] = deque(maxlen=MAX_ROWS)
        """Latencies that the ledger has not taken, with their Unix times (s)."""
        self._unpriced: set[tuple[str, str]] = set()
        """Models and kinds of usage without a price that the user was told about."""
        self._settling: asyncio.Task[None] | None = None

    # ----------------------------------------------------------------- state

    @property
    def used_up(self) -> bool:
        """True if no further response may be requested."""
        return bool(self._budget.used_up)

    @property
    def lines(self) -> list[str]:
        """How much of each limit is used, one sentence each."""
        return self._budget.lines()

    @property
    def error(self) -> BudgetSpent:
        """The error for a response that is not requested."""
        text = self.notice.text
        return BudgetSpent(f"Nothing more is requested: {text[:1].lower()}{text[1:]}", PIPE_HINT)

    @property
    def notice(self) -> effects.Notice:
        """The notice that the budget is used up."""
        return self._budget.notice(self._budget.used_up[0])

    # ----------------------------------------------------------------- what is spent

    def add(self, model: str, source: str, usage: Usage) -> None:
        """Count a usage of PROVIDER/MODEL; `source` as in `core.effects.UsageChanged`."""
        if usage == Usage() or self._costs.is_free(model):
            return
        cost = self._costs.cost_of(model, source, usage)
        row = ResponseRow(self.conversation_id, "", self._clock(), model, usage, cost, kind=source)
        if len(self._rows) < MAX_ROWS:
            self._rows.append(row)
        if cost is None and self.has_limits and (model, source) not in self._unpriced:
            self._unpriced.add((model, source))
            self._publish(self._unknown_price(model, source, usage))
        self._count()

    def _unknown_price(self, model: str, source: str, usage: Usage) -> effects.Notice:
        what = f"The price of {BILLED_APART.get(source, model)}"
        each = self._unknown.text_in
        if source == TOKEN:
            minutes = counted(round(usage.seconds / 60), "minute")
            return effects.Notice(
                "The cost of a session that a token opens is unknown. The budget counts"
                f" {minutes} at ${self._unknown.minute:g} each.",
                hint="Set --token-minutes, or unknown_minute in [budget] of the settings file.",
            )
        return effects.Notice(
            f"{what} is unknown. The budget counts ${each:g} per million tokens.",
            hint="Set a price in [prices] or unknown_price in [budget] of the settings file.",
        )

    def _count(self, *, tells: bool = True) -> None:
        """Count, and publish what the latest numbers mean."""
        if not self.has_limits:
            return
        spent = {Period.SESSION: self._costs.spending(self._unknown)}
        starts = self._starts()
        for period in self._periods:
            known = self._others.get(period, Spending())
            if starts[period] != self._since.get(period, starts[period]):
                known = Spending()  # of yesterday
            rows = [row for row in self._rows if row.at >= starts[period]]
            spent[period] = sum(
                (spending_of(row.usage, row.cost, self._unknown) for row in rows), known
            )
        for notice in self._budget.spend(spent):
            if tells or not self.used_up:
                self._publish(notice)
                self.is_told = self.used_up

    def _starts(self) -> dict[Period, float]:
        """Return the Unix times (s) at which the day and the month began."""
        today = datetime.fromtimestamp(self._clock()).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        starts = {Period.DAY: today, Period.MONTH: today.replace(day=1)}
        return {period: starts[period].timestamp() for period in self._periods}

    # ----------------------------------------------------------------- the ledger

    async def check(self, *, writes: bool = False, tells: bool = True) -> bool:
        """Return True if the budget is used up, with what all sessions spent until now.

        writes: wait for the ledger, also without a limit for the day or the month. tells: publish
        a notice about it, unless the user knows.
        """
        if self._periods or writes:
            await asyncio.wait({self.settle()}, timeout=CHECK_S)
        self._count(tells=tells)
        return self.used_up

    async def require(self) -> None:
        """Raise `BudgetSpent` if the budget is used up."""
        if self.has_limits and await self.check(tells=False):
            raise self.error

    def settle(self) -> asyncio.Task[None]:
        """Start to write the rows and to read the sums; return the task that does it."""
        before = self._settling
        self._settling = asyncio.create_task(self._settle(before))
        return self._settling

    async def _settle(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        rows, turns, since = tuple(self._rows), tuple(self.turns), self._starts()
        if self._open_ledger is None or not (rows or turns or since):
            return
        try:
            ledger = self._ledger = self._ledger or self._open_ledger()
            sums = await call_with_deadline(
                lambda: ledger.settle(rows, since, self._unknown, turns), WRITE_S
            )
        except (VoicechatError, TimeoutError, MemoryError) as error:
            self._give_up(error)
            return
        del self._rows[: len(rows)]
        for _ in turns:
            self.turns.popleft()
        self._others, self._since = sums, since

    def _give_up(self, error: Exception) -> None:
        """Count this session only, and tell the user once."""
        self._ledger = self._open_ledger = None
        why = "The disk does not answer."
        if not isinstance(error, TimeoutError):
            why = getattr(error, "message", "The memory is used up.")
        counts = " The budget counts this session only." if self._periods else ""
        self._publish(
            effects.Notice(f"The usage is not kept. {why}{counts}", effects.Level.WARNING)
        )

    async def latencies(self) -> list[ModelLatency]:
        """Return the latency of each model in all sessions; none if they cannot be read."""
        if self._open_ledger is None:
            return []
        await asyncio.wait({self.settle()}, timeout=CHECK_S)
        with suppress(VoicechatError, TimeoutError):
            if self._ledger is not None:
                return await call_with_deadline(self._ledger.latencies, CHECK_S)
        return []

    async def close(self) -> None:
        """Write the last rows."""
        if self._settling is not None or self._rows or self.turns:
            await asyncio.wait({self.settle()}, timeout=CHECK_S)
        if self._ledger is not None:
            self._ledger.close()

    # ----------------------------------------------------------------- allowing more

    def allow_more(self) -> str:
        """Allow a bit more; return what. Raises `UsageError` if nothing is used up."""
        if not self.used_up:
            raise UsageError("No budget is used up.", "/usage shows what is spent.")
        self.withheld = self.is_told = False
        return " ".join(self._budget.allow_more())


def kept_ledger() -> Callable[[], Ledger] | None:
    """Return how to open the usage in the user's history; None if nothing can be written there."""
    return None if unkept_files.loses_state() else _open_ledger


def _open_ledger() -> Ledger:
    from voicechat.history.usage_ledger import UsageLedger

    return UsageLedger()
