"""Notes and lists, kept between runs in voicechat's own notebook and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voicechat.errors import VoicechatError
from voicechat.everyday.notebook import Notebook, Pages
from voicechat.everyday.wording import joined, sentence
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.surroundings import Surroundings

_LONGEST = 2_000
_SPLIT = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+|\n+")
_ALIASES = {"": "shopping", "grocery": "shopping", "groceries": "shopping", "tasks": "to do",
            "task": "to do", "todo": "to do", "to-do": "to do"}  # fmt: skip
_MOST_LISTS = 100


class Notes:
    """The person's notebook."""

    def __init__(self, folder: Path | None) -> None:
        """Without a folder it lasts for the session."""
        self._notebook = Notebook(folder / "notebook.json" if folder else None)

    def add_note(self, text: str) -> str:
        """Keep a note for the person. text: the note."""
        note = _fitting(text)
        with _told(), self._notebook.edit() as pages:
            pages.notes.append(sentence(note))
        return sentence(f"Noted: {note}")

    def read_notes(self) -> str:
        """Read the notes that are kept, the newest last."""
        with _told():
            notes = self._notebook.read().notes
        if not notes:
            return "You have no notes."
        count = "one note" if len(notes) == 1 else f"{len(notes)} notes"
        return f"You have {count}. " + " ".join(notes)

    def delete_note(self, text: str = "") -> str:
        """Delete a note. text: words that are in it; empty: the newest note."""
        with _told(), self._notebook.edit() as pages:
            found = [one for one in pages.notes if text.casefold() in one.casefold()]
            if not found:
                return "You have no such note." if text else "You have no notes."
            pages.notes.remove(found[-1])
        return f"I deleted the note: {found[-1]}"

    def add_to_list(self, items: str, list_name: str = "shopping") -> str:
        """Add to a list. items: what, with commas between. list_name: its name, like shopping."""
        wanted, name = _items(items), _list(list_name)
        with _told(), self._notebook.edit() as pages:
            if name not in pages.lists and len(pages.lists) >= _MOST_LISTS:
                raise ToolError(f"There are {_MOST_LISTS} lists already.")
            kept = pages.lists.setdefault(name, [])
            known = {item.casefold() for item in kept}
            fresh = [item for item in wanted if item.casefold() not in known]
            kept += fresh
        if not fresh:
            verb = "is" if len(wanted) == 1 else "are"
            return sentence(f"{joined(wanted)} {verb} already on your {name} list")
        return f"I added {joined(fresh)} to your {name} list."

    def read_list(self, list_name: str = "shopping") -> str:
        """Read what is on a list. list_name: its name, like shopping or to do."""
        with _told():
            pages = self._notebook.read()
        items = pages.lists.get(_list(list_name), [])
        if not items:
            return f"Your {_list(list_name)} list is empty.{_others(pages, _list(list_name))}"
        count = "one thing" if len(items) == 1 else f"{len(items)} things"
        verb = "is" if len(items) == 1 else "are"
        return f"On your {_list(list_name)} list {verb} {count}: {joined(items)}."

    def remove_from_list(self, items: str, list_name: str = "shopping") -> str:
        """Take things off a list. items: what, with commas between. list_name: its name."""
        name = _list(list_name)
        with _told(), self._notebook.edit() as pages:
            kept = pages.lists.get(name, [])
            found = [_same(wanted, kept) for wanted in _items(items)]
            gone = [item for item in found if item is not None]
            for item in gone:
                if item in kept:
                    kept.remove(item)
        if not gone:
            return f"I don't see {items} on your {name} list."
        return f"I took {joined(gone)} off your {name} list."

    def clear_list(self, list_name: str = "shopping") -> str:
        """Empty a list. list_name: its name."""
        name = _list(list_name)
        with _told(), self._notebook.edit() as pages:
            had = bool(pages.lists.pop(name, []))
        return f"Your {name} list is {'now' if had else 'already'} empty."


@contextmanager
def _told() -> Iterator[None]:
    """What the notebook says goes wrong is what the model is told."""
    try:
        yield
    except VoicechatError as problem:
        raise ToolError(problem.message) from None


def _fitting(text: str) -> str:
    plain = " ".join(text.split())
    if not plain:
        raise ToolError("There is nothing to write down.")
    if len(plain) > _LONGEST:
        raise ToolError(f"A note has at most {_LONGEST} characters.")
    return plain


def _items(text: str) -> list[str]:
    pieces = (" ".join(piece.split()) for piece in _SPLIT.split(_fitting(text)))
    return [re.sub(r"^(?:some|the|more)\s+(?=\w)", "", piece) for piece in pieces if piece]


def _list(name: str) -> str:
    plain = " ".join(name.casefold().split())[:40].removesuffix(" list")
    return _ALIASES.get(plain, plain)


def _same(wanted: str, kept: list[str]) -> str | None:
    """The entry that was meant: the same words, or the singular for the plural."""

    def key(text: str) -> str:
        return text.casefold().removesuffix("s")

    return next((item for item in kept if key(item) == key(wanted)), None)


def _others(pages: Pages, name: str) -> str:
    filled = [one for one, items in pages.lists.items() if items and one != name]
    return f" There is {joined([f'a {one} list' for one in filled])}." if filled else ""


def tools(surroundings: Surroundings) -> tuple[Tool, ...]:
    """What writes into the notebook and reads from it."""
    mine = Notes(surroundings.kept)
    each = (
        mine.add_note, mine.read_notes, mine.delete_note,
        mine.add_to_list, mine.read_list, mine.remove_from_list, mine.clear_list,
    )  # fmt: skip
    return tuple(tool(permission="auto")(function) for function in each)
