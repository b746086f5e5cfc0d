"""The ledger of all sessions: the usage in the history, and what it sums up to.

Several programs write it at once. `settle` adds rows and reads the sums in one transaction, so that
each sum includes what the other programs have added before.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TypeVar

from voicechat.core.budget import Spending
from voicechat.core.items import Usage
from voicechat.core.price import Price, estimate
from voicechat.core.turn_latency import TurnLatency
from voicechat.history.database import connect, history_path, transaction, unusable
from voicechat.history.history_rows import ResponseRow
from voicechat.history.history_store import add_response
from voicechat.history.turn_latencies import ModelLatency, add_turns, latencies_by_model

Key = TypeVar("Key")

TOKENS: Final = "CASE WHEN total_tokens > 0 THEN total_tokens ELSE input_tokens + output_tokens END"
"""Tokens of a row as SQL: some providers report no total."""

_SUMS: Final = (
    f"SELECT total(cost), total({TOKENS}),"
    f" total(CASE WHEN cost IS NULL THEN {TOKENS} END),"
    " total(CASE WHEN cost IS NULL THEN seconds END)"
    " FROM responses WHERE at >= ?"
)


class UsageLedger:
    """The usage of all sessions. Methods block on the disk; call them on any thread."""

    def __init__(self, path: Path | None = None) -> None:
        """path: of the history; None is the user's. It is opened when it is first used."""
        self._path = path or history_path()
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.Lock()

    def settle(
        self,
        rows: Iterable[ResponseRow],
        since: Mapping[Key, float],
        unknown: Price,
        turns: Iterable[tuple[float, TurnLatency]] = (),
    ) -> dict[Key, Spending]:
        """Add rows, and return what all sessions spent since each of these Unix times (s).

        Rows without a cost count at the price `unknown`. `turns` are the latencies of turns, with
        their Unix times (s). Raises `HistoryUnusable`; then nothing is added.
        """
        with self._lock, unusable(self._path):
            if self._connection is None:
                self._connection = connect(self._path)
            added, measured = list(rows), list(turns)
            if not (added or measured):
                return {key: self._sum(start, unknown) for key, start in since.items()}
            with transaction(self._connection):
                for row in added:
                    add_response(self._connection, row)
                add_turns(self._connection, measured)
                return {key: self._sum(start, unknown) for key, start in since.items()}

    def _sum(self, start: float, unknown: Price) -> Spending:
        assert self._connection is not None
        cost, tokens, unpriced, seconds = self._connection.execute(_SUMS, (start,)).fetchone()
        rest = Usage(input_tokens=int(unpriced), seconds=seconds)
        return Spending(cost + estimate(rest, unknown), int(tokens))

    def latencies(self) -> list[ModelLatency]:
        """Return the latency of each model, the fastest first. Raises `HistoryUnusable`."""
        return latencies_by_model(self._path)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
