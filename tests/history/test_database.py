"""The file of the history: private, shared, and left alone when a newer version wrote it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from voicechat.core.items import Usage
from voicechat.history import database, history_store, migrations
from voicechat.history.history_rows import ConversationRow, ItemRow, ResponseRow


def _filled(path: Path) -> None:
    with closing(database.connect(path)) as connection, database.transaction(connection):
        history_store.save_conversation(connection, ConversationRow("abc", "Hello", 1.0, 2.0))
        history_store.save_item(connection, ItemRow("abc", "one", 1.0, 1.0, "user", "Grüße"))
        row = ResponseRow("abc", "r1", 1.5, "openai/x", Usage(3, 2, 1), 0.25)
        history_store.add_response(connection, row)


@pytest.mark.skipif(os.name != "posix", reason="other systems have no mode bits")
def test_only_the_owner_can_read_the_file_and_its_log(tmp_path: Path) -> None:
    path = tmp_path / "state" / "history.db"
    path.parent.mkdir()
    path.touch(0o644)
    with closing(database.connect(path)):
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}


_SAVE = """
import sys
from contextlib import closing
from pathlib import Path
from voicechat.history import database, history_store
from voicechat.history.history_rows import ConversationRow
with closing(database.connect(Path(sys.argv[1]))) as connection:
    with database.transaction(connection):
        history_store.save_conversation(connection, ConversationRow(sys.argv[2]))
    print(*[row[0] for row in connection.execute("SELECT id FROM conversations ORDER BY id")])
"""


def test_another_program_that_ends_leaves_the_log_of_this_one(tmp_path: Path) -> None:
    path = tmp_path / "history.db"

    def save_elsewhere(name: str) -> str:
        program = [sys.executable, "-c", _SAVE, str(path), name]
        return subprocess.run(program, capture_output=True, text=True, check=True).stdout

    with closing(database.connect(path)) as writing:
        with closing(database.connect(path)):
            pass  # as each list and each preview does
        save_elsewhere("theirs")
        with database.transaction(writing):
            history_store.save_conversation(writing, ConversationRow("mine"))
        assert save_elsewhere("theirs2").split() == ["mine", "theirs", "theirs2"]
        with closing(database.connect(path)) as reading:
            assert reading.execute("SELECT count(*) FROM conversations").fetchone()[0] == 3


def test_a_file_of_a_newer_version_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    _filled(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO migrations VALUES ('of the future', 0)")
    before = path.read_bytes()
    with pytest.raises(database.HistoryUnusable, match="newer voicechat"):
        database.connect(path)
    assert path.read_bytes() == before


def test_saving_an_item_again_updates_it_and_the_index(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    _filled(path)
    with closing(database.connect(path)) as connection:
        with database.transaction(connection):
            row = ItemRow("abc", "one", 1.0, 9.0, "user", "Guten Tag")
            history_store.save_item(connection, row)
        found = connection.execute("SELECT text, at FROM items").fetchall()
        assert [tuple(each) for each in found] == [("Guten Tag", 1.0)]
        if database.has_full_text(connection):
            for word, count in (("gruße", 0), ("tag", 1)):
                rows = connection.execute("SELECT 1 FROM items_text WHERE items_text = ?", (word,))
                assert len(rows.fetchall()) == count


def test_without_fts5_the_index_is_left_out_and_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.db"
    with monkeypatch.context() as patch:
        patch.setattr(database, "has_full_text", lambda _: False)
        _filled(path)
    with closing(database.connect(path)) as connection:
        if not database.has_full_text(connection):
            pytest.skip("this SQLite has no FTS5")
        assert migrations.FULL_TEXT in database.applied(connection)
        assert connection.execute("SELECT 1 FROM items_text WHERE items_text = 'grüße'").fetchone()
    with monkeypatch.context() as patch:
        patch.setattr(database, "has_full_text", lambda _: False)
        with closing(database.connect(path)) as connection, database.transaction(connection):
            row = ItemRow("abc", "two", 2.0, 1.0, "user", "written without an index")
            history_store.save_item(connection, row)
    with closing(database.connect(path)) as connection:
        assert connection.execute("SELECT 1 FROM items_text WHERE items_text = 'index'").fetchone()


def test_usage_outlives_its_conversation(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    _filled(path)
    with closing(database.connect(path)) as connection:
        connection.execute("DELETE FROM conversations")
        assert connection.execute("SELECT count(*) FROM items").fetchone()[0] == 0
        row = connection.execute("SELECT cost, total_tokens, provider FROM responses").fetchone()
        assert tuple(row) == (0.25, 3, "openai")
