"""Sums of the usage in the history: by day, model, provider or conversation."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from voicechat.history.usage_ledger import TOKENS

_KEYS: Final[Mapping[str, str]] = {
    "day": "strftime('%Y-%m-%d', at, 'unixepoch', 'localtime')",
    "model": "responses.model",
    "provider": "provider",
    "conversation": "conversation_id",
}

GROUPS: Final = tuple(_KEYS)
"""What usage can be grouped by."""

_SUMS: Final = (
    "SELECT {key} AS name, {title} AS title,"
    " sum(kind = 'response'), total({tokens}), total(input_tokens), total(output_tokens),"
    " total(seconds), total(cost), total(CASE WHEN cost IS NULL THEN {tokens} END),"
    " total(CASE WHEN cost IS NULL THEN seconds END)"
    " FROM responses {join} WHERE at >= ? GROUP BY name ORDER BY {order}"
)


@dataclass(frozen=True, slots=True)
class UsageSum:
    """The usage of a group of responses."""

    name: str
    """Day as YYYY-MM-DD, PROVIDER/MODEL, provider, or id of a conversation (empty if not kept)."""
    title: str = ""
    """Title of a conversation."""
    answers: int = 0
    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    """Billed time."""
    cost: float = 0.0
    """US dollars, at the price of the day; without what has no known price."""
    unpriced_tokens: int = 0
    """Tokens without a known price."""
    unpriced_seconds: float = 0.0


def usage_by(connection: sqlite3.Connection, group: str, since: float) -> list[UsageSum]:
    """Return the usage since a Unix time (s) by one of `GROUPS`.

    Days are in order; of others, the most expensive one comes first.
    """
    is_conversation = group == "conversation"
    statement = _SUMS.format(
        key=_KEYS[group],
        tokens=TOKENS,
        title="coalesce(max(conversations.title), '')" if is_conversation else "''",
        join="LEFT JOIN conversations ON conversations.id = conversation_id"
        if is_conversation
        else "",
        order="name" if group == "day" else "total(cost) DESC, 4 DESC, name",
    )
    return [_sum(*row) for row in connection.execute(statement, (since,))]


def _sum(name: str, title: str, answers: int, *amounts: float) -> UsageSum:
    tokens, inward, outward, seconds, cost, unpriced, unpriced_seconds = amounts
    return UsageSum(
        name, title, answers, int(tokens), int(inward), int(outward), seconds, cost,
        int(unpriced), unpriced_seconds,
    )  # fmt: skip


def total_of(sums: Iterable[UsageSum]) -> UsageSum:
    """Return the sum of all."""
    found = UsageSum("total")
    for each in sums:
        found = UsageSum(
            "total",
            "",
            found.answers + each.answers,
            found.tokens + each.tokens,
            found.input_tokens + each.input_tokens,
            found.output_tokens + each.output_tokens,
            found.seconds + each.seconds,
            found.cost + each.cost,
            found.unpriced_tokens + each.unpriced_tokens,
            found.unpriced_seconds + each.unpriced_seconds,
        )
    return found
