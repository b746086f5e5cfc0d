"""The widgets an entry is shown with: text next to a margin that says whose it is."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.styles import RulesMap
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widgets import Static

from voicechat.core.items import Entry, ToolCall
from voicechat.tui.widgets.entry_text import Reading, read

MARGIN = 8
"""Cells for the label; the text begins behind it."""
NARROW = 44
"""Below this width the label stands in the text's first line instead."""


class MarginText(Visual):
    """A label in the margin and a body of wrapped text next to it."""

    def __init__(self, reading: Reading) -> None:
        self._label = reading.label
        self._body = reading.body
        self._inline = Content.assemble(reading.label, "  ", reading.body)

    def text(self, width: int) -> Content:
        """The text that is laid out, and can be selected, at this width."""
        return self._inline if width < NARROW else self._body

    def _room(self, width: int) -> int:
        return width if width < NARROW else width - MARGIN

    def render_strips(
        self, width: int, height: int | None, style: Style, options: RenderOptions
    ) -> list[Strip]:
        """The lines, at most `height` of them, `width` cells wide."""
        room = self._room(width)
        body = self.text(width).render_strips(room, height, style, options)
        if width < NARROW:
            return body
        unselected = replace(options, selection=None)
        label = self._label.render_strips(MARGIN, 1, style, unselected)
        blank = Strip.blank(MARGIN, style.rich_style)
        lead = label[0].extend_cell_length(MARGIN, style.rich_style) if label else blank
        return [Strip.join([lead if row == 0 else blank, line]) for row, line in enumerate(body)]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """The width without wrapping."""
        return self._body.get_optimal_width(rules, container_width) + MARGIN

    def get_height(self, rules: RulesMap, width: int) -> int:
        """Lines needed at this width."""
        return self.text(width).get_height(rules, max(1, self._room(width)))


class EntryLine(Static):
    """One entry of the conversation. Give it the entry again with `show` when that changed."""

    def __init__(self, entry: Entry) -> None:
        self.reading = read(entry)
        """What is drawn."""
        super().__init__(MarginText(self.reading), markup=False)

    def show(self, entry: Entry) -> bool:
        """Draw the entry as it is now; says whether anything was to draw.

        The conversation is laid out again only when the entry needs another number of lines.
        """
        return self._draw(read(entry))

    def _draw(self, reading: Reading) -> bool:
        if reading.is_same(self.reading):
            return False
        self.reading = reading
        visual = MarginText(reading)
        width = self.content_size.width
        higher = visual.get_height(self.styles.get_rules(), width) != self.content_size.height
        self.update(visual, layout=not width or higher)
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected part of the text, for copying."""
        visual = self.visual
        if not isinstance(visual, MarginText):
            return None
        return selection.extract(visual.text(self.content_size.width).plain), "\n"


class ToolPanel(EntryLine, can_focus=True):
    """A tool call: name, arguments, state, result, time taken. Enter or a click unfolds it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "unfold", "Unfold", id="unfold_one", show=False),
    ]

    def __init__(self, call: ToolCall, unfolded: bool = False) -> None:
        super().__init__(call)
        self.call = call
        """The call that is shown; changed by `show`."""
        self._unfolded = unfolded

    def show(self, entry: Entry) -> bool:
        """Draw the call as it is now; says whether anything was to draw."""
        if not isinstance(entry, ToolCall):
            return False
        self.call = entry
        return self._draw(read(entry, self._unfolded))

    def unfold(self, whole: bool) -> None:
        """Show the result whole, or folded."""
        self._unfolded = whole
        self.show(self.call)

    def action_unfold(self) -> None:
        """Turn from folded to whole and back."""
        self.unfold(not self._unfolded)

    def on_click(self) -> None:
        """A click does what Enter does, unless it ended a selection of text."""
        if self.text_selection is None:
            self.action_unfold()


def line_for(entry: Entry, unfolded: bool) -> EntryLine:
    """The widget that shows this kind of entry."""
    return ToolPanel(entry, unfolded) if isinstance(entry, ToolCall) else EntryLine(entry)
