"""The table `[budget]`: limits on spending, and what an unknown price counts as.

[budget]
session = 2.50        # US dollars
day_tokens = 500000
unknown_price = 64    # US dollars per million tokens
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from voicechat.config.session_keys import record
from voicechat.config.setting_place import SettingPlace
from voicechat.core.budget import Limit, Period
from voicechat.core.price import Price
from voicechat.errors import UsageError

TABLE: Final = "budget"

MOST: Final = 1e12
"""Largest amount of a limit or a price."""


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """Limits of what sessions spend; None is no limit."""

    session: float | None = None
    """US dollars."""
    day: float | None = None
    month: float | None = None
    session_tokens: int | None = None
    day_tokens: int | None = None
    month_tokens: int | None = None
    unknown_price: float = 64.0
    """US dollars per million tokens of a model whose price is unknown.

    The default is the highest price of a token in the list of voicechat.
    """
    unknown_minute: float = 0.10
    """US dollars per minute of such a model, if it bills time."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits that are set."""
        amounts = {
            Period.SESSION: (self.session, self.session_tokens),
            Period.DAY: (self.day, self.day_tokens),
            Period.MONTH: (self.month, self.month_tokens),
        }
        return tuple(
            Limit(period, amount, in_tokens=in_tokens)
            for period, (money, tokens) in amounts.items()
            for amount, in_tokens in ((money, False), (tokens, True))
            if amount is not None
        )

    @property
    def unknown(self) -> Price:
        """The price of a model whose price is unknown."""
        each = self.unknown_price
        return Price(
            text_in=each, text_out=each, audio_in=each, audio_out=each, image_in=each,
            minute=self.unknown_minute,
        )  # fmt: skip


def read(place: SettingPlace, settings: Mapping[str, object]) -> dict[str, BudgetSettings]:
    """Return the option `spending` if the settings have the table. Raises `UsageError`."""
    if TABLE not in settings:
        return {}
    value = settings[TABLE]
    if not isinstance(value, dict):
        raise UsageError(f"{place(TABLE)} must be a table.", "Write [budget].")
    inner = place.below(TABLE)
    found = record(inner, value, BudgetSettings)
    for name, amount in value.items():
        if not 0 < amount <= MOST:
            raise UsageError(f"{inner(name)} must be more than 0 and at most {MOST:,.0f}.")
    return {"spending": found}


def with_flag(settings: BudgetSettings | None, text: str) -> BudgetSettings:
    """Return the settings with the value of `--budget` for the session. Raises `UsageError`."""
    try:
        amount = float(text.removeprefix("$"))
    except ValueError:
        amount = math.nan
    if not 0 < amount <= MOST:
        raise UsageError(
            f"--budget must be an amount of US dollars, not {text[:40]!r}.",
            "Write it like --budget 2.50.",
        )
    return replace(settings or BudgetSettings(), session=amount)
