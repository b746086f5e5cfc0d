"""Something to read, laid over the conversation until a key closes it. The talk goes on below."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static


class Sheet(ModalScreen[None]):
    """Shows a text under a title; it scrolls where it is longer than the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,ctrl+l,q,enter", "dismiss", "Close", id="close_sheet"),
    ]

    def __init__(self, title: str, text: Content) -> None:
        super().__init__()
        self._heading = title
        self._text = text

    def compose(self) -> ComposeResult:
        """One scrolling sheet."""
        with VerticalScroll(id="sheet") as sheet:
            sheet.border_title = Content(self._heading)
            sheet.border_subtitle = Content("Esc closes")
            yield Static(self._text, markup=False)
