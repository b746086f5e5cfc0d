"""The list of frames: draws only the rows that are on the screen, however many there are."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from voicechat.session.frame_filter import DIRECTION_MARKS, FrameFilter
from voicechat.session.frame_log import FrameLog, FrameRow, shown_gist, size
from voicechat.tui.keys import key_of

_EMPTY = "No frames yet. Each frame that is sent or received appears here.\n{}"
"""Text in place of the rows; with a line about the keys."""
_WIDE = 56
"""Cells from which a row has its time, the word of its direction and its size."""
_LEAST_TYPE, _MOST_TYPE = 12, 32


class FrameList(ScrollView, can_focus=True):
    """The rows of a log that match a filter, with a cursor. At the end, it follows new rows."""

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        row: FrameRow | None

    @dataclass
    class Picked(Message):
        """The user chose a row with Enter or a click on the cursor."""

        row: FrameRow

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "frames--cursor", "frames--sent", "frames--error", "frames--quiet",
    }  # fmt: skip
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("home,g", "first", "First", show=False),
        Binding("end,G", "last", "Last", show=False),
        Binding("enter", "pick", "Inspect", show=False),
    ]

    def __init__(self, log: FrameLog) -> None:
        super().__init__(id="frames")
        self._log = log
        self._styles: dict[str, Style] = {}
        self.filter = FrameFilter()
        self.rows: list[FrameRow] = []
        """The rows that match the filter, oldest first."""
        self.cursor = -1
        """Index of the row under the cursor; -1 if there is none."""
        self.follows = True
        """True while the cursor stays on the newest row."""
        self.drawn_rows = 0
        """Rows drawn so far."""

    @property
    def selected(self) -> FrameRow | None:
        """The row under the cursor."""
        return self.rows[self.cursor] if 0 <= self.cursor < len(self.rows) else None

    # ---------------------------------------------------------------- rows

    def set_filter(self, wanted: FrameFilter) -> None:
        """Show the rows of the log that match, and keep the cursor near its row."""
        self.filter = wanted
        self.reload()

    def reload(self) -> None:
        """Show all rows of the log that match."""
        before = self.selected
        self.rows = [row for row in self._log.rows if self.filter.matches(row)]
        number = before.number if before and not self.follows else self._log.first + len(self._log)
        self._place(bisect_left(self.rows, number, key=_number))
        self._resize()

    def update_rows(self, changed: Iterable[FrameRow]) -> None:
        """Add the new rows of the log and remove those that it dropped; draw what is seen."""
        last = self.rows[-1].number if self.rows else -1
        self.rows += [row for row in changed if row.number > last and self.filter.matches(row)]
        dropped = bisect_left(self.rows, self._log.first, key=_number)
        del self.rows[:dropped]
        if self.follows:
            self._place(len(self.rows) - 1)
        elif dropped:
            self._place(self.cursor - dropped)
            self.scroll_to(
                y=max(0, self.scroll_offset.y - dropped), animate=False, immediate=True, force=True
            )
        self._resize()

    def _resize(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self.rows))
        if self.follows:
            self.scroll_end(animate=False, immediate=True, force=True)
        self.refresh()

    # ---------------------------------------------------------------- the cursor

    def select(self, row: FrameRow) -> bool:
        """Move the cursor to a row; return False if the filter hides it."""
        at = bisect_left(self.rows, row.number, key=_number)
        if at >= len(self.rows) or self.rows[at] is not row:
            return False
        self.move_to(at)
        return True

    def move_to(self, index: int) -> None:
        """Move the cursor, and scroll to it."""
        self.follows = index >= len(self.rows) - 1
        self._place(index)
        self._scroll_to_cursor()
        self.refresh()

    def _scroll_to_cursor(self) -> None:
        region = Region(0, max(0, self.cursor), 1, 1)
        self.scroll_to_region(region, animate=False, immediate=True, force=True)

    def _place(self, index: int) -> None:
        before = self.selected
        self.cursor = min(max(0, index), len(self.rows) - 1)
        if self.selected is not before:
            self.post_message(self.Moved(self.selected))

    def action_move(self, by: int) -> None:
        """Move the cursor by rows."""
        self.move_to(self.cursor + by)

    def page(self, by: int) -> None:
        """Move the cursor by pages."""
        self.move_to(self.cursor + by * max(1, self.size.height - 1))

    def action_first(self) -> None:
        """Move to the oldest row."""
        self.move_to(0)

    def action_last(self) -> None:
        """Move to the newest row, and follow."""
        self.move_to(len(self.rows) - 1)

    def action_pick(self) -> None:
        """Report the choice of the row under the cursor."""
        if self.selected is not None:
            self.post_message(self.Picked(self.selected))

    def on_click(self, event: Click) -> None:
        """Move to the clicked row; a second click chooses it."""
        index = event.y + self.scroll_offset.y
        if index < len(self.rows):
            if index == self.cursor:
                self.action_pick()
            self.move_to(index)

    # ---------------------------------------------------------------- drawing

    def on_resize(self) -> None:
        """Draw for the new width, and keep the cursor in sight."""
        self._resize()
        self._scroll_to_cursor()

    def notify_style_update(self) -> None:
        """Read the styles again when the theme or the focus has changed."""
        self._styles.clear()
        super().notify_style_update()

    def _style(self, name: str = "") -> Style:
        """Return a style of the list by its name; reading one takes longer than drawing a row."""
        found = self._styles.get(name)
        if found is None:
            found = self.get_component_rich_style(f"frames--{name}") if name else self.rich_style
            if name not in {"", "cursor"}:
                found = Style(color=found.color)  # over the background of the row
            self._styles[name] = found
        return found

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        width = self.scrollable_content_region.width
        index = y + self.scroll_offset.y
        base = self._style()
        if not self.rows:
            return Strip([Segment(self._empty_line(y, width), base + self._style("quiet"))])
        if index >= len(self.rows):
            return Strip.blank(width, base)
        self.drawn_rows += 1
        row = self.rows[index]
        is_cursor = index == self.cursor
        if is_cursor:
            base += self._style("cursor")
        cells = self._cells(row, width, self._mark(row, is_cursor))
        segments = [Segment(text, base + style) for text, style in cells]
        return Strip(segments).adjust_cell_length(width, base)

    def _empty_line(self, y: int, width: int) -> str:
        """Return a line of the text that takes the place of the rows."""
        if len(self._log):
            text = "No frame matches the filter. / changes it."
        elif self.has_focus:
            text = _EMPTY.format("Letters are keys here: ? lists them, Esc goes back.")
        else:
            text = _EMPTY.format(f"{key_of('console')} goes here; letters are keys then.")
        lines = [line for part in text.splitlines() for line in wrap(part, max(8, width - 2))]
        return set_cell_size(f" {lines[y]}" if y < len(lines) else "", width)

    def _mark(self, row: FrameRow, is_cursor: bool) -> str:
        if is_cursor:
            return "›"
        selected = self.selected
        return "⇄" if selected is not None and selected.pair == row.number else " "

    def _cells(self, row: FrameRow, width: int, mark: str) -> Sequence[tuple[str, Style]]:
        quiet = self._style("quiet")
        if row.is_note:
            line = f"{mark}──── {row.facts.gist} "
            return [(set_cell_size(line + "─" * width, width), quiet)]
        kind = Style()
        if row.facts.is_error:
            kind = self._style("error")
        elif row.direction == "sent":
            kind = self._style("sent")
        direction = DIRECTION_MARKS[row.direction]
        gist = ("✗ " if row.facts.is_error else "") + shown_gist(row)
        type_width = min(_MOST_TYPE, max(_LEAST_TYPE, width * 3 // 8))
        if width < _WIDE:
            head = [(f"{mark}{direction[0]} ", kind), (_tail(row.facts.type, type_width), kind)]
            used = 3 + type_width
            return [*head, (_cut(f" {gist}", max(0, width - used)), Style())]
        cells = [
            (f"{mark}{_time(row.since_turn)} ", quiet),
            (f"{direction} ", kind),
            (_tail(row.facts.type, type_width), kind),
            (f" {size(row.size):>7} ", quiet),
        ]
        used = sum(cell_len(text) for text, _ in cells)
        return [*cells, (_cut(gist, max(0, width - used)), Style())]


def _number(row: FrameRow) -> int:
    return row.number


def _time(seconds: float) -> str:
    return f"{seconds:+8.3f}" if abs(seconds) < 1_000 else f"{seconds:+8.0f}"


def _cut(text: str, width: int) -> str:
    """Return the text in exactly `width` cells, with an ellipsis if it is longer."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, max(0, width - 1)) + "…" * (width > 0)


def _tail(text: str, width: int) -> str:
    """Return a type in exactly `width` cells; the end of a long one tells more."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    while cell_len(text) >= width:
        text = text[1:]
    return set_cell_size(f"…{text}", width)
