"""The notebook: lists, notes, a name and facts that are kept between runs, in one JSON file.

Built-in tools and the offline assistant share it, in several processes at once. Only the user can
read the file; it is never sent anywhere. When it cannot be written, the notebook continues in
memory, until the program ends.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path

from voicechat.errors import ServerError
from voicechat.skills import notebook_changes
from voicechat.skills.notebook_pages import NotebookPages
from voicechat.skills.undo_stack import Record, Undo, no_record
from voicechat.system.private_files import locked, write_private

_MAX_ENTRIES = 500
"""Entries in one list."""
_MAX_CHARACTERS = 1 << 20
"""Characters in the whole file."""


def notebook_folder() -> Path:
    """Return the default folder of the notebook, in the user's data folder."""
    import platformdirs

    return platformdirs.user_data_path("voicechat", appauthor=False)


class NotebookFull(ServerError):
    """A list, or the notebook as a whole, has reached its limit."""


class Notebook:
    """Reads and changes the notebook file. Each call sees what other processes wrote before."""

    def __init__(self, path: Path | None, wait_s: float = 5.0, record: Record = no_record) -> None:
        """Open the notebook at `path`; without a path, keep it in memory.

        wait_s: seconds to wait while another process changes the file.
        record: called on the thread of `edit` with the inverse of each change.
        """
        self._path = path
        self._wait_s = wait_s
        self._record = record
        self._in_memory = NotebookPages()
        self._memory_lock = threading.Lock()
        self._unkept = ""

    def take_warning(self) -> str:
        """Return, once, the sentence that the notebook continues in memory; empty otherwise."""
        unkept, self._unkept = self._unkept, ""
        return unkept

    def read(self) -> NotebookPages:
        """Return the contents; empty when there is no file.

        Raises `ServerError` when the file cannot be read. A damaged file is renamed first, so
        that the next call starts with an empty notebook.
        """
        try:
            return self._load()
        except _Damaged:
            with self._lock():
                return self._load_or_rename()

    @contextmanager
    def edit(self) -> Iterator[NotebookPages]:
        """Lock the file and yield its contents; on exit, write them whole or not at all.

        Records the inverse of the change. Raises `ServerError` when the file is locked too long,
        damaged or cannot be read, and `NotebookFull` when a limit is reached.
        """
        with self._lock():
            pages = self._load_or_rename()
            before = deepcopy(pages)
            yield pages
            self._store(pages)
        after = deepcopy(pages)
        undo = Undo(lambda: self._revert(before, after), blocking=True)
        self._record(undo if before != after else None)

    def _revert(self, before: NotebookPages, after: NotebookPages) -> str:
        with self._lock():
            pages = self._load_or_rename()
            said = notebook_changes.revert(pages, before, after)
            self._store(pages)
        return said

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with self._memory_lock, ExitStack() as held:
            if self._path is not None:
                try:
                    held.enter_context(locked(self._path, self._wait_s))
                except TimeoutError as error:
                    raise _failed("write", error) from error
                except OSError as error:
                    self._continue_in_memory(self._load(), error)
            yield

    def _continue_in_memory(self, pages: NotebookPages, error: OSError) -> None:
        self._path, self._in_memory = None, pages
        reason = (error.strerror or str(error)).lower()
        self._unkept = f"I can't write my notebook ({reason}), so I forget it when voicechat ends."

    def _load(self) -> NotebookPages:
        if self._path is None:
            return deepcopy(self._in_memory)
        try:
            return _parse(json.loads(self._path.read_text("utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return NotebookPages()
        except OSError as error:
            raise _failed("read", error) from error
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise _Damaged from error

    def _load_or_rename(self) -> NotebookPages:
        """Load the contents. The caller holds the lock, so a damaged file can be renamed."""
        try:
            return self._load()
        except _Damaged:
            assert self._path is not None
            kept = _rename_damaged(self._path)
            raise ServerError(
                f"My notebook was damaged. I kept the damaged file as {kept.name} "
                "and started a new one. Please say that again."
            ) from None

    def _store(self, pages: NotebookPages) -> None:
        if max(map(len, (pages.notes, pages.facts, *pages.lists.values()))) > _MAX_ENTRIES:
            raise NotebookFull(f"I keep no more than {_MAX_ENTRIES} entries in one place.")
        content = json.dumps(asdict(pages), ensure_ascii=False, indent=1)
        if len(content) > _MAX_CHARACTERS:
            raise NotebookFull("My notebook is full.")
        if self._path is None:
            self._in_memory = pages
            return
        try:
            write_private(self._path, content.encode())
        except OSError as error:
            self._continue_in_memory(pages, error)


class _Damaged(Exception):
    """The file is not a notebook."""


def _failed(verb: str, error: OSError) -> ServerError:
    return ServerError(f"I can't {verb} my notebook: {error.strerror or error}.")


def _rename_damaged(path: Path) -> Path:
    """Rename the file to the first free name: notebook.damaged-1.json, -2 and so on."""
    number = 1
    while (kept := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    try:
        os.rename(path, kept)
    except OSError as error:
        raise _failed("read", error) from error
    return kept


def _parse(content: dict[str, object]) -> NotebookPages:
    """Build the pages from the file's JSON; ignore unknown keys. Raises on a wrong shape."""
    lists, notes, facts = (content.get(key) or {} for key in ("lists", "notes", "facts"))
    if not isinstance(lists, dict):
        raise TypeError("lists")
    return NotebookPages(
        {str(name): _strings(items) for name, items in lists.items()},
        _strings(notes or []),
        str(content.get("name") or ""),
        _strings(facts or []),
    )


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return [str(item) for item in value]
