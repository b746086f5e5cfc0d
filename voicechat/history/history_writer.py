"""The writer of the history: one thread that saves rows as they come.

    event loop ── put ── rows by key, the newest wins ── thread ──► history.db

Rows with the same key replace each other while they wait, so a slow disk costs memory for each
item once. A failed transaction is tried again with the next rows; the user hears of the first
failure only. More than `MAX_ROWS` waiting rows end the history of this run.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from msgspec import structs

from voicechat.errors import VoicechatError
from voicechat.history import database, history_edits, history_store
from voicechat.history.history_rows import ConversationRow, ItemRow

MAX_ROWS: Final = 20_000
"""Rows that wait for the disk before the writer gives up."""

RETRY_S: Final = 5.0
"""Seconds from a failure to the next attempt."""

CLOSE_S: Final = 1.0
"""Seconds for the rest at the end of a session."""


@dataclass(frozen=True, slots=True)
class RemovedItem:
    """An item that is no longer part of its conversation."""

    conversation_id: str
    entry_id: str


Row = ConversationRow | ItemRow | RemovedItem


def _same(text: str) -> str:
    return text


@dataclass(slots=True)
class _Waiting:
    conversations: dict[str, ConversationRow] = field(default_factory=dict)
    items: dict[tuple[str, str], ItemRow | RemovedItem] = field(default_factory=dict)

    def add(self, row: Row) -> None:
        if isinstance(row, ConversationRow):
            self.conversations[row.id] = row
        else:
            self.items[row.conversation_id, row.entry_id] = row

    def __len__(self) -> int:
        return len(self.conversations) + len(self.items)

    def after(self, earlier: _Waiting) -> _Waiting:
        """Return the rows of both; these are the newer ones."""
        return _Waiting(
            {**earlier.conversations, **self.conversations},
            {**earlier.items, **self.items},
        )


class HistoryWriter:
    """Saves rows on a thread of its own, which starts with the first row. Thread-safe."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        keep_days: float | None = None,
        mask: Callable[[str], str] = _same,
        on_failure: Callable[[str], None] = lambda reason: None,
    ) -> None:
        """`path` is `database.history_path()` by default.

        keep_days: conversations without a change for longer are deleted; None keeps all.
        mask: replaces keys in a text. on_failure: receives, on the thread, the reason of the first
        failure as a part of a sentence.
        """
        self._path = path
        self._keep_days = keep_days
        self._mask = mask
        self._on_failure = on_failure
        self._waiting = _Waiting()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._put = self._saved = 0
        """Number of rows put so far, and of those that are saved."""
        self._closing = self._over = self._failed = False

    @property
    def is_over(self) -> bool:
        """True if nothing more is saved, because the file cannot be used."""
        return self._over

    def put(self, *rows: Row) -> None:
        """Save these rows soon; never waits."""
        with self._changed:
            if self._over or self._closing:
                return
            for row in rows:
                self._waiting.add(row)
            self._put += len(rows)
            self._over = len(self._waiting) > MAX_ROWS
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="history", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        if self._over:
            self._report("the disk is too slow")

    def wait_saved(self, timeout_s: float) -> bool:
        """Wait until all rows put so far are on disk; return False if they are not by then."""
        with self._changed:
            wanted = self._put
            self._changed.wait_for(lambda: self._saved >= wanted or self._over, timeout_s)
            return self._saved >= wanted

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Save the rest, for `timeout_s` at most. Blocks: do not call it on the event loop."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout_s)

    # ----------------------------------------------------------------- the thread

    def _run(self) -> None:
        path = self._path or database.history_path()
        while not self._over:
            try:
                with closing(database.connect(path)) as connection:
                    self._save_all(connection)
                    return
            except (OSError, sqlite3.Error, ValueError, VoicechatError) as error:
                self._fail(error)
                if not self._may_retry():
                    return

    def _save_all(self, connection: sqlite3.Connection) -> None:
        """Save rows until the writer closes. Raises the error of a failed transaction."""
        is_tidy = False
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing or self._over)
                if self._over:
                    return
                rows, self._waiting, count = self._waiting, _Waiting(), self._put
            try:
                self._save(connection, rows)
            except BaseException:
                with self._changed:
                    self._waiting = self._waiting.after(rows)
                raise
            with self._changed:
                self._saved = count
                self._changed.notify_all()
                if self._closing and not self._waiting:
                    return
            if not is_tidy:
                is_tidy = True
                self._tidy(connection)

    def _save(self, connection: sqlite3.Connection, rows: _Waiting) -> None:
        if not rows:
            return
        with database.transaction(connection):
            for conversation in rows.conversations.values():
                history_store.save_conversation(connection, self._masked_conversation(conversation))
            for item in rows.items.values():
                if isinstance(item, ItemRow):
                    history_store.save_item(connection, self._masked_item(item))
                else:
                    history_store.remove_item(connection, item.conversation_id, item.entry_id)

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Delete what is too old to keep, in short transactions."""
        now = time.time()
        old = history_edits.expired(connection, now, self._keep_days)
        for conversation_id in old:
            with self._changed:
                if self._closing or self._waiting:
                    break
            history_edits.purge(connection, conversation_id)

    def _masked_conversation(self, row: ConversationRow) -> ConversationRow:
        return replace(row, title=self._mask(row.title), settings=self._mask(row.settings))

    def _masked_item(self, row: ItemRow) -> ItemRow:
        text, arguments = self._mask(row.text), self._mask(row.arguments)
        output = None if row.output is None else self._mask(row.output)
        error = None if row.error is None else self._mask(row.error)
        return structs.replace(row, text=text, arguments=arguments, output=output, error=error)

    # ----------------------------------------------------------------- failures

    def _fail(self, error: Exception) -> None:
        """Report the first failure; then end the history if another attempt cannot help."""
        self._report(database.reason(error))
        may_pass = isinstance(error, OSError | sqlite3.OperationalError)
        with self._changed:
            self._over = self._over or not may_pass
            self._changed.notify_all()

    def _report(self, why: str) -> None:
        with self._changed:
            is_first, self._failed = not self._failed, True
        if is_first:
            self._on_failure(why)

    def _may_retry(self) -> bool:
        """Wait until rows may be saved after all; return False at the end of the session."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or self._over, RETRY_S)
            self._changed.wait_for(lambda: self._waiting or self._closing or self._over)
            return not (self._closing or self._over)
