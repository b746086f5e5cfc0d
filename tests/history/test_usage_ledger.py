"""The ledger: rows and sums of all sessions in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from voicechat.core.budget import Spending
from voicechat.core.items import Usage
from voicechat.core.price import Price
from voicechat.core.turn_latency import TurnLatency
from voicechat.history.database import HistoryUnusable
from voicechat.history.history_rows import ResponseRow
from voicechat.history.turn_latencies import ModelLatency
from voicechat.history.usage_ledger import UsageLedger

UNKNOWN = Price(text_in=10, minute=6)


def row(at: float, tokens: int, cost: float | None, seconds: float = 0.0) -> ResponseRow:
    usage = Usage(total_tokens=tokens, seconds=seconds)
    return ResponseRow("", "", at, "openai/gpt-realtime", usage, cost)


def test_sums_include_what_other_programs_added(tmp_path: Path) -> None:
    one, other = UsageLedger(tmp_path / "h.db"), UsageLedger(tmp_path / "h.db")
    one.settle([row(10.0, 100, 0.5), row(20.0, 50, 0.25)], {}, UNKNOWN)
    assert other.settle([row(20.0, 1, 1.0)], {"day": 15.0, "month": 0.0}, UNKNOWN) == {
        "day": Spending(1.25, 51),
        "month": Spending(1.75, 151),
    }
    assert one.settle([], {"day": 15.0}, UNKNOWN)["day"] == Spending(1.25, 51)
    one.close()
    other.close()


def test_an_unknown_price_counts_as_stated(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "h.db")
    found = ledger.settle(
        [row(1.0, 500_000, None), row(1.0, 0, None, seconds=30.0)], {"day": 0.0}, UNKNOWN
    )
    assert found["day"].dollars == pytest.approx(5.0 + 3.0)
    ledger.close()


def test_rows_are_added_completely_or_not_at_all(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "h.db")
    bad = row(1.0, 1, None)
    object.__setattr__(bad, "kind", None)
    with pytest.raises(HistoryUnusable):
        ledger.settle([row(1.0, 1, 0.5), bad], {}, UNKNOWN)
    assert ledger.settle([], {"day": 0.0}, UNKNOWN)["day"] == Spending()
    ledger.close()


def test_a_file_that_is_no_history_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "h.db").write_bytes(b"this is not a database" * 100)
    with pytest.raises(HistoryUnusable, match="cannot be used"):
        UsageLedger(tmp_path / "h.db").settle([row(1.0, 1, 0.5)], {}, UNKNOWN)


def test_the_rows_hold_numbers_and_names_only(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "h.db")
    ledger.settle([row(1.0, 7, 0.5)], {}, UNKNOWN)
    ledger.close()
    connection = sqlite3.connect(tmp_path / "h.db")
    texts = {
        value
        for found in connection.execute("SELECT * FROM responses")
        for value in found
        if isinstance(value, str)
    }
    connection.close()
    assert texts == {"", "response", "openai", "openai/gpt-realtime"}


def test_latencies_of_all_sessions_are_summed_up_by_model(tmp_path: Path) -> None:
    ledger = UsageLedger(tmp_path / "h.db")
    turns = [(float(n), TurnLatency("a/slow", 0, 0, 1_000.0 + n, 0)) for n in range(20)]
    turns += [(30.0, TurnLatency("b/fast", 100, 50, 200, 50))]
    turns += [(31.0, TurnLatency("b/fast", 0, 0, 90, 0, spoken=False))]
    ledger.settle([], {}, UNKNOWN, turns)
    assert ledger.latencies() == [
        ModelLatency("b/fast", False, 1, 90.0, 90.0),
        ModelLatency("b/fast", True, 1, 400.0, 400.0),
        ModelLatency("a/slow", True, 20, 1_009.0, 1_018.0),
    ]
    ledger.close()
