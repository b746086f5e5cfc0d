"""The rows of usage in the history of a test."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from voicechat.history.database import history_path


def usage_rows() -> list[dict[str, Any]]:
    """Return all rows of usage, the oldest first."""
    with closing(sqlite3.connect(history_path())) as history:
        history.row_factory = sqlite3.Row
        return [dict(row) for row in history.execute("SELECT * FROM responses ORDER BY number")]
