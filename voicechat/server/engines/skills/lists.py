"""Lists and notes, kept between runs."""

from __future__ import annotations

import re

from voicechat.everyday.wording import joined, sentence
from voicechat.server.engines.skills.ask import Ask

_DEFAULT = "shopping"
_ALIASES = {"grocery": "shopping", "groceries": "shopping", "task": "to do", "tasks": "to do"}
_SPLIT = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+")
_ARTICLES = re.compile(r"^(?:some|the|more|also|a few)\s+(?=\w)", re.IGNORECASE)


def _list_name(ask: Ask) -> str:
    name = ask.text("list").lower()
    return _ALIASES.get(name, name)


def _items(text: str) -> list[str]:
    """The single things in "milk, eggs and bread"."""
    pieces = (_ARTICLES.sub("", piece.strip()) for piece in _SPLIT.split(text))
    return [piece for piece in pieces if piece]


def _meant(ask: Ask, lists: dict[str, list[str]]) -> str:
    """The list that was named, or the only one there is, or the shopping list."""
    if "list" in ask.values:
        return _list_name(ask)
    filled = [name for name, items in lists.items() if items]
    return filled[0] if len(filled) == 1 else _DEFAULT


def _add(ask: Ask) -> str:
    wanted = _items(ask.text("item"))
    with ask.notebook.edit() as pages:
        name = _meant(ask, pages.lists)
        kept = pages.lists.setdefault(name, [])
        known = {item.casefold() for item in kept}
        fresh = [item for item in wanted if item.casefold() not in known]
        kept += fresh
    if not fresh:
        verb = "is" if len(wanted) == 1 else "are"
        return sentence(f"{joined(wanted)} {verb} already on your {name} list")
    return f"I added {joined(fresh)} to your {name} list."


def _read(ask: Ask) -> str:
    pages = ask.notebook.read()
    name = _meant(ask, pages.lists)
    items = pages.lists.get(name, [])
    if not items:
        return f"Your {name} list is empty."
    count = "one thing" if len(items) == 1 else f"{len(items)} things"
    return f"On your {name} list {'is' if len(items) == 1 else 'are'} {count}: {joined(items)}."


def _remove(ask: Ask) -> str:
    with ask.notebook.edit() as pages:
        name = _home(ask, pages.lists)
        kept = pages.lists.get(name, [])
        gone: list[str] = []
        for wanted in _items(ask.text("item")):
            found = _found(wanted, kept)
            if found is not None:
                kept.remove(found)
                gone.append(found)
    if not gone:
        return f"I don't see {ask.text('item')} on your {name} list."
    return f"I took {joined(gone)} off your {name} list."


def _home(ask: Ask, lists: dict[str, list[str]]) -> str:
    """The list to take something from: the one named, or the first that holds it."""
    if "list" in ask.values:
        return _list_name(ask)
    wanted = _items(ask.text("item"))
    holding = [name for name, kept in lists.items() if any(_found(one, kept) for one in wanted)]
    return holding[0] if holding else _meant(ask, lists)


def _found(wanted: str, kept: list[str]) -> str | None:
    """The entry that was meant: the same words, or the singular for the plural."""

    def key(text: str) -> str:
        return text.casefold().removesuffix("s")

    return next((item for item in kept if key(item) == key(wanted)), None)


def _clear(ask: Ask) -> str:
    with ask.notebook.edit() as pages:
        name = _meant(ask, pages.lists)
        had = bool(pages.lists.pop(name, []))
    return f"Your {name} list is {'now' if had else 'already'} empty."


def _names(ask: Ask) -> str:
    filled = [name for name, items in ask.notebook.read().lists.items() if items]
    if not filled:
        return "You have no lists yet. Say: add milk to my shopping list."
    return f"You have {joined([f'a {name} list' for name in filled])}."


def _note(ask: Ask) -> str:
    with ask.notebook.edit() as pages:
        pages.notes.append(sentence(ask.text("text")))
    return sentence(f"Noted: {ask.text('text')}")


def _read_notes(ask: Ask) -> str:
    notes = ask.notebook.read().notes
    if not notes:
        return "You have no notes."
    count = "one note" if len(notes) == 1 else f"{len(notes)} notes"
    return f"You have {count}. " + " ".join(notes)


def _clear_notes(ask: Ask) -> str:
    with ask.notebook.edit() as pages:
        count = len(pages.notes)
        pages.notes.clear()
    return "All your notes are gone." if count else "You have no notes."


def _drop_note(ask: Ask) -> str:
    with ask.notebook.edit() as pages:
        gone = pages.notes.pop() if pages.notes else ""
    return f"I deleted the note: {gone}" if gone else "You have no notes."


SKILLS = {
    "list_add": _add,
    "list_read": _read,
    "list_remove": _remove,
    "list_clear": _clear,
    "lists": _names,
    "note_add": _note,
    "note_read": _read_notes,
    "note_clear": _clear_notes,
    "note_remove": _drop_note,
}
