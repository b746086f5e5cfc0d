"""Safe display of outside text: no markup, no control sequences.

Text is cleaned where it enters the program. This module is a second layer of protection: `plain`
for the content of a widget, `ControlCharacterFilter` for every line written to the terminal.
"""

from __future__ import annotations

import re

from rich.segment import Segment
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter

from voicechat.core.text import clean

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)


def plain(text: str, style: str = "") -> Content:
    """Return the cleaned text as content without markup. `style` must not be outside text."""
    return Content(clean(text)).stylize(style) if style else Content(clean(text))


class ControlCharacterFilter(LineFilter):
    """A filter that removes control characters from every line drawn.

    They are not replaced, because the layout gives them no cell and a replacement would shift the
    line. Control segments of Textual pass unchanged.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Return the segments without control characters in their text."""
        if not any(_CONTROL.search(text) for text, _, control in segments if not control):
            return segments
        return [
            segment if segment.control else Segment(_CONTROL.sub("", segment.text), segment.style)
            for segment in segments
        ]
