"""A sheet that asks for one line of text."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input


class LineSheet(ModalScreen[str]):
    """A modal screen with one input. Enter returns its text, Esc an empty text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", priority=True)]

    def __init__(self, title: str, value: str) -> None:
        super().__init__()
        self._heading = title
        self._value = value

    def compose(self) -> ComposeResult:
        """Yield the input in a titled border."""
        with Vertical(id="line") as box:
            box.border_title = Content(self._heading)
            box.border_subtitle = Content("Enter accepts · Esc cancels")
            yield Input(self._value, id="line-input", compact=True, select_on_focus=False)

    @on(Input.Submitted)
    def _submitted(self, message: Input.Submitted) -> None:
        self.dismiss(message.value.strip())

    def action_cancel(self) -> None:
        """Return nothing."""
        self.dismiss("")
