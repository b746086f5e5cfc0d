"""A sheet of text over the conversation. The session continues while it is open."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from voicechat.tui.screens.composer_host import ComposerHost
from voicechat.tui.widgets.text_columns import WidthText


class Sheet(ModalScreen[None]):
    """A modal screen with a title and scrolling text. Esc, Enter, Q, F1 or F12 closes it.

    Other text closes it, too, and goes to the message below: nothing typed is lost.
    """

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

    def on_key(self, event: events.Key) -> None:
        """Type on in the composer below; Q closes, and Space is no beginning of a message."""
        if event.is_printable and event.character and event.key not in {"q", "space"}:
            event.stop()
            self._type_on(event.character, pasted=False)

    def on_paste(self, event: events.Paste) -> None:
        """Paste into the composer below."""
        event.stop()
        self._type_on(event.text, pasted=True)

    def _type_on(self, text: str, *, pasted: bool) -> None:
        below = self.app.screen_stack[0]
        if isinstance(below, ComposerHost) and len(self.app.screen_stack) <= 2:
            # At once: the next key must not overtake this one.
            below.type_on(text, pasted=pasted)
            if self in self.app.screen_stack:  # not closed by the key before
                self.dismiss()
