"""A sheet of text over the conversation. The session continues while it is open."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from voicechat.tui.widgets.text_columns import WidthText


class Sheet(ModalScreen[None]):
    """A modal screen with a title and scrolling text. Esc, Enter, Q, F1 or F12 closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,f12,q,enter", "dismiss", "Close", id="close_sheet"),
    ]

    def __init__(self, title: str, text: Content | WidthText) -> None:
        super().__init__()
        self._heading = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Yield the scrolling text in a titled border."""
        with VerticalScroll(id="sheet") as sheet:
            sheet.border_title = Content(self._heading)
            sheet.border_subtitle = Content("Esc closes")
            yield Static(self._text, markup=False)
