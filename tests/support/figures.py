"""Tables of the benchmarks: each figure with its target and the figures of other programs.

A benchmark is a module `bench_*.py` with a `TABLE`. Its rows are functions that take the effort
(1.0 in `make bench`; a larger one means more trials) and yield each figure when it is known.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

UNMEASURED = "not measured"
_WIDTHS = (34, 38, 24)
_LEAST_COLUMNS = 140


@dataclass(frozen=True)
class Figure:
    """One line of a table."""

    what: str
    """The value with its unit."""
    ours: str
    target: str = ""
    met: bool | None = None
    """None if there is no target."""
    peers: str = UNMEASURED


Measure = Callable[[float], Iterator[Figure]]


@dataclass(frozen=True)
class Table:
    """A topic and its rows, by the names that select them."""

    title: str
    rows: Mapping[str, Measure]


def show(table: Table, wanted: Callable[[str], bool], effort: float) -> bool:
    """Measure the selected rows and print them; return True if every target was met."""
    names = [name for name in table.rows if wanted(f"{table.title} {name}")]
    if not names:
        return True
    say(f"\n{table.title}")
    say(_line("", "voicechat", "target", "peers"))
    good = True
    reported: set[str] = set()
    for name in names:
        began = time.monotonic()
        say(f"  {name}")
        try:
            for figure in table.rows[name](effort):
                good &= figure.met is not False
                _tell(figure, reported)
        except Exception as error:
            # The other rows are worth their time all the same.
            good = False
            say(f"    ✗ it failed: {type(error).__name__}: {str(error)[:200]}")
        say(f"    ({time.monotonic() - began:.0f} s)")
    return good


def _tell(figure: Figure, reported: set[str]) -> None:
    mark = {True: "✓ ", False: "✗ ", None: ""}[figure.met]
    peers = "as above" if figure.peers in reported and len(figure.peers) > 40 else figure.peers
    reported.add(figure.peers)
    say(_line(f"    {figure.what}", figure.ours, mark + figure.target, peers))


def say(text: str) -> None:
    """Print a line and flush it."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def trials(count: int, effort: float) -> int:
    """Return the number of trials at this effort, at least three."""
    return max(3, round(count * effort))


def spread(values: Sequence[float]) -> str:
    """Return the median, the 95th percentile and the worst value."""
    if not values:
        return "none"
    middle, worst = statistics.median(values), max(values, key=abs)
    p95 = float(np.percentile(values, 95))
    return f"median {middle:.0f}, p95 {p95:.0f}, worst {worst:.0f}, n {len(values)}"


def at_most(values: Sequence[float], *, median: float = np.inf, worst: float = np.inf) -> bool:
    """Return True if there are values and they meet both limits."""
    return bool(values) and statistics.median(values) <= median and max(values) <= worst


def _line(*cells: str) -> str:
    """Return the cells side by side, each wrapped to its column."""
    columns = max(_LEAST_COLUMNS, shutil.get_terminal_size((_LEAST_COLUMNS, 24)).columns)
    widths = (*_WIDTHS, columns - sum(_WIDTHS) - 2 * len(_WIDTHS))
    wrapped = [
        textwrap.wrap(cell, width, subsequent_indent="      " if not at else "") or [""]
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    height = max(map(len, wrapped))
    lines = []
    for number in range(height):
        row = [cell[number] if number < len(cell) else "" for cell in wrapped]
        lines.append("  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)))
    return "\n".join(line.rstrip() for line in lines)
