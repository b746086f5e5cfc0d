"""The items of a picker, with one selected; only the visible lines are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from voicechat.line_mode.pickers.picker import PickerItem
from voicechat.session.updates import LevelsChanged
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import QUIET
from voicechat.tui.widgets.status_lines import meter

METER_CELLS = 8
"""Width in cells of the level of a device."""
MIN_NOTE_WIDTH = 12
"""Least width in cells of the notes; in a narrower list the labels take all of it."""
_WHEEL_ROWS = 3


class PickList(Static):
    """A list of items below their headings."""

    @dataclass
    class Moved(Message):
        """Another item is selected; None without items."""

        item: PickerItem | None

    @dataclass
    class Clicked(Message):
        """The user clicked the selected item."""

        item: PickerItem

    def __init__(self) -> None:
        super().__init__("", markup=False, id="pick-list")
        self._items: Sequence[PickerItem] = ()
        self._selected = 0
        self._rows: list[int | str] = []
        """An index into the items, or a heading, for each line."""
        self._levels = LevelsChanged(-100.0, -100.0)
        self._muted = ""
        self._empty = ""

    @property
    def selected(self) -> PickerItem | None:
        """The selected item; None while there is none."""
        return self._items[self._selected] if self._items else None

    def show(self, items: Sequence[PickerItem], selected: str = "", empty: str = "") -> None:
        """Show items and select the one with this key, or the first that is in use.

        empty: text for a list without items.
        """
        before = self.selected
        self._items, self._empty = items, empty
        keys = [item.key for item in items]
        current = next((at for at, item in enumerate(items) if item.is_current), 0)
        self._selected = keys.index(selected) if selected in keys else current
        self._rows = []
        group = ""
        for at, item in enumerate(items):
            if item.group and item.group != group:
                self._rows.append(item.group)
            group = item.group
            self._rows.append(at)
        self.refresh()
        if self.selected is not before:
            self.post_message(self.Moved(self.selected))

    def show_levels(self, levels: LevelsChanged, microphone_state: str) -> None:
        """Show the levels of the devices in use; a word replaces that of the microphone."""
        if (levels, microphone_state) != (self._levels, self._muted):
            self._levels, self._muted = levels, microphone_state
            if any(item.meter for item in self._items):
                self.refresh()

    def move(self, by: int, *, wraps: bool = True) -> None:
        """Select the item `by` places below, around the ends if it wraps."""
        if not self._items:
            return
        last = len(self._items) - 1
        moved = self._selected + by
        self._selected = moved % (last + 1) if wraps else min(max(moved, 0), last)
        self.refresh()
        self.post_message(self.Moved(self.selected))

    def page(self, by: int) -> None:
        """Select the item `by` pages below."""
        self.move(by * max(1, self.size.height - 1), wraps=False)

    # ----------------------------------------------------------------- drawing

    def render(self) -> Content:
        """Return the visible lines for the current size."""
        if not self._items:
            return plain(self._empty, QUIET)
        width, height = self.content_size.width, max(1, self.content_size.height)
        first = self._first_row(height)
        rows = self._rows[first : first + height]
        shown = [self._items[row] for row in rows if isinstance(row, int)]
        column = max((plain(item.label).cell_length for item in shown), default=0)
        notes = max((plain(item.note).cell_length for item in shown), default=0)
        column = min(column, max(width // 2, width - 4 - notes))
        return Content("\n").join(
            plain(row, "bold $secondary").truncate(max(1, width), ellipsis=True)
            if isinstance(row, str)
            else self._row(row, column, width)
            for row in rows
        )

    def _first_row(self, height: int) -> int:
        at = self._rows.index(self._selected)
        return max(0, min(at - height // 2, len(self._rows) - height))

    def _row(self, index: int, column: int, width: int) -> Content:
        item = self._items[index]
        is_selected = index == self._selected
        style = "bold $primary" if is_selected else ""
        mark = f"{'›' if is_selected else ' '}{'●' if item.is_current else ' '} "
        label = plain(item.label, style)
        if width - column - 5 < MIN_NOTE_WIDTH:
            line = Content.assemble((mark, style), label)
        else:
            label = label.truncate(column, ellipsis=True)
            label = label.pad_right(column - label.cell_length)
            line = Content.assemble((mark, style), label, "  ", self._meter(item))
            line = Content.assemble(line, plain(item.note, QUIET))
        line = line.truncate(max(1, width), ellipsis=True)
        return line.stylize(Style.from_meta({"item": index}))

    def _meter(self, item: PickerItem) -> Content:
        if not item.meter:
            return Content("")
        if item.meter == "input" and self._muted:
            return Content.assemble((self._muted.ljust(METER_CELLS), "$warning"), "  ")
        levels = self._levels
        level, peak = (
            (levels.mic, levels.mic_peak)
            if item.meter == "input"
            else (levels.speaker, levels.speaker_peak)
        )
        style = "$success" if item.meter == "input" else "$primary"
        return Content.assemble(meter(level, METER_CELLS, style, peak), "  ")

    # ----------------------------------------------------------------- mouse

    def on_click(self, event: Click) -> None:
        """Select the clicked item, or report a click on the selected one."""
        index = event.style.meta.get("item")
        if not isinstance(index, int) or index >= len(self._items):
            return
        if index == self._selected:
            self.post_message(self.Clicked(self._items[index]))
        else:
            self.move(index - self._selected, wraps=False)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Select an item further down."""
        event.stop()
        self.move(_WHEEL_ROWS, wraps=False)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Select an item further up."""
        event.stop()
        self.move(-_WHEEL_ROWS, wraps=False)
