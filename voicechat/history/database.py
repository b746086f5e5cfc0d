"""The file of the history: opened, protected and brought up to date.

SQLite in WAL mode: several processes write at once, each waits `BUSY_S` for the others, and a
committed turn survives the death of its process. The file is readable by its owner only.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.history.migrations import FULL_TEXT, MIGRATIONS, TRIGGER_NAMES, TRIGGERS

BUSY_S: Final = 5.0
"""Seconds to wait for another process that writes."""

REPLACE_HINT: Final = "Move it away, and voicechat starts a new one."
_DAMAGED: Final = "the file is damaged or not a history"
_FOLDER: Final = "there is a folder in its place"

UPDATE_HINT: Final = "Update voicechat, or use --no-history."


class HistoryUnusable(UsageError):
    """The file of the history cannot be used: newer, damaged, not readable or not writable."""


def history_path() -> Path:
    """Return the path of the history file, which need not exist."""
    import platformdirs

    return platformdirs.user_state_path("voicechat", appauthor=False) / "history.db"


@contextmanager
def opened(path: Path | None = None) -> Iterator[sqlite3.Connection]:
    """Open the history to read or change it, and close it at the end of the block.

    Without a file the connection is empty, and nothing is created. Raises `HistoryUnusable`, also
    for errors of SQLite in the block.
    """
    path = path or history_path()
    with unusable(path):
        connection = connect(path) if os.path.lexists(path) else _empty()
        try:
            yield connection
        finally:
            connection.close()


def connect(path: Path) -> sqlite3.Connection:
    """Open the history, create it if needed and bring its tables up to date.

    A file that cannot be written is opened to read. Raises `HistoryUnusable` for a file of a newer
    version, which stays as it is, and `OSError` or `sqlite3.Error` when it cannot be opened.
    """
    path = path.absolute()
    _protect(path)
    # A connection that only reads leaves a newer file and its log as they are. It cannot read a
    # file whose first writer was killed.
    address = f"{path.as_uri()}?mode=ro"
    with suppress(sqlite3.OperationalError), closing(_connection(address)) as reading:
        _refuse_newer(path, reading)
    connection = _connection(path.as_uri())
    try:
        _refuse_newer(path, connection)
        if _is_read_only(connection):
            connection.close()
            return _connection(address)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _empty() -> sqlite3.Connection:
    connection = _connection("file::memory:")
    _migrate(connection)
    return connection


def _connection(address: str) -> sqlite3.Connection:
    # Transactions are explicit; a lock of the caller keeps threads apart.
    connection = sqlite3.connect(
        address, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    for pragma in ("foreign_keys = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.row_factory = sqlite3.Row
    return connection


def _protect(path: Path) -> None:
    """Create the file, or check that it is one; only its owner may read it. Raises `OSError`.

    A file that exists is never opened here: closing any descriptor of it would end the locks of all
    connections in this process, and another program would then delete the log that they write.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.close(os.open(os.path.realpath(path), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        raise HistoryUnusable(f"{clean(str(path))}: {_FOLDER}.", REPLACE_HINT)
    if not stat.S_ISREG(status.st_mode):
        raise HistoryUnusable(f"{clean(str(path))} is not a file.")
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if os.name == "posix" and stat.S_IMODE(status.st_mode) & 0o077:
        os.chmod(path, 0o600)


def _is_read_only(connection: sqlite3.Connection) -> bool:
    """Return True if the file cannot be written but can be read as it is."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if "readonly" not in str(error) or MIGRATIONS.keys() - applied(connection) - {FULL_TEXT}:
            raise
        return True
    connection.execute("ROLLBACK")
    return False


def applied(connection: sqlite3.Connection) -> set[str]:
    """Return the names of the migrations that this file has."""
    if not _exists(connection, "migrations"):
        return set()
    return {name for (name,) in connection.execute("SELECT name FROM migrations")}


def _refuse_newer(path: Path, connection: sqlite3.Connection) -> None:
    if applied(connection) - MIGRATIONS.keys():
        raise HistoryUnusable(
            f"{clean(str(path))} comes from a newer voicechat and stays as it is.", UPDATE_HINT
        )


def _migrate(connection: sqlite3.Connection) -> None:
    """Apply the missing migrations in one transaction each; other processes wait."""
    can_index = has_full_text(connection)
    wanted = [name for name in MIGRATIONS if can_index or name != FULL_TEXT]
    if not applied(connection).issuperset(wanted):
        for name in wanted:
            _apply(connection, name)
    has_triggers = _exists(connection, TRIGGER_NAMES[0])
    if can_index and not has_triggers:
        with transaction(connection):
            if not _exists(connection, TRIGGER_NAMES[0]):
                _run(connection, "INSERT INTO items_text (items_text) VALUES ('rebuild')")
                _run_triggers(connection)
    elif has_triggers and not can_index:
        with transaction(connection):
            for name in TRIGGER_NAMES:
                connection.execute(f"DROP TRIGGER IF EXISTS {name}")


def _apply(connection: sqlite3.Connection, name: str) -> None:
    with transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, applied_at REAL)"
        )
        if name not in applied(connection):
            _run(connection, MIGRATIONS[name])
            connection.execute("INSERT INTO migrations VALUES (?, ?)", (name, time.time()))


def _run(connection: sqlite3.Connection, statements: str) -> None:
    for statement in statements.split(";"):
        connection.execute(statement)


def _run_triggers(connection: sqlite3.Connection) -> None:
    for statement in TRIGGERS.split("END;"):
        connection.execute(f"{statement.strip().removesuffix('END')}END")


def _exists(connection: sqlite3.Connection, name: str) -> bool:
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,))
    return found.fetchone() is not None


def has_full_text(connection: sqlite3.Connection) -> bool:
    """Return True if this SQLite has FTS5, the extension for full-text search."""
    found = connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'")
    return found.fetchone() is not None


def full_text_ready(connection: sqlite3.Connection) -> bool:
    """Return True if this file has a full-text index that is up to date."""
    return has_full_text(connection) and _exists(connection, TRIGGER_NAMES[0])


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write everything in the block or nothing; waits for other processes at its start."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


@contextmanager
def unusable(path: Path) -> Iterator[None]:
    """Turn errors of the file system and of SQLite into `HistoryUnusable`."""
    try:
        yield
    except (OSError, sqlite3.Error, ValueError) as error:
        why = reason(error)
        raise HistoryUnusable(
            f"The history in {clean(str(path))} cannot be used: {why}.",
            REPLACE_HINT if why == _DAMAGED else "",
        ) from None


def reason(error: BaseException) -> str:
    """Return why the history cannot be used, as a part of a sentence."""
    if isinstance(error, HistoryUnusable):
        return error.message.rstrip(".")
    text = getattr(error, "strerror", None) or str(error)
    known: list[tuple[str, Callable[[str], bool]]] = [
        ("no space left on device", lambda text: "is full" in text),
        ("read-only file or folder", lambda text: "readonly" in text),
        ("another program is using it", lambda text: "locked" in text or "busy" in text),
        (
            _DAMAGED,
            lambda text: "malformed" in text or "not a data" in text,
        ),
    ]
    words = next((words for words, fits in known if fits(text)), clean(text).rstrip("."))
    return words[:1].lower() + words[1:]
