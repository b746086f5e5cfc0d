"""Rows of text in columns, wrapped to a width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import zip_longest

from textual.content import Content
from textual.css.styles import RulesMap
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual

MAX_COLUMNS = 20
"""Most columns of a table; more are shown as a list."""
MIN_COLUMN_WIDTH = 4
"""Least width in cells of a column that is drawn."""

_QUIET = "$foreground 60%"


def bordered_table(rows: Sequence[Sequence[Content]], width: int) -> list[Content]:
    """Return the lines of a table with a heading; as a list if the columns do not fit."""
    count = max(map(len, rows), default=0)
    available = width - 3 * (count - 1)
    if not count or count > MAX_COLUMNS or available < count * MIN_COLUMN_WIDTH:
        return _as_list(rows)
    widths = column_widths(rows, available)
    separator = Content(" │ ").stylize(_QUIET)
    head, *body = rows
    lines = _row([cell.stylize_before("bold") for cell in head], widths, separator)
    lines.append(Content("─┼─".join("─" * each for each in widths)).stylize(_QUIET))
    for row in body:
        lines += _row(row, widths, separator)
    return lines


def two_columns(rows: Sequence[tuple[Content, Content]], first: int, width: int) -> list[Content]:
    """Return rows of a name and a text; `first` is the width of the names.

    The text wraps in its own column; below 16 cells for it, it follows on its own lines.
    """
    rest = width - first - 2
    if rest < 16:
        return [line for name, text in rows for line in (name, Content.assemble("  ", text))]
    lines: list[Content] = []
    for row in rows:
        lines += _row(row, [first, rest], Content("  "))
    return lines


def fitting(parts: Sequence[Content], gap: str, width: int) -> Content:
    """Return as many parts as fit on a line; those before the last one are dropped first."""
    shown = list(parts)
    line = Content(gap).join(shown)
    while len(shown) > 1 and line.cell_length > width:
        del shown[-2]
        line = Content(gap).join(shown)
    return line


def column_widths(rows: Sequence[Sequence[Content]], available: int) -> list[int]:
    """Return the widths of columns in cells; the widest give up first if `available` is less."""
    columns = zip_longest(*rows, fillvalue=Content(""))
    widths = [
        max((line.cell_length for cell in column for line in cell.split()), default=0)
        for column in columns
    ]
    widths = [max(each, 1) for each in widths]
    while (excess := sum(widths) - available) > 0:
        widest = max(widths)
        at = [index for index, each in enumerate(widths) if each == widest]
        second = max((each for each in widths if each < widest), default=MIN_COLUMN_WIDTH)
        step = max(1, min(widest - second, excess // len(at)))
        for index in at[:excess]:
            widths[index] -= step
    return widths


def _row(cells: Sequence[Content], widths: Sequence[int], separator: Content) -> list[Content]:
    missing = [Content("")] * (len(widths) - len(cells))
    wrapped = [
        cell.wrap(width) if cell else [cell]
        for cell, width in zip([*cells, *missing], widths, strict=False)
    ]
    lines = []
    for parts in zip_longest(*wrapped, fillvalue=Content("")):
        *padded, last = [
            part.pad_right(max(0, width - part.cell_length))
            for part, width in zip(parts, widths, strict=True)
        ]
        lines.append(separator.join([*padded, last.rstrip()]))
    return lines


def _as_list(rows: Sequence[Sequence[Content]]) -> list[Content]:
    """Return each row as lines of heading and value."""
    head, *body = rows
    return [
        Content.assemble(("  " if index else "• "), name, ": ", cell)
        for row in body or [head]
        for index, (name, cell) in enumerate(zip(head, row, strict=False))
    ]


class WidthText(Visual):
    """A text whose layout depends on the width in cells."""

    def __init__(self, layout: Callable[[int], Content]) -> None:
        self.text = layout
        """Returns the text at a width."""

    def render_strips(
        self, width: int, height: int | None, style: Style, options: RenderOptions
    ) -> list[Strip]:
        """Return at most `height` lines, `width` cells wide."""
        return self.text(width).render_strips(width, height, style, options)

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """Return the width of the container."""
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:
        """Return the number of lines at this width."""
        return self.text(width).get_height(rules, max(1, width))
