"""Spending of a model that speaks or transcribes, and if the budget allows more of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from voicechat.config.budget_settings import BudgetSettings
from voicechat.core import effects
from voicechat.core.items import Usage
from voicechat.session.budget_watch import BudgetWatch, kept_ledger
from voicechat.session.costs import CostTally

if TYPE_CHECKING:
    from voicechat.config.options import Options
    from voicechat.errors import BudgetSpent

_KIND = "other"
"""Kind of the usage: no answers, at the price of the model itself."""


class ModelSpending:
    """Counts the usage of one model where that of conversations is counted."""

    def __init__(
        self,
        options: Options,
        model: str,
        notify: Callable[[str], None],
        *,
        keeps: bool = True,
        shares: ModelSpending | None = None,
    ) -> None:
        """model: PROVIDER/MODEL. notify: receives sentences for the user. keeps: write the usage
        to the history. shares: the spending of another model, whose budget is also this one's."""
        self.usage = Usage()
        """What the provider billed so far."""
        self._model = model
        self._notify = notify
        self._is_shared = shares is not None
        self._costs: CostTally = shares._costs if shares else CostTally(options.prices)
        self._watch: BudgetWatch = (
            shares._watch
            if shares
            else BudgetWatch(
                options.spending or BudgetSettings(),
                self._costs,
                self._publish,
                kept_ledger() if keeps else None,
            )
        )

    def _publish(self, notice: effects.Notice) -> None:
        if not self._watch.used_up:  # then `error` says so
            self._notify(f"{notice.text} {notice.pipe_hint or notice.hint}".strip())

    def spend(self, usage: Usage) -> None:
        """Count the usage of a text or an utterance."""
        self.usage += usage
        self._costs.add(self._model, _KIND, usage)
        self._watch.add(self._model, _KIND, usage)
        self._watch.settle()

    @property
    def cost(self) -> float | None:
        """Estimated cost so far in US dollars; None if the price is unknown."""
        if self._costs.is_free(self._model) or self.usage == Usage():
            return 0.0
        return self._costs.cost_of(self._model, _KIND, self.usage)

    async def allows_more(self) -> bool:
        """Return False if the budget is used up, with what all sessions spent until now."""
        return not (self._watch.has_limits and await self._watch.check(tells=False))

    async def require(self) -> None:
        """Raise `BudgetSpent` if the budget is used up."""
        await self._watch.require()

    @property
    def error(self) -> BudgetSpent:
        """The error for an utterance that is not transcribed."""
        return self._watch.error

    async def close(self) -> None:
        """Write the last usage, unless the other model does it."""
        if not self._is_shared:
            await self._watch.close()
