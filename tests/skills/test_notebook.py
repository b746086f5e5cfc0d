"""The notebook file, shared by several processes."""

from pathlib import Path

import pytest
from concurrent_edits import edit_at_once

from voicechat.errors import ServerError
from voicechat.skills.notebook import Notebook
from voicechat.system.private_files import locked

_ADD = """
from voicechat.skills import lists
from voicechat.skills.notebook import Notebook

notebook = Notebook(path, wait_s=60)

def edit(number):
    lists.add(notebook, f"{name} {number}", "shopping")
"""


def test_two_processes_lose_no_addition(tmp_path: Path) -> None:
    path = tmp_path / "notebook.json"
    edit_at_once(path, ("apple", "pear"), _ADD)
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
