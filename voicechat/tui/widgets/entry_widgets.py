"""Widgets for transcript entries: text with a label in the margin."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.css.styles import RulesMap
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widgets import Static

from voicechat.core.items import Entry, ToolCall
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import EntryText, folds, format_entry
from voicechat.tui.widgets.layout_budget import LAYOUT_BUDGET
from voicechat.tui.widgets.markdown_text import MarkdownText, is_link

LABEL_WIDTH = 8
"""Width of the label in cells; the text starts after it."""
NARROW_WIDTH = 44
"""Below this width in cells, the label is in the first line of the text instead."""


class MarginText(Visual):
    """A label in the margin with a body of wrapped text next to it."""

    def __init__(
        self, entry_text: EntryText, layout: MarkdownText | None = None, found: str = ""
    ) -> None:
        """`found`: words to highlight, as they are written."""
        self._entry_text = entry_text
        self._label = entry_text.label
        self._layout = layout or MarkdownText()
        self._found = found
        self._laid_out: tuple[int, Content] | None = None
        self.is_waiting = False
        """True while the text is shown as it was written, because its layout waits."""

    def text(self, width: int) -> Content:
        """Return the text that is laid out, and can be selected, at this width."""
        if self._laid_out is None or self._laid_out[0] != width:
            text = self._text(width)
            if self._found:
                pattern = re.compile(re.escape(self._found), re.IGNORECASE)
                text = text.highlight_regex(pattern, style="reverse")
            self._laid_out = (width, text)
        return self._laid_out[1]

    def _text(self, width: int) -> Content:
        shown = self._entry_text
        body = shown.body
        if shown.markdown:
            text = self._markdown(self._text_width(width))
            body = Content("\n").join([text, body]) if body else text
        if width >= NARROW_WIDTH:
            return body
        return Content.assemble(self._label, "\n" if shown.markdown else "  ", body)

    def _markdown(self, width: int) -> Content:
        source, growing = self._entry_text.markdown, self._entry_text.growing
        is_laid_out = self._layout.is_laid_out(source, width, growing=growing)
        self.is_waiting = not (is_laid_out or LAYOUT_BUDGET.allows(len(source)))
        if self.is_waiting:
            return plain(source)
        with LAYOUT_BUDGET.spent(len(source)):
            return self._layout.layout(source, width, growing=growing)

    def lay_out_again(self) -> bool:
        """Prepare to lay out a text that waited; return False if it has to wait again."""
        if not LAYOUT_BUDGET.allows(len(self._entry_text.markdown)):
            return False
        self._laid_out = None
        return True

    def _text_width(self, width: int) -> int:
        return width if width < NARROW_WIDTH else width - LABEL_WIDTH

    def render_strips(
        self, width: int, height: int | None, style: Style, options: RenderOptions
    ) -> list[Strip]:
        """Return at most `height` lines, `width` cells wide."""
        text_width = self._text_width(width)
        body = self.text(width).render_strips(text_width, height, style, options)
        if width < NARROW_WIDTH:
            return body
        unselected = replace(options, selection=None)
        label = self._label.render_strips(LABEL_WIDTH, 1, style, unselected)
        blank = Strip.blank(LABEL_WIDTH, style.rich_style)
        first = label[0].extend_cell_length(LABEL_WIDTH, style.rich_style) if label else blank
        return [Strip.join([first if row == 0 else blank, line]) for row, line in enumerate(body)]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """Return the width in cells without wrapping."""
        return self.text(container_width).get_optimal_width(rules, container_width) + LABEL_WIDTH

    def get_height(self, rules: RulesMap, width: int) -> int:
        """Return the number of lines at this width; a guess while the layout waits."""
        text, text_width = self.text(width), max(1, self._text_width(width))
        if self.is_waiting:
            source = self._entry_text.markdown
            return 1 + source.count("\n") + len(source) // text_width
        with LAYOUT_BUDGET.spent(len(text)):
            return text.get_height(rules, text_width)


class EntryLine(Static):
    """A transcript entry. Call `show` again after the entry changes."""

    @dataclass
    class LinkClicked(Message):
        """The user clicked a link with this URL, which `is_link` accepts."""

        url: str

    auto_links = False
    """Textual's own links have `@click` actions; these texts have none."""

    def __init__(self, entry: Entry, expanded: bool = False) -> None:
        self.entry = entry
        """The entry that is shown; `show` replaces it."""
        self._expanded = expanded
        self._is_repeated = False
        self._found = ""
        self._layout = MarkdownText()
        self.entry_text = format_entry(entry, expanded)
        """The text that is drawn."""
        self._visual = MarginText(self.entry_text, self._layout)
        super().__init__(self._visual, markup=False)

    def lay_out(self, width: int) -> None:
        """Lay out the text for a width in cells, so that drawing it takes no time."""
        self._visual.get_height(self.styles.get_rules(), width)

    @property
    def is_waiting(self) -> bool:
        """True while the text is shown as it was written, because its layout waits."""
        return self._visual.is_waiting

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return the lines at this width. A layout that has to wait is drawn later."""
        height = super().get_content_height(container, viewport, width)
        if self.is_waiting:
            self.call_later(self._lay_out_again)
        return height

    async def _lay_out_again(self) -> None:
        while self.is_waiting and not self._visual.lay_out_again():
            # Another `call_later` would run in the same turn, which then never ends.
            await LAYOUT_BUDGET.renewed()
        if self.is_waiting:
            self.refresh(layout=True)

    def show(self, entry: Entry) -> bool:
        """Draw the current state of the entry; return True if it looks different.

        Lays out the conversation again only if the number of lines changes.
        """
        self.entry = entry
        entry_text = format_entry(entry, self._expanded, is_repeated=self._is_repeated)
        if entry_text.is_same(self.entry_text):
            return False
        self._draw(entry_text)
        return True

    def _draw(self, entry_text: EntryText) -> None:
        self.entry_text = entry_text
        visual = self._visual = MarginText(entry_text, self._layout, self._found)
        width = self.content_size.width
        self.lay_out(width)
        height_changed = (
            visual.get_height(self.styles.get_rules(), width) != self.content_size.height
        )
        self.update(visual, layout=not width or height_changed)

    def show_found(self, words: str) -> None:
        """Highlight these words and expand the entry; no words end that."""
        if words != self._found:
            self._found = words
            text = format_entry(
                self.entry, self._expanded or bool(words), is_repeated=self._is_repeated
            )
            self._draw(text)

    def hide_repeated(self) -> None:
        """Hide the result of a tool until it is expanded: the answer below repeats it."""
        self._is_repeated = True
        self.show(self.entry)

    def set_expanded(self, expanded: bool) -> None:
        """Show a tool result or a long message completely, or fold it if `expanded` is False."""
        self._expanded = expanded
        self.show(self.entry)

    def action_toggle_result(self) -> None:
        """Expand or fold the entry."""
        self.set_expanded(not self._expanded)

    def on_click(self, event: Click) -> None:
        """Report the clicked link; otherwise expand or fold, unless the click selected text."""
        url = event.style.meta.get("url")
        if isinstance(url, str) and is_link(url):
            event.stop()
            self.post_message(self.LinkClicked(url))
        elif self.text_selection is None and self.can_fold:
            self.action_toggle_result()

    @property
    def can_fold(self) -> bool:
        """True if there is more of the entry to show, or less."""
        return isinstance(self.entry, ToolCall) or folds(self.entry)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Return the selected part of the text, for copying."""
        visual = self.visual
        if not isinstance(visual, MarginText):
            return None
        return selection.extract(visual.text(self.content_size.width).plain), "\n"


class ToolPanel(EntryLine, can_focus=True):
    """A tool call: name, arguments, state, result, duration. Enter, Space or a click expands it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "toggle_result", "Expand", id="toggle_result", show=False),
    ]


def widget_for(entry: Entry, expanded: bool) -> EntryLine:
    """Return a new widget for an entry."""
    kind = ToolPanel if isinstance(entry, ToolCall) else EntryLine
    return kind(entry, expanded)
