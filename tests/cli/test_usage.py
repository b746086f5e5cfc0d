"""`voicechat usage`: groups, times and forms."""

from __future__ import annotations

import csv
import io
import json
import time
from datetime import datetime, timedelta

import pytest

from voicechat.cli.app import main
from voicechat.core.items import Usage
from voicechat.core.price import Price
from voicechat.history.database import connect, history_path, transaction
from voicechat.history.history_rows import ConversationRow, ResponseRow
from voicechat.history.history_store import save_conversation
from voicechat.history.usage_ledger import UsageLedger

Capture = pytest.CaptureFixture[str]


def noon(days_ago: int) -> datetime:
    today = datetime.now().replace(hour=12, minute=0, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


@pytest.fixture(autouse=True)
def history() -> None:
    """Three days of usage: two models, one conversation, a price that is unknown."""
    path = history_path()
    for file in path.parent.glob("history.db*"):
        file.unlink()

    def row(
        days_ago: int, model: str, tokens: int, cost: float | None, kept: str = "", kind: str = ""
    ) -> ResponseRow:
        usage = Usage(tokens, tokens // 2, tokens - tokens // 2)
        at = noon(days_ago).timestamp()
        return ResponseRow(kept, "", at, model, usage, cost, kind or "response")

    ledger = UsageLedger(path)
    ledger.settle(
        [
            row(40, "openai/gpt-realtime", 9_000, 3.0),
            row(2, "openai/gpt-realtime", 1_000, 0.5, "talk1"),
            row(1, "google/gemini-3.8-live", 2_000, 1.0, "talk1"),
            row(1, "google/gemini-3.8-live", 100, None, "talk1", "transcription"),
        ],
        {},
        Price(),
    )
    ledger.close()
    connection = connect(path)
    with transaction(connection):
        title = "\t=Talk about \x1b[31mcats"
        save_conversation(connection, ConversationRow("talk1", title, time.time(), time.time()))
    connection.close()


def lines(capsys: Capture, *arguments: str) -> list[str]:
    assert main(["usage", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_days_are_in_order_with_a_bar_and_a_total(capsys: Capture) -> None:
    found = lines(capsys)
    day = noon(29).strftime("%Y-%m-%d")
    assert found[0] == f"Usage since {day}, by day:"
    assert [line.split()[0] for line in found[1:4]] == [
        noon(2).strftime("%Y-%m-%d"), noon(1).strftime("%Y-%m-%d"), "total",
    ]  # fmt: skip
    assert found[1].split("  ")[2] == "━" * 8
    assert found[2].count("━") == 16
    assert "$1.50" in found[3]
    assert "2 answers" in found[3]
    assert found[-1] == "Not in the costs, because the price is unknown: 100 tokens."
    assert max(map(len, found)) <= 80


def test_transcription_is_no_answer(capsys: Capture) -> None:
    explained = "Lines without answers: speech that was only transcribed or translated."
    assert explained not in lines(capsys, "--by", "model")
    ledger = UsageLedger(history_path())
    heard = Usage(seconds=90.0)
    at = noon(0).timestamp()
    ledger.settle(
        [ResponseRow("", "", at, "openai/gpt-transcribe", heard, 0.01, "other")], {}, Price()
    )
    ledger.close()
    found = lines(capsys, "--by", "model")
    (line,) = (line for line in found if "gpt-transcribe" in line)
    assert "answer" not in line
    assert line.split()[-4:] == ["$0.010", "-", "1.5", "minutes"]
    assert explained in found
    (total,) = (line for line in found if line.split()[0] == "total")
    assert "2 answers" in total


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("model", ["google/gemini-3.8-live", "openai/gpt-realtime", "total"]),
        ("provider", ["google", "openai", "total"]),
        ("conversation", ["talk1", "total"]),
    ],
)
def test_the_most_expensive_group_comes_first(capsys: Capture, by: str, names: list[str]) -> None:
    found = lines(capsys, "--by", by)
    assert [line.split()[0] for line in found[1 : len(names) + 1]] == names


@pytest.mark.parametrize(
    ("since", "answers"), [("all", 3), ("60 days", 3), ("2 weeks", 2), ("today", 0)]
)
def test_the_time_is_a_day_an_age_or_a_word(capsys: Capture, since: str, answers: int) -> None:
    found = json.loads("\n".join(lines(capsys, "--since", since, "--json")))
    assert found["total"]["answers"] == answers
    day = noon(1).strftime("%Y-%m-%d")
    assert json.loads("\n".join(lines(capsys, "--since", day, "--json")))["total"]["answers"] == 1


@pytest.mark.parametrize(
    "arguments",
    [["--by", "week"], ["--since", "soon"], ["--since", "2026-13-01"], ["--json", "--csv"],
     ["--since", "999999 years"]],
    ids=" ".join,
)  # fmt: skip
def test_a_wrong_argument_is_one_sentence(capsys: Capture, arguments: list[str]) -> None:
    assert main(["usage", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1


def test_json_and_csv_hold_the_same_rows(capsys: Capture) -> None:
    document = json.loads("\n".join(lines(capsys, "--by", "conversation", "--json")))
    rows = list(
        csv.DictReader(io.StringIO("\n".join(lines(capsys, "--by", "conversation", "--csv"))))
    )
    assert document["by"] == "conversation"
    assert [float(row["cost"]) for row in rows] == [each["cost"] for each in document["rows"]]
    assert rows[0]["conversation"] == "talk1"
    assert rows[0]["title"].startswith("'\t=Talk about "), "no formula"
    assert "\x1b" not in rows[0]["title"]


def test_without_a_history_nothing_is_created(capsys: Capture) -> None:
    for file in history_path().parent.glob("history.db*"):
        file.unlink()
    assert lines(capsys) == ["Nothing used."]
    assert not history_path().exists()
