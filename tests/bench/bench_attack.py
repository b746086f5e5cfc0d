"""Hostile peers: the memory that they cost, and the longest stall of a loop by their text."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / name) for name in ("support", "attack"))
from attack import attack
from attack_log import MOST_MB, MOST_STALL_MS, AttackLog
from figures import Figure, Table

SECONDS = 60
"""Duration of one row."""


def _attacked(waves: tuple[str, ...], effort: float) -> Iterator[Figure]:
    log: AttackLog = attack(SECONDS * effort, seed=1, only=waves)
    trials = sum(log.counts[name] for name in log.peaks)
    mb, mb_in = log.worst(log.peaks)
    ms, ms_in = log.worst(log.stalls)
    what = f"{mb:.0f} ({mb_in}), n {trials}"
    yield Figure("memory above idle, MB", what, f"at most {MOST_MB:.0f}", mb <= MOST_MB)
    place = f"{ms:.0f} ({ms_in.partition(';')[0]})"
    met = ms <= MOST_STALL_MS
    yield Figure("longest stall of the loop, ms", place, f"{MOST_STALL_MS:.0f}", met)
    others = [fault for fault in log.faults if " MB above " not in fault and "stalled" not in fault]
    yield Figure("other faults", str(len(others)), "0", not others)


TABLE = Table(
    "Hostile peers",
    {
        "HTTP servers and clients": lambda effort: _attacked(("requests", "server"), effort),
        "realtime providers": lambda effort: _attacked(("screen",), effort),
    },
)
