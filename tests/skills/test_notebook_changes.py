"""Undoing changes of the notebook, also after another process has changed it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from voicechat.skills import lists
from voicechat.skills.notebook import Notebook
from voicechat.skills.undo_stack import MOST, NOTHING_CHANGED, NOTHING_TO_UNDO, UndoStack

Change = Callable[[Notebook], str]


@pytest.fixture
def stack() -> UndoStack:
    return UndoStack()


@pytest.fixture
def notebook(tmp_path: Path, stack: UndoStack) -> Notebook:
    """A notebook with a list of two items, two notes, a name and a fact."""
    made = Notebook(tmp_path / "notebook.json", record=stack.record)
    with made.edit() as pages:
        pages.lists = {"shopping": ["milk", "eggs"], "to do": ["call mom"]}
        pages.notes = ["One.", "Two."]
        pages.name = "Ada"
        pages.facts = ["my car is red"]
    return made


def _rename(notebook: Notebook) -> str:
    with notebook.edit() as pages:
        pages.name = "Eva"
    return ""


def _forget(notebook: Notebook) -> str:
    with notebook.edit() as pages:
        pages.name, pages.facts = "", []
    return ""


CHANGES: list[tuple[Change, str]] = [
    (lambda on: lists.add(on, "bread, jam"), "I took bread and jam off your shopping list."),
    (lambda on: lists.add(on, "tent", "camping"), "I took tent off your camping list."),
    (lambda on: lists.remove(on, "milk"), "I put milk back on your shopping list."),
    (lambda on: lists.clear(on, "shopping"), "I put milk and eggs back on your shopping list."),
    (lambda on: lists.add_note(on, "three"), "I deleted the note: Three."),
    (lambda on: lists.drop_note(on, "one"), "I put back the note: One."),
    (lambda on: lists.clear_notes(on), "I put back the notes: One. Two."),
    (_rename, "I'll call you Ada."),
    (_forget, "I remember what you told me again. I'll call you Ada."),
]


@pytest.mark.parametrize(("change", "said"), CHANGES)
async def test_every_change_is_undone(
    notebook: Notebook, stack: UndoStack, change: Change, said: str
) -> None:
    before = notebook.read()
    change(notebook)
    assert notebook.read() != before
    assert await stack.undo() == said
    assert notebook.read() == before


async def test_undo_keeps_what_another_process_wrote(
    notebook: Notebook, stack: UndoStack, tmp_path: Path
) -> None:
    lists.add(notebook, "bread", "shopping")
    lists.add(Notebook(tmp_path / "notebook.json"), "jam", "shopping")
    await stack.undo()
    assert notebook.read().lists["shopping"] == ["milk", "eggs", "jam"]


async def test_an_entry_that_is_gone_is_not_undone(
    notebook: Notebook, stack: UndoStack, tmp_path: Path
) -> None:
    lists.add(notebook, "bread", "shopping")
    lists.remove(Notebook(tmp_path / "notebook.json"), "bread")
    assert await stack.undo() == "That is no longer there."


async def test_a_request_without_a_change_does_not_undo_an_earlier_one(
    notebook: Notebook, stack: UndoStack
) -> None:
    lists.add(notebook, "bread", "shopping")
    lists.add(notebook, "bread", "shopping")
    assert await stack.undo() == NOTHING_CHANGED
    assert "bread" in notebook.read().lists["shopping"]
    await stack.undo()
    assert "bread" not in notebook.read().lists["shopping"]


async def test_the_number_of_undone_changes_is_bounded(
    notebook: Notebook, stack: UndoStack
) -> None:
    for number in range(MOST + 5):
        lists.add(notebook, f"thing {number}", "shopping")
    for _ in range(MOST):
        assert "I took" in await stack.undo()
    assert await stack.undo() == NOTHING_TO_UNDO
