"""The notebook file, shared by several processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from voicechat.errors import ServerError
from voicechat.skills.notebook import Notebook
from voicechat.system.private_files import locked

_ADD = """
import sys
from pathlib import Path
from voicechat.skills import lists
from voicechat.skills.notebook import Notebook

notebook = Notebook(Path(sys.argv[1]), wait_s=60)
print("ready", flush=True)
sys.stdin.readline()
for number in range(60):
    lists.add(notebook, f"{sys.argv[2]} {number}", "shopping")
"""


def _filter(path: Path, name: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", _ADD, str(path), name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_two_processes_lose_no_addition(tmp_path: Path) -> None:
    path = tmp_path / "notebook.json"
    running = [_filter(path, name) for name in ("apple", "pear")]
    for one in running:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in running:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    for one in running:
        one.communicate(timeout=60)
        assert one.returncode == 0
    kept = Notebook(path).read().lists["shopping"]
    assert sorted(kept) == sorted(f"{name} {n}" for name in ("apple", "pear") for n in range(60))


def test_a_locked_file_is_reported_after_a_bounded_wait(tmp_path: Path) -> None:
    path = tmp_path / "notebook.json"
    notebook = Notebook(path, wait_s=0.05)
    with (
        locked(path),
        pytest.raises(ServerError, match="another program is using it"),
        notebook.edit(),
    ):
        raise AssertionError("the lock was held twice")
    with notebook.edit() as pages:
        pages.notes.append("a note")
    assert Notebook(path).read().notes == ["a note"]


@pytest.mark.parametrize("damage", ["{", "[]", '{"lists": 3}', '{"notes": {"a": 1}}', "\x00"])
def test_a_damaged_file_is_reported_at_once_and_kept(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "notebook.json"
    for number in (1, 2):
        path.write_text(damage + " " * number, "utf-8")
        with pytest.raises(ServerError, match=f"notebook.damaged-{number}.json"):
            Notebook(path).read()
    path.write_text(damage, "utf-8")
    with pytest.raises(ServerError, match="damaged"), Notebook(path).edit():
        raise AssertionError("a damaged notebook was opened for changes")
    texts = [(tmp_path / f"notebook.damaged-{n}.json").read_text("utf-8") for n in (1, 2, 3)]
    assert texts == [damage + " ", damage + "  ", damage]
    with Notebook(path).edit() as pages:
        pages.notes.append("a note")
    assert Notebook(path).read().notes == ["a note"]


def test_a_failed_edit_changes_nothing(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "notebook.json")
    with notebook.edit() as pages:
        pages.facts.append("a fact")
    with pytest.raises(ZeroDivisionError), notebook.edit() as pages:
        pages.facts.append(str(1 / 0))
    assert notebook.read().facts == ["a fact"]


def test_a_list_has_a_limit(tmp_path: Path) -> None:
    notebook = Notebook(tmp_path / "notebook.json")
    with notebook.edit() as pages:
        pages.notes = ["x"] * 500
    with pytest.raises(ServerError, match="500"), notebook.edit() as pages:
        pages.notes.append("one more")
    assert len(notebook.read().notes) == 500
