"""The help screen: how to talk, and the keys."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from voicechat.tui.entries import QUIET
from voicechat.tui.keys import rows

_SPOKEN = (
    "Hands-free: just talk. A pause ends your turn; talking over the answer stops it, and"
    " what you did not hear is marked. Push-to-talk: the microphone is open only between"
    " two presses of the talk key."
)
_TYPED = "Type a message and press Enter. Typing works during a spoken conversation, too."


def help_text(with_sound: bool) -> Content:
    """What the help screen says."""
    parts = [Content("How to talk").stylize("bold $primary")]
    parts += [Content(_SPOKEN)] if with_sound else []
    parts += [Content(_TYPED), Content(""), Content("Keys").stylize("bold $primary")]
    table = rows()
    wide = max(len(key) for key, _ in table)
    parts += [
        Content.assemble((f"{key:<{wide}}", "bold"), "  ", (meaning, QUIET))
        for key, meaning in table
    ]
    return Content("\n").join(parts)


class HelpScreen(ModalScreen[None]):
    """Shows `help_text` over the conversation until a key closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f1,ctrl+l,q,enter", "dismiss", "Close", id="close_help"),
    ]

    def __init__(self, with_sound: bool) -> None:
        super().__init__()
        self._with_sound = with_sound

    def compose(self) -> ComposeResult:
        """One scrolling sheet."""
        with VerticalScroll(id="help") as sheet:
            sheet.border_title = Content("Help")
            sheet.border_subtitle = Content("Esc closes")
            yield Static(help_text(self._with_sound), markup=False)
