"""Budgets: limits on what sessions spend, in US dollars or tokens.

A budget is pure: it receives what was spent and returns the notices that are due. At `NEAR` of a
limit it warns once; from the whole limit on it is used up until the user allows more or a new day
or month begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from voicechat.core.effects import Level, Notice
from voicechat.core.price import dollars

NEAR = 0.8
"""Used share of a limit from which the user is warned."""

MORE = 0.2
"""Share of a limit that the user allows at a time after it is used up."""


class Period(StrEnum):
    """Time that a limit covers."""

    SESSION = "session"
    """From the start of the program to its end."""
    DAY = "day"
    """The calendar day, in local time."""
    MONTH = "month"
    """The calendar month, in local time."""


_FOR = {Period.SESSION: "this session", Period.DAY: "today", Period.MONTH: "this month"}


@dataclass(frozen=True, slots=True)
class Spending:
    """An amount that was spent."""

    dollars: float = 0.0
    tokens: int = 0

    def __add__(self, other: Spending) -> Spending:
        return Spending(self.dollars + other.dollars, self.tokens + other.tokens)


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may be spent in a period."""

    period: Period
    amount: float
    """US dollars, or tokens."""
    in_tokens: bool = False

    def used(self, spent: Spending) -> float:
        """Return what was spent in the unit of this limit."""
        return spent.tokens if self.in_tokens else spent.dollars

    def shown(self, amount: float) -> str:
        """Return an amount in the unit of this limit: "$2.50" or "20,000 tokens"."""
        if self.in_tokens:
            return f"{amount:,.0f} tokens"
        small = f"{amount:.6f}".rstrip("0")
        return f"${small}" if amount < 0.001 and small != "0." else dollars(amount)

    @property
    def name(self) -> str:
        """The limit in a sentence: "budget of $2.50 for this session"."""
        return f"budget of {self.shown(self.amount)} for {_FOR[self.period]}"


class Budget:
    """Several limits. Nothing is spent until `spend` is called."""

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._allowed = {limit: limit.amount for limit in limits}
        """What may be spent, with what the user allowed in addition."""
        self._spent: Mapping[Period, Spending] = {}
        self._warned: set[Limit] = set()
        self._told: set[Limit] = set()

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The limits in the order in which they were given."""
        return tuple(self._allowed)

    @property
    def used_up(self) -> tuple[Limit, ...]:
        """The limits of which nothing is left."""
        return tuple(each for each, most in self._allowed.items() if self._used(each) >= most)

    def _used(self, limit: Limit) -> float:
        return limit.used(self._spent.get(limit.period, Spending()))

    def spend(self, spent: Mapping[Period, Spending]) -> list[Notice]:
        """Take what was spent in each period so far; return the notices that are due."""
        self._spent = spent
        notices = []
        for limit in self._allowed:
            used = self._used(limit)
            if used < NEAR * limit.amount:  # at the start, and again on a new day
                self._warned.discard(limit)
                self._allowed[limit] = limit.amount
            if used < self._allowed[limit]:
                self._told.discard(limit)
            elif limit not in self._told:
                self._told.add(limit)
                self._warned.add(limit)
                notices.append(self.notice(limit))
            if used >= NEAR * limit.amount and limit not in self._warned:
                self._warned.add(limit)
                share = f"{100 * used / limit.amount:.0f} % of the {limit.name} is used"
                notices.append(Notice(f"{share}: {limit.shown(used)}.", Level.WARNING))
        return notices

    def notice(self, limit: Limit) -> Notice:
        """Return the notice about a limit that is used up."""
        return Notice(
            f"The {limit.name} is used up: {limit.shown(self._used(limit))}.",
            Level.WARNING,
            f"Type /continue to allow {limit.shown(self._more(limit))} more.",
            PIPE_HINT,
        )

    def allow_more(self) -> list[str]:
        """Allow `MORE` for each limit that is used up; return a sentence for each."""
        sentences = []
        for limit in self.used_up:
            more = self._more(limit)
            self._allowed[limit] = self._used(limit) + more
            total = limit.shown(self._allowed[limit])
            sentences.append(
                f"Allowed {limit.shown(more)} more for {_FOR[limit.period]}, {total} in all."
            )
        return sentences

    def lines(self) -> list[str]:
        """Return how much of each limit is used, one sentence each."""
        return [self._line(limit) for limit in self._allowed]

    def _line(self, limit: Limit) -> str:
        used, most = self._used(limit), self._allowed[limit]
        shown = limit.shown(used) if used else "nothing"
        added = f" of the {limit.shown(most)} that you allowed" if most > limit.amount else ""
        return f"{limit.name.capitalize()}: {shown} used{added}."

    @staticmethod
    def _more(limit: Limit) -> float:
        return max(1.0, round(limit.amount * MORE)) if limit.in_tokens else limit.amount * MORE


PIPE_HINT = "Set a higher --budget, or change [budget] in the settings file."
