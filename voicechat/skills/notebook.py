"""What tools and the built-in mind keep between runs: lists, notes, a name and facts, in one file.

The file is the person's own: readable by nobody else, never sent anywhere, plain JSON.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path

from voicechat.errors import ServerError
from voicechat.system.private_files import write_private

_MOST = 500
"""Entries in one list; what comes later is refused."""
_LARGEST = 1 << 20
"""Characters of the whole file."""
_editing = threading.Lock()
"""Several tools may write at once, each on a thread of its own."""


def notebook_folder() -> Path:
    """Where the notebook is kept unless said otherwise."""
    import platformdirs

    return platformdirs.user_data_path("voicechat", appauthor=False)


class Full(ServerError):
    """Nothing more fits into this list."""


@dataclass(slots=True)
class Pages:
    """The contents of the notebook."""

    lists: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    name: str = ""
    facts: list[str] = field(default_factory=list)


class Notebook:
    """Reads and writes the file at `path`; the newest contents every time, whoever wrote them."""

    def __init__(self, path: Path | None) -> None:
        """Without a path it lasts as long as this object."""
        self._path = path
        self._passing = Pages()

    def read(self) -> Pages:
        """The contents; empty when there is no file. A file nobody can read is set aside."""
        if self._path is None:
            return deepcopy(self._passing)
        try:
            return _pages(json.loads(self._path.read_text("utf-8")))
        except FileNotFoundError:
            return Pages()
        except OSError as error:
            raise ServerError(f"I can't read my notebook: {error.strerror}.") from error
        except (ValueError, TypeError, AttributeError):
            _set_aside(self._path)
            return Pages()

    @contextmanager
    def edit(self) -> Iterator[Pages]:
        """The contents to be changed; written in one step at the end, or not at all.

        Raises `ServerError` when the disk refuses and `Full` when a list grew too long.
        """
        with _editing:
            yield from self._edit()

    def _edit(self) -> Iterator[Pages]:
        pages = self.read()
        yield pages
        if max(map(len, (pages.notes, pages.facts, *pages.lists.values()))) > _MOST:
            raise Full(f"I keep no more than {_MOST} entries in one place.")
        if self._path is None:
            self._passing = pages
            return
        content = json.dumps(asdict(pages), ensure_ascii=False, indent=1)
        if len(content) > _LARGEST:
            raise Full("My notebook is full.")
        try:
            write_private(self._path, content.encode())
        except OSError as error:
            raise ServerError(f"I can't write my notebook: {error.strerror}.") from error


def _set_aside(path: Path) -> None:
    try:
        os.replace(path, path.with_suffix(".broken"))
    except OSError as error:
        raise ServerError(f"I can't read my notebook: {error.strerror}.") from error


def _pages(content: dict[str, object]) -> Pages:
    """Pages from the file's JSON; unknown keys are ignored. Raises on anything misshapen."""
    lists, notes, facts = (content.get(key) or {} for key in ("lists", "notes", "facts"))
    if not isinstance(lists, dict):
        raise TypeError("lists")
    return Pages(
        {str(name): _strings(items) for name, items in lists.items()},
        _strings(notes or []),
        str(content.get("name") or ""),
        _strings(facts or []),
    )


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return [str(item) for item in value]
