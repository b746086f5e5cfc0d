"""The writer of the history: nothing reported is lost, and no failure reaches the conversation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from unprivileged import unprivileged

from voicechat.history import database, history_edits, history_writer
from voicechat.history.history_rows import ConversationRow, ItemRow
from voicechat.history.history_writer import HistoryWriter, RemovedItem

SUPPORT = Path(__file__).parents[1] / "support"
SOON_S = 10.0


def turn(number: int, text: str = "hello") -> tuple[ConversationRow, ItemRow]:
    now = time.time()
    row = ConversationRow("abc", "Title", now, now, turns=number)
    return row, ItemRow("abc", f"item_{number}", float(number), now, "user", text)


def texts(path: Path) -> list[str]:
    with closing(database.connect(path)) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM items ORDER BY position")]


@pytest.mark.skipif(os.name != "posix", reason="forks its writers")
def test_no_reported_turn_is_lost_when_writers_are_killed(tmp_path: Path) -> None:
    command = [sys.executable, str(SUPPORT / "killed_writers.py"), str(tmp_path / "h.db"), "30"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    found = json.loads(done.stdout)
    assert found["missing"] == []
    assert found["reported"] > 20


def test_rows_with_one_key_become_one_and_removed_items_go(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    writer = HistoryWriter(path)
    for text in ("h", "he", "hey"):
        writer.put(*turn(1, text))
    writer.put(*turn(2, "wrong"))
    writer.put(RemovedItem("abc", "item_2"))
    writer.close(SOON_S)
    assert texts(path) == ["hey"]


def test_a_full_disk_is_reported_once_and_the_rest_is_saved_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    reports: list[str] = []
    connect, limit = database.connect, [20]

    def small(path: Path) -> object:
        connection = connect(path)
        connection.execute(f"PRAGMA max_page_count = {limit[0]}")
        return connection

    monkeypatch.setattr(database, "connect", small)
    monkeypatch.setattr(history_writer, "RETRY_S", 0.01)
    writer = HistoryWriter(path, on_failure=reports.append)
    for number in range(1, 10):
        writer.put(*turn(number, "x" * 60_000))
        writer.wait_saved(0.02)
    assert reports == ["no space left on device"]
    limit[0] = 100_000
    writer.put(*turn(10, "the last one"))
    assert writer.wait_saved(SOON_S)
    writer.close(SOON_S)
    assert len(texts(path)) == 10
    assert len(reports) == 1


def test_a_file_of_a_newer_version_ends_the_history_with_one_report(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with closing(database.connect(path)) as connection:
        connection.execute("INSERT INTO migrations VALUES ('of the future', 0)")
    before = path.read_bytes()
    reports: list[str] = []
    writer = HistoryWriter(path, on_failure=reports.append)
    for number in (1, 2):
        writer.put(*turn(number))
        assert not writer.wait_saved(SOON_S)
    writer.close(SOON_S)
    assert reports == [f"{path} comes from a newer voicechat and stays as it is"]
    assert path.read_bytes() == before


def test_a_file_that_is_no_history_is_reported_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    path.write_bytes(b"something else " * 100)
    reports: list[tuple[str, bool]] = []
    writer = HistoryWriter(path, on_failure=lambda why: reports.append((why, writer.is_over)))
    writer.put(*turn(1))
    assert not writer.wait_saved(SOON_S)
    assert reports == [("the file is damaged or not a history", False)], "told before it ends"
    assert path.read_bytes() == b"something else " * 100


@pytest.mark.skipif(sys.platform != "linux", reason="drops the capabilities of root")
def test_a_folder_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(0o500)
    code = (
        "import sys; from pathlib import Path\n"
        "from voicechat.history.history_writer import HistoryWriter\n"
        "from voicechat.history.history_rows import ConversationRow\n"
        "writer = HistoryWriter(Path(sys.argv[1]), on_failure=print)\n"
        "for number in range(3):\n"
        "    writer.put(ConversationRow(str(number))); writer.wait_saved(0.05)\n"
        "writer.close()\n"
    )
    command = unprivileged(sys.executable, "-c", code, str(folder / "history.db"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert (done.stdout, done.stderr) == ("permission denied\n", "")


def test_a_locked_file_delays_neither_the_caller_nor_the_end(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    with closing(database.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = HistoryWriter(path)
        writer.put(*turn(1))
        began = time.monotonic()
        writer.close(0.05)
        # The wait of SQLite for a lock is a hundred times longer.
        assert time.monotonic() - began < database.BUSY_S / 2
        other.execute("ROLLBACK")
    for thread in threading.enumerate():
        if thread.name == "history":
            thread.join(SOON_S)


def test_keys_are_masked_in_every_text(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    writer = HistoryWriter(path, mask=lambda text: text.replace("secret", "***"))
    row, item = turn(1, "my secret")
    call = ItemRow("abc", "call", 2.0, 1.0, "tool", arguments='"secret"', output="a secret")
    writer.put(ConversationRow("abc", "my secret", settings='"secret"'), item, call)
    writer.close(SOON_S)
    with closing(database.connect(path)) as connection:
        stored = "".join(connection.iterdump())
    assert "***" in stored
    assert "secret" not in stored
    assert row.title == "Title"


def test_old_conversations_and_old_deletions_leave(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    now = time.time()
    long_ago = now - 91 * history_edits.DAY_S
    with closing(database.connect(path)) as connection:
        for name, changed_at, deleted_at in (
            ("old", long_ago, None),
            ("gone", now, now - 2 * history_edits.UNDO_S),
            ("hidden", now, now),
        ):
            connection.execute(
                "INSERT INTO conversations VALUES (NULL, ?, '', 0, 0, ?, '', '', '{}', 0, NULL, ?)",
                (name, changed_at, deleted_at),
            )
    writer = HistoryWriter(path, keep_days=90)
    writer.put(*turn(1))
    assert writer.wait_saved(SOON_S)
    while True:
        with closing(database.connect(path)) as connection:
            names = {name for (name,) in connection.execute("SELECT id FROM conversations")}
        if names == {"abc", "hidden"}:
            break
    writer.close(SOON_S)


def test_too_many_waiting_rows_end_the_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_writer, "MAX_ROWS", 10)
    reports: list[str] = []
    with closing(database.connect(tmp_path / "history.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        writer = HistoryWriter(tmp_path / "history.db", on_failure=reports.append)
        for number in range(40):
            writer.put(*turn(number))
        other.execute("ROLLBACK")
    assert reports == ["the disk is too slow"]
    assert writer.is_over
    writer.close(SOON_S)
