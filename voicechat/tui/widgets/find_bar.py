"""The find bar: the words to find in the conversation, and the number of the shown match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from voicechat.tui.safe_text import plain
from voicechat.tui.widgets.entry_text import QUIET

_WIDE = 70
"""Cells from which the bar names all of its keys."""
MAX_WORDS = 200
"""Most characters to find."""


class FindBar(Horizontal):
    """A line with the words; posts one of its messages."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,up", "step(-1)", show=False, priority=True),
        Binding("down", "step(1)", show=False, priority=True),
        Binding("escape", "close", show=False, priority=True),
    ]

    @dataclass
    class Changed(Message):
        """The user typed other words."""

        words: str

    @dataclass
    class Stepped(Message):
        """The user wants the next match: -1 for an earlier one, 1 for a later one."""

        by: int

    class Closed(Message):
        """The user closed the bar."""

    def __init__(self, words: str = "") -> None:
        super().__init__(id="find")
        self._words = words
        self._count = ""

    def compose(self) -> ComposeResult:
        """Yield the label, the words and the number of matches."""
        yield Static(Content("find ").stylize(QUIET), markup=False, id="find-label")
        yield Input(
            self._words,
            placeholder="words in this conversation",
            max_length=MAX_WORDS,
            compact=True,
            id="find-words",
        )
        yield Static("", markup=False, id="find-count")

    @property
    def words(self) -> str:
        """The words to find."""
        return self.query_one(Input).value

    def set_words(self, words: str) -> None:
        """Replace the words."""
        self.query_one(Input).value = words[:MAX_WORDS]

    def show_count(self, text: str) -> None:
        """Show the number of the match, or why there is none, and the keys."""
        self._count = text
        steps = "Enter, Up: earlier · Down: later · " if self.size.width >= _WIDE else ""
        line = Content.assemble(plain(text), (f"  {steps}Esc closes", QUIET))
        self.query_one("#find-count", Static).update(line)

    def on_mount(self) -> None:
        """Take the focus."""
        self.query_one(Input).focus()

    def on_resize(self) -> None:
        """Show the keys for which there is room."""
        self.show_count(self._count)

    @on(Input.Changed)
    def _words_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(event.value))

    def action_step(self, by: int) -> None:
        """Ask for another match."""
        self.post_message(self.Stepped(by))

    def action_close(self) -> None:
        """Ask to be closed."""
        self.post_message(self.Closed())
