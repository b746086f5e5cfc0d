"""The help screen: how to talk, the keys, and what can be typed behind a slash."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from voicechat.line_mode.slash_commands import help_rows
from voicechat.tui.keys import rows
from voicechat.tui.screens.sheet import Sheet
from voicechat.tui.widgets.entry_text import QUIET

_SPOKEN = (
    "Hands-free: just talk. A pause ends your turn; talking over the answer stops it, and"
    " the transcript marks what you did not hear. Push-to-talk: the microphone is open only between"
    " two presses of the talk key."
)
_TYPED = "Type a message and press Enter. Typing works during a spoken conversation, too."


def help_text(with_sound: bool) -> Content:
    """What the help screen says."""
    parts = [Content("How to talk").stylize("bold $primary")]
    parts += [Content(_SPOKEN)] if with_sound else []
    parts += [Content(_TYPED), Content(""), Content("Keys").stylize("bold $primary")]
    parts += _table(rows())
    parts += [Content(""), Content("Commands (type them like a message)").stylize("bold $primary")]
    parts += _table(help_rows())
    return Content("\n").join(parts)


def _table(table: Iterable[tuple[str, str]]) -> list[Content]:
    pairs = list(table)
    wide = max(len(name) for name, _ in pairs)
    return [
        Content.assemble((f"{name:<{wide}}", "bold"), "  ", (meaning, QUIET))
        for name, meaning in pairs
    ]


class HelpScreen(Sheet):
    """Shows `help_text` over the conversation until a key closes it."""

    def __init__(self, with_sound: bool) -> None:
        super().__init__("Help", help_text(with_sound))
