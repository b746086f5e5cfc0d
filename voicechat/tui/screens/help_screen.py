"""The help screen: how to talk, the keys and the slash commands."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from voicechat.line_mode.slash_commands import help_rows
from voicechat.tui.keys import key_rows
from voicechat.tui.screens.sheet import Sheet
from voicechat.tui.widgets.entry_text import QUIET

_TALKING = (
    "Hands-free: just talk. A pause ends your turn. Talk over the answer to stop it; the"
    " transcript marks the part you did not hear. Push-to-talk: the microphone is open only between"
    " two presses of the talk key."
)
_TYPING = "Type a message and press Enter. You can also type during a spoken conversation."

_COMMANDS = "Commands (type them, or ask for them in words)"


def help_text(with_sound: bool) -> Content:
    """Return the text of the help screen; `with_sound` includes how to talk."""
    parts = [Content("How to talk").stylize("bold $primary")]
    parts += [Content(_TALKING)] if with_sound else []
    parts += [Content(_TYPING), Content(""), Content("Keys").stylize("bold $primary")]
    parts += _table(key_rows())
    parts += [Content(""), Content(_COMMANDS).stylize("bold $primary")]
    parts += _table(help_rows())
    return Content("\n").join(parts)


def _table(table: Iterable[tuple[str, str]]) -> list[Content]:
    pairs = list(table)
    width = max(len(name) for name, _ in pairs)
    return [
        Content.assemble((f"{name:<{width}}", "bold"), "  ", (description, QUIET))
        for name, description in pairs
    ]


class HelpScreen(Sheet):
    """A sheet with `help_text`."""

    def __init__(self, with_sound: bool) -> None:
        super().__init__("Help", help_text(with_sound))
