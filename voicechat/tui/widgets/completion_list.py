"""The completions of a slash command, above the composer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.content import Content
from textual.events import Click
from textual.message import Message
from textual.style import Style
from textual.widgets import Static

from voicechat.line_mode.completion import Completion
from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import QUIET

MAX_ROWS = 6
"""Most rows; more completions scroll."""


class CompletionList(Static):
    """A list of completions with one selected; hidden while there is none."""

    @dataclass
    class Picked(Message):
        """The user clicked this completion."""

        completion: Completion

    def __init__(self) -> None:
        super().__init__("", markup=False, id="completions")
        self.display = False
        self._completions: Sequence[Completion] = ()
        self._title = ""
        self._selected = 0
        self.line = ""
        """The line that the completions belong to."""
        self.was_moved = False
        """True if the user selected another completion than the first."""

    @property
    def selected(self) -> Completion | None:
        """The selected completion; None while there is none."""
        return self._completions[self._selected] if self._completions else None

    def show(self, line: str, completions: Sequence[Completion], *, title: str = "") -> None:
        """Show the completions of a line with the first selected, below a title if there is one.

        Hide the list without any of both.
        """
        self.line = line
        if (completions, title) == (self._completions, self._title):
            return
        self._completions, self._selected, self.was_moved = completions, 0, False
        self._title = title
        self.display = bool(completions or title)
        self._draw()

    def move(self, by: int) -> None:
        """Select the completion `by` places below, around the ends."""
        self._selected = (self._selected + by) % max(1, len(self._completions))
        self.was_moved = True
        self._draw()

    def _draw(self) -> None:
        count = len(self._completions)
        first = max(0, min(self._selected - MAX_ROWS // 2, count - MAX_ROWS))
        rows = self._completions[first : first + MAX_ROWS]
        width = max((plain(each.label).cell_length for each in rows if each.summary), default=0)
        lines = [
            self._row(first + index, completion, width) for index, completion in enumerate(rows)
        ]
        title = [Content(self._title).stylize(QUIET)] if self._title else []
        self.update(Content("\n").join([*title, *lines]))

    def _row(self, index: int, completion: Completion, width: int) -> Content:
        mark, style = ("› ", "bold $primary") if index == self._selected else ("  ", "")
        label = plain(" ".join(completion.label.split()), style)
        hint = "  Tab completes" if not self._title and index == self._selected else ""
        row = Content.assemble(
            (mark, style),
            label.pad_right(max(0, width - label.cell_length)),
            (f"  {completion.summary}" if completion.summary else hint, QUIET),
        )
        return row.stylize(Style.from_meta({"completion": index}))

    def on_click(self, event: Click) -> None:
        """Report the clicked completion."""
        index = event.style.meta.get("completion")
        if isinstance(index, int) and index < len(self._completions):
            self.post_message(self.Picked(self._completions[index]))
