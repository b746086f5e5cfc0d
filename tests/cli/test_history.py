"""`voicechat history`, and the options that continue a conversation or keep none."""

from __future__ import annotations

import json
import stat
import sys
from contextlib import closing
from pathlib import Path

import pytest

from voicechat.cli import _resumption
from voicechat.cli.app import main
from voicechat.config.options import Options
from voicechat.errors import Secret
from voicechat.history import database, history_store
from voicechat.history.history_rows import ConversationRow, ItemRow


@pytest.fixture(autouse=True)
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A history with two conversations, and a folder to write into."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    path = database.history_path()
    with closing(database.connect(path)) as connection, database.transaction(connection):
        for name, title, at in (("aaaa1111", "Tea", 9e8), ("bbbb2222", "Trains", 1.9e9)):
            row = ConversationRow(name, title, at, at, "openai/x", turns=1)
            history_store.save_conversation(connection, row)
            item = ItemRow(name, "1", 1.0, at, "user", f"Tell me about {title}", "completed")
            history_store.save_item(connection, item)
    return path


Output = pytest.CaptureFixture[str]


def test_conversations_are_listed_and_searched(capsys: Output) -> None:
    assert main(["history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["bbbb2222", "aaaa1111"]
    assert all("  1 turn  " in line for line in lines)
    assert main(["history", "search", "about", "tea"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("aaaa1111")
    assert lines[1].strip() == "Tell me about Tea"
    assert main(["history", "search", "nothing", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["history", "list", "--limit", "1", "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["id"], row["title"], row["turns"]) == ("bbbb2222", "Trains", 1)


def test_a_conversation_is_shown_and_exported(capsys: Output, tmp_path: Path) -> None:
    assert main(["history", "show", "aaaa"]) == 0
    assert "You:\nTell me about Tea" in capsys.readouterr().out
    assert main(["history", "export", "aaaa", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Tea"
    assert main(["history", "export", "aaaa", "--output", "tea.md"]) == 0
    assert (
        stat.S_IMODE((tmp_path / "tea.md").stat().st_mode) & 0o077 == 0 or sys.platform == "win32"
    )
    assert main(["history", "export", "aaaa", "--output", "tea.md"]) == 2
    assert "tea.md already exists." in capsys.readouterr().err
    assert main(["history", "export", "aaaa", "--format", "pdf"]) == 2
    assert "--format must be one of md, json, html, txt, srt." in capsys.readouterr().err


def test_conversations_are_deleted_and_pruned(capsys: Output) -> None:
    assert main(["history", "delete", "zzzz"]) == 2
    assert main(["history", "prune"]) == 2
    assert "There is no age." in capsys.readouterr().err
    assert main(["history", "prune", "--keep", "soon"]) == 2
    assert "--keep is not an age." in capsys.readouterr().err
    assert main(["history", "prune", "--keep", "1 year"]) == 0
    assert "Deleted 1 conversation." in capsys.readouterr().err
    assert main(["history", "delete", "bbbb"]) == 0
    assert 'Deleted "Trains".' in capsys.readouterr().err
    assert main(["history"]) == 0
    assert "no conversation yet" in capsys.readouterr().err


def test_an_unusable_history_is_one_sentence(capsys: Output, history: Path) -> None:
    history.write_bytes(b"something else " * 100)
    assert main(["history"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"voicechat: The history in {history} cannot be used: ")
    assert error.count("\n") == 1


def test_listing_without_a_history_creates_none(capsys: Output, history: Path) -> None:
    for path in history.parent.glob("history.db*"):
        path.unlink()
    assert main(["history"]) == 0
    assert not history.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--text", "--resume"], "--resume needs the id of a conversation here."),
        (["--text", "--resume", "zzzz"], "There is no conversation 'zzzz'."),
        (["--continue", "--resume", "aaaa"], "--resume and --continue exclude each other."),
        (["--continue", "models"], "Options of 'models' must follow its name."),
    ],
    ids=["no id", "unknown id", "both", "with a command"],
)
def test_a_wrong_way_to_continue_is_one_sentence(
    arguments: list[str], message: str, capsys: Output
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_conversation_keeps_its_model_unless_another_is_chosen() -> None:
    row = ConversationRow("abc", model="openai/gpt-realtime", voice="cedar")
    with_key = Options(keys={"OPENAI_API_KEY": Secret("planted-key")})
    found = _resumption.with_its_model(with_key, row)
    assert (found.model, found.voice) == ("openai/gpt-realtime", "cedar")
    chosen = Options(model="xai/grok-voice")
    assert _resumption.with_its_model(chosen, row) is chosen
    without = _resumption.with_its_model(Options(), row)
    assert without.model is None
    assert without.warnings[0].endswith("Another model continues the conversation.")
