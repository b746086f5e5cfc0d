"""Lists, search and single conversations of the history."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.errors import UsageError
from voicechat.history import database, history_edits, history_reader, history_store
from voicechat.history.history_reader import MOST_TITLE
from voicechat.history.history_rows import TOOL, ConversationRow, ItemRow
from voicechat.history.stored_conversation import StoredConversation


def test_a_long_title_of_many_lines_is_one_short_line(tmp_path: Path) -> None:
    with closing(database.connect(tmp_path / "history.db")) as connection:
        row = ConversationRow("long0000", "a\nb\r\x1b[31m " + "x" * 100_000, model="m" * 100_000)
        with database.transaction(connection):
            history_store.save_conversation(connection, row)
        [found] = history_reader.conversations(connection)
    assert found.title.startswith("a b\ufffd\ufffd[31m xxx")
    assert (len(found.title), len(found.model)) == (MOST_TITLE, MOST_TITLE)


@pytest.fixture(params=["index", "no index"])
def history(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[sqlite3.Connection]:
    if request.param == "no index":
        monkeypatch.setattr(database, "has_full_text", lambda _: False)
    with closing(database.connect(tmp_path / "history.db")) as connection:
        with database.transaction(connection):
            for number, (name, title, text) in enumerate(
                (
                    ("aaaa1111", "Weather in Paris", "It rains, with Ärger in 100% of streets"),
                    ("aaab2222", "Cooking", "Peel the potatoes first"),
                    ("cccc3333", "東京の天気", "明日の天気は晴れです"),
                )
            ):
                row = ConversationRow(name, title, number, number, "openai/x")
                history_store.save_conversation(connection, row)
                item = ItemRow(name, "one", 1.0, 1.0, "assistant", text)
                history_store.save_item(connection, item)
            call = ItemRow(
                "aaab2222", "call", 2.0, 1.0, TOOL, name="set_timer", arguments='{"s": 600}'
            )
            history_store.save_item(connection, call)
        yield connection


def found(history: sqlite3.Connection, words: str) -> list[str]:
    return [each.conversation.id for each in history_reader.search(history, words)]


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("", ["cccc3333", "aaab2222", "aaaa1111"]),
        ("potato", ["aaab2222"]),
        ("PEEL fir", ["aaab2222"]),
        ("peel rains", []),
        ("paris", ["aaaa1111"]),
        ("set_timer 600", ["aaab2222"]),
        ("明日", ["cccc3333"]),
        ("天気", ["cccc3333"]),
        ("100%", ["aaaa1111"]),
        ('"peel" OR * NEAR(', []),
        ("'; DROP TABLE items; --", []),
    ],
)
def test_search_finds_items_calls_and_titles(
    history: sqlite3.Connection, words: str, ids: list[str]
) -> None:
    assert found(history, words) == ids


def test_a_result_shows_the_text_around_the_match(history: sqlite3.Connection) -> None:
    [result] = history_reader.search(history, "rains")
    assert result.excerpt == "It rains, with Ärger in 100% of streets"
    long = "word " * 100 + "needle " + "word " * 100
    shown = history_reader.excerpt(long, ["needle"])
    assert "needle" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= history_reader.EXCERPT_CHARACTERS + 2


def test_an_id_may_be_shortened_but_not_be_ambiguous(history: sqlite3.Connection) -> None:
    assert history_reader.conversation_named(history, "CCC").title == "東京の天気"
    for name, message in (("aaa", "Several"), ("zzz", "no conversation"), ("%", "no conversation")):
        with pytest.raises(UsageError, match=message):
            history_reader.conversation_named(history, name)


def test_a_hidden_conversation_is_not_found_until_it_is_shown(
    history: sqlite3.Connection,
) -> None:
    history_edits.hide(history, "aaab2222")
    assert found(history, "potato") == []
    assert len(found(history, "")) == 2
    history_edits.hide(history, "aaab2222", False)
    assert found(history, "potato") == ["aaab2222"]


def test_a_title_of_the_user_stays(history: sqlite3.Connection) -> None:
    history_edits.rename(history, "aaab2222", "Dinner")
    row = ConversationRow("aaab2222", "Cooking again", 1, 9, "openai/y", turns=4)
    with database.transaction(history):
        history_store.save_conversation(history, row)
    stored = history_reader.conversation_named(history, "aaab2222")
    assert (stored.title, stored.model, stored.turns) == ("Dinner", "openai/y", 4)


def test_what_ran_when_the_program_ended_is_final_in_a_continued_transcript() -> None:
    rows = (
        ItemRow("a", "1", 1.0, 1.0, "user", "hi", "in_progress"),
        ItemRow("a", "2", 2.0, 1.0, "assistant", "Hello there", "in_progress", True, 5),
        ItemRow("a", "3", 3.0, 1.0, TOOL, status="running", name="t", arguments="{}"),
        ItemRow("a", "4", 4.0, 1.0, TOOL, status="streaming", name="t"),
        ItemRow("a", "5", 5.0, 1.0, "nobody", "?", "unheard of", picture="{broken"),
    )
    entries = StoredConversation(ConversationRow("a"), rows).transcript().entries
    user, reply, running, streaming, odd = entries
    assert isinstance(user, Item)
    assert isinstance(reply, Item)
    assert user.status is ItemStatus.COMPLETED
    assert (reply.status, reply.shown) == (ItemStatus.INTERRUPTED, "Hello")
    for call, started_at in ((running, 0.0), (streaming, None)):
        assert isinstance(call, ToolCall)
        assert (call.state, call.started_at) == (ToolState.CANCELLED, started_at)
    assert isinstance(odd, Item)
    assert (odd.role, odd.status, odd.picture) == (Role.SYSTEM, ItemStatus.COMPLETED, None)


def steps(connection: sqlite3.Connection, conversations: int) -> dict[str, int]:
    """Fill the history, and count the steps of SQLite for what a start and a list need."""
    with database.transaction(connection):
        for number in range(conversations):
            row = ConversationRow(f"{number:08x}", f"Talk {number}", number, number, "openai/x")
            history_store.save_conversation(connection, row)
            item = ItemRow(row.id, "one", 1.0, float(number), "assistant", f"words {number}")
            history_store.save_item(connection, item)
    counted = {}
    for name, read in (
        ("list", lambda: history_reader.conversations(connection, 20)),
        ("latest", lambda: history_reader.latest(connection)),
        ("find", lambda: history_reader.conversation_named(connection, f"{7:08x}")),
        ("search", lambda: history_reader.search(connection, f"words {7}", 20)),
    ):
        count = [0]
        connection.set_progress_handler(lambda: count.__setitem__(0, count[0] + 1), 10)  # noqa: B023
        assert read()
        connection.set_progress_handler(None, 0)
        counted[name] = 10 * count[0]
    return counted


def test_ten_thousand_conversations_do_not_slow_down_a_start(tmp_path: Path) -> None:
    with closing(database.connect(tmp_path / "few.db")) as connection:
        few = steps(connection, 100)
    with closing(database.connect(tmp_path / "many.db")) as connection:
        many = steps(connection, 10_000)
    for name in ("list", "latest"):
        assert many[name] < 3 * few[name] + 1_000, name
    assert many["find"] < 100_000, "a few for each conversation"
    assert many["search"] < 1_000_000
