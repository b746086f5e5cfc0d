"""Lists and notes in the notebook. Each function does one thing and returns the sentence to say.

Raises `VoicechatError` if the disk fails or a limit is reached.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from voicechat.errors import ServerError
from voicechat.skills.notebook import Notebook
from voicechat.skills.wording import joined, sentence

Lists = Mapping[str, Sequence[str]]

_DEFAULT = "shopping"
_ALIASES = {"grocery": "shopping", "groceries": "shopping", "task": "to do", "tasks": "to do",
            "todo": "to do", "to-do": "to do"}  # fmt: skip
_SPLIT = re.compile(r"\s*[,\n]\s*(?:and\b\s*)?|[ \t]+and\b[,\s]\s*")
_ARTICLES = re.compile(r"^(?:some|the|more|also|a few)\s+(?=\w)", re.IGNORECASE)
_WHOLE = ("half and half", "mac and cheese", "macaroni and cheese", "fish and chips")
_JOINT = "\u00a0"
_MOST_LISTS = 100
_LONGEST_NAME = 40


def _known(name: str) -> str:
    plain = " ".join(name.casefold().split()).removesuffix(" list")[:_LONGEST_NAME]
    return _ALIASES.get(plain, plain)


def items(text: str) -> list[str]:
    """Split "milk, eggs and bread" into its items."""
    for whole in _WHOLE:
        text = re.sub(whole, whole.replace(" ", _JOINT), text, flags=re.IGNORECASE)
    pieces = (_ARTICLES.sub("", piece.strip()) for piece in _SPLIT.split(text))
    return [piece.replace(_JOINT, " ") for piece in pieces if piece]


def _list_for(name: str, lists: Lists) -> str:
    """Return the named list, or the only list that exists, or the shopping list."""
    if name:
        return _known(name)
    filled = [one for one, kept in lists.items() if kept]
    return filled[0] if len(filled) == 1 else _DEFAULT


def add(notebook: Notebook, text: str, list_name: str = "") -> str:
    """Add the items in the text to a list."""
    wanted = items(text)
    with notebook.edit() as pages:
        name = _list_for(list_name, pages.lists)
        if name not in pages.lists and len(pages.lists) >= _MOST_LISTS:
            raise ServerError(f"I keep no more than {_MOST_LISTS} lists.")
        kept = pages.lists.setdefault(name, [])
        known = {item.casefold() for item in kept}
        fresh = [item for item in wanted if item.casefold() not in known]
        kept += fresh
    if not fresh:
        return sentence(f"{joined(wanted)} {_is(wanted)} already on your {name} list")
    return f"I added {joined(fresh)} to your {name} list."


def read(notebook: Notebook, list_name: str = "") -> str:
    """Read a list."""
    pages = notebook.read()
    name = _list_for(list_name, pages.lists)
    kept = pages.lists.get(name, [])
    if not kept:
        return f"Your {name} list is empty."
    count = "one item" if len(kept) == 1 else f"{len(kept)} items"
    return f"Your {name} list has {count}: {joined(kept)}."


def has(notebook: Notebook, text: str, list_name: str = "") -> str:
    """Tell whether the items in the text are on a list."""
    pages = notebook.read()
    name = _list_for(list_name, pages.lists)
    kept = pages.lists.get(name, [])
    missing = [wanted for wanted in items(text) if _found(wanted, kept) is None]
    if not missing:
        return sentence(f"yes, {text} {_is(items(text))} on your {name} list")
    return sentence(f"no, {joined(missing)} {_is(missing)} not on your {name} list")


def _is(things: Sequence[str]) -> str:
    return "are" if len(things) > 1 or things[0].endswith("s") else "is"


def remove(notebook: Notebook, text: str, list_name: str = "") -> str:
    """Remove the items in the text from a list."""
    with notebook.edit() as pages:
        name = _home(text, list_name, pages.lists)
        kept = pages.lists.get(name, [])
        gone: list[str] = []
        for wanted in items(text):
            found = _found(wanted, kept)
            if found is not None:
                kept.remove(found)
                gone.append(found)
    if not gone:
        return f"I don't see {text} on your {name} list."
    return f"I took {joined(gone)} off your {name} list."


def _home(text: str, list_name: str, lists: Lists) -> str:
    """Return the list to remove from: the named one, or the first that contains an item."""
    if list_name:
        return _known(list_name)
    wanted = items(text)
    holding = [name for name, kept in lists.items() if any(_found(one, kept) for one in wanted)]
    return holding[0] if holding else _list_for("", lists)


def _found(wanted: str, kept: Sequence[str]) -> str | None:
    """Return the entry with the same words, in the singular or the plural."""

    def key(text: str) -> str:
        return text.casefold().removesuffix("s")

    return next((item for item in kept if key(item) == key(wanted)), None)


def clear(notebook: Notebook, list_name: str = "") -> str:
    """Clear a list."""
    with notebook.edit() as pages:
        name = _list_for(list_name, pages.lists)
        had = bool(pages.lists.pop(name, []))
    return f"Your {name} list is {'now' if had else 'already'} empty."


def names(notebook: Notebook) -> str:
    """Name the lists that have entries."""
    filled = [name for name, kept in notebook.read().lists.items() if kept]
    if not filled:
        return "You have no lists yet. Say: add milk to my shopping list."
    return f"You have {joined([f'a {name} list' for name in filled])}."


def add_note(notebook: Notebook, text: str) -> str:
    """Add a note."""
    with notebook.edit() as pages:
        pages.notes.append(sentence(text))
    return sentence(f"Noted: {text}")


def read_notes(notebook: Notebook) -> str:
    """Read the notes, the newest last."""
    notes = notebook.read().notes
    if not notes:
        return "You have no notes."
    count = "one note" if len(notes) == 1 else f"{len(notes)} notes"
    return f"You have {count}. " + " ".join(notes)


def clear_notes(notebook: Notebook) -> str:
    """Delete all notes."""
    with notebook.edit() as pages:
        count = len(pages.notes)
        pages.notes.clear()
    return "I deleted all your notes." if count else "You have no notes."


def drop_note(notebook: Notebook, text: str = "") -> str:
    """Delete the newest note, or the newest that contains this text."""
    with notebook.edit() as pages:
        found = [note for note in pages.notes if text.casefold() in note.casefold()]
        if found:
            pages.notes.reverse()
            pages.notes.remove(found[-1])
            pages.notes.reverse()
    if found:
        return f"I deleted the note: {found[-1]}"
    return "You have no such note." if text else "You have no notes."
