"""The help screen: how to talk, the keys and the slash commands."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from textual.content import Content

from voicechat.line_mode.slash_commands import help_rows
from voicechat.tui.keys import key_rows
from voicechat.tui.screens.sheet import Sheet
from voicechat.tui.widgets.entry_text import QUIET
from voicechat.tui.widgets.text_columns import WidthText, two_columns

_TALKING = (
    "Hands-free: just talk. A pause ends your turn. Talk over the answer to stop it; the"
    " transcript marks the part you did not hear. Push-to-talk: the microphone is open only between"
    " two presses of the talk key."
)
_TYPING = "Type a message and press Enter. You can also type during a spoken conversation."
_MAX_NAME_WIDTH = 24
"""Most cells for the names of keys and commands; longer names wrap."""

_COMMANDS = "Commands (type them, or ask for them in words)"


def help_text(with_sound: bool, width: int) -> Content:
    """Return the text of the help screen for a width; `with_sound` includes how to talk."""
    keys, commands = _rows(key_rows()), _rows(help_rows())
    first = min(max(name.cell_length for name, _ in keys + commands), _MAX_NAME_WIDTH)
    parts = [_heading("How to talk")]
    parts += [Content(_TALKING)] if with_sound else []
    parts += [Content(_TYPING), Content(""), _heading("Keys")]
    parts += two_columns(keys, first, width)
    parts += [Content(""), _heading(_COMMANDS)]
    parts += two_columns(commands, first, width)
    return Content("\n").join(parts)


def _heading(text: str) -> Content:
    return Content(text).stylize("bold $primary")


def _rows(table: Iterable[tuple[str, str]]) -> list[tuple[Content, Content]]:
    return [(Content(name).stylize("bold"), Content(text).stylize(QUIET)) for name, text in table]


class HelpScreen(Sheet):
    """A sheet with `help_text`."""

    def __init__(self, with_sound: bool) -> None:
        super().__init__("Help", WidthText(partial(help_text, with_sound)))
