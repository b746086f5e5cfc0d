"""Budgets: what is spent becomes notices, and a budget that is used up opens again."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from voicechat.core.budget import Budget, Limit, Period, Spending

SESSION = Limit(Period.SESSION, 2.5)
DAY = Limit(Period.DAY, 10.0)
TOKENS = Limit(Period.MONTH, 1_000, in_tokens=True)


def spent(dollars: float = 0.0, tokens: int = 0) -> Mapping[Period, Spending]:
    return dict.fromkeys(Period, Spending(dollars, tokens))


def texts(budget: Budget, dollars: float = 0.0, tokens: int = 0) -> list[str]:
    return [notice.text for notice in budget.spend(spent(dollars, tokens))]


def test_a_notice_at_80_percent_comes_once() -> None:
    budget = Budget([SESSION])
    assert texts(budget, 1.99) == []
    assert texts(budget, 2.0) == ["80 % of the budget of $2.50 for this session is used: $2.00."]
    assert texts(budget, 2.4) == []
    assert not budget.used_up


def test_a_used_budget_is_told_once_with_the_remedy() -> None:
    budget = Budget([SESSION])
    (notice,) = budget.spend(spent(2.5))
    assert notice.text == "The budget of $2.50 for this session is used up: $2.50."
    assert notice.hint == "Type /continue to allow $0.50 more."
    assert "--budget" in notice.pipe_hint
    assert budget.used_up == (SESSION,)
    assert texts(budget, 2.6) == []


def test_more_is_allowed_from_what_was_spent() -> None:
    budget = Budget([SESSION, DAY])
    texts(budget, 3.0)
    assert budget.allow_more() == ["Allowed $0.50 more for this session, $3.50 in all."]
    assert not budget.used_up
    assert texts(budget, 3.4) == []
    assert texts(budget, 3.5) == ["The budget of $2.50 for this session is used up: $3.50."]
    assert budget.allow_more() == ["Allowed $0.50 more for this session, $4.00 in all."]
    assert budget.lines()[0] == (
        "Budget of $2.50 for this session: $3.50 used of the $4.00 that you allowed."
    )


def test_each_limit_is_on_its_own() -> None:
    budget = Budget([DAY, TOKENS])
    assert texts(budget, 9.0, 1_000) == [
        "90 % of the budget of $10.00 for today is used: $9.00.",
        "The budget of 1,000 tokens for this month is used up: 1,000 tokens.",
    ]
    assert budget.used_up == (TOKENS,)
    assert budget.allow_more() == ["Allowed 200 tokens more for this month, 1,200 tokens in all."]


def test_a_new_day_starts_again() -> None:
    budget = Budget([DAY])
    texts(budget, 11.0)
    budget.allow_more()
    assert texts(budget, 0.0) == []
    assert texts(budget, 8.0) == ["80 % of the budget of $10.00 for today is used: $8.00."]
    assert texts(budget, 10.0) == ["The budget of $10.00 for today is used up: $10.00."]


@pytest.mark.parametrize("dollars", [0.8, 1.0])
def test_nothing_is_left_only_at_the_whole_limit(dollars: float) -> None:
    budget = Budget([Limit(Period.SESSION, 1.0)])
    budget.spend(spent(dollars))
    assert bool(budget.used_up) is (dollars == 1.0)


def test_without_limits_nothing_is_ever_used_up() -> None:
    budget = Budget([])
    assert texts(budget, 1e9, 10**12) == []
    assert not budget.used_up
    assert budget.lines() == []
