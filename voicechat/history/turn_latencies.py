"""Latencies of turns in the history, numbers only, and their percentiles by model."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voicechat.core.turn_latency import TurnLatency, percentile
from voicechat.history.database import opened

MAX_TURNS: Final = 1_000
"""Latest turns of each model that count."""

_INSERT: Final = (
    "INSERT INTO turns (at, model, endpointing, network, thinking, buffer, spoken)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_LATEST: Final = (
    "SELECT model, spoken, endpointing + network + thinking + buffer FROM"
    " (SELECT *, row_number() OVER (PARTITION BY model, spoken ORDER BY at DESC) AS rank"
    " FROM turns) WHERE rank <= ?"
)


@dataclass(frozen=True, slots=True)
class ModelLatency:
    """Latency of a model over its latest turns, in milliseconds."""

    model: str
    spoken: bool
    """True for answers that were heard, False for those that were read."""
    turns: int
    p50: float
    p95: float


def add_turns(connection: sqlite3.Connection, turns: Iterable[tuple[float, TurnLatency]]) -> None:
    """Add turns with their Unix times (s), inside a transaction of the caller."""
    connection.executemany(
        _INSERT,
        [
            (at, t.model, t.endpointing, t.network, t.thinking, t.buffer, t.spoken)
            for at, t in turns
        ],
    )


def latencies_by_model(path: Path | None = None) -> list[ModelLatency]:
    """Return the latency of each model, the fastest first. Raises `HistoryUnusable`."""
    totals: dict[tuple[str, bool], list[float]] = defaultdict(list)
    with opened(path) as connection:
        for model, spoken, total in connection.execute(_LATEST, (MAX_TURNS,)):
            totals[model, bool(spoken)].append(total)
    found = [
        ModelLatency(model, spoken, len(all_), percentile(all_, 50), percentile(all_, 95))
        for (model, spoken), all_ in totals.items()
    ]
    return sorted(found, key=lambda each: each.p50)
