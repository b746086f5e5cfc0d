"""Plain-text tables: columns aligned by the cells of a terminal, without styles."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

WIDEST_COLUMN = 40
"""Cells; a longer entry moves the rest of its own line only."""


_LEAST_ROOM = 10
"""Fewest cells of a last column that continues on the next lines."""


def table(
    rows: Iterable[Sequence[str]], *, indent: int = 2, gap: int = 2, width: int = 0
) -> list[str]:
    """The rows as lines whose columns are aligned; the last column keeps its length.

    Each line begins with `indent` spaces; `gap` spaces separate the columns. A last column that
    does not fit in `width` cells continues on the next lines; 0 keeps it in one line.
    """
    found = [list(row) for row in rows]
    count = max((len(row) for row in found), default=0)
    widths = [
        max((cells(row[n]) for row in found if n < len(row) - 1), default=0) for n in range(count)
    ]
    lines = []
    for row in found:
        padded = [
            text + " " * (min(widths[n], WIDEST_COLUMN) - cells(text))
            for n, text in enumerate(row[:-1])
        ]
        start = " " * indent + "".join(f"{each}{' ' * gap}" for each in padded)
        room = max(width - cells(start), _LEAST_ROOM)
        last = _in_lines(row[-1], room) if width and row else row[-1:]
        lines += [f"{start}{text}".rstrip() for text in last[:1]]
        lines += [f"{' ' * cells(start)}{text}" for text in last[1:]]
    return lines


def _in_lines(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` cells, broken between words where there are any."""
    lines = [""]
    for word in text.split():
        room = width - cells(lines[-1]) - 1
        if lines[-1] and cells(word) > room:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".lstrip()
        while cells(lines[-1]) > width:
            end = next(n for n in range(len(lines[-1]), 0, -1) if cells(lines[-1][:n]) <= width)
            lines[-1:] = [lines[-1][:end], lines[-1][end:]]
    return lines


def shortened(line: str, width: int) -> str:
    """The line if it fits in `width` cells; else cut, after a word if there is one, with "…"."""
    if cells(line) <= width:
        return line
    end = width - 1
    while cells(line[:end]) > width - 1:
        end -= 1
    if not line[end].isspace():
        end = line.rfind(" ", width // 2, end) if " " in line[width // 2 : end] else end
    return f"{line[:end].rstrip(' ,.;:')}…"


def cells(text: str) -> int:
    """The cells of a terminal that the text takes: two for wide letters, none for combining."""
    if text.isascii():
        return len(text)
    return sum(
        2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
        if not unicodedata.combining(letter)
    )


def counted(number: int, noun: str) -> str:
    """A number with its noun in the singular or the plural: `1 tool`, `3 tools`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def megabytes(size: int) -> str:
    """A size in bytes with its unit: `44 MB`, `0.5 MB`."""
    return f"{size / 1e6:,.0f} MB" if size >= 9_500_000 else f"{size / 1e6:.1f} MB"
