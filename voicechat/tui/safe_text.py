"""Outside text on its way to the screen: never markup, never a control sequence.

Text is cleaned where it enters the program. What stands here is the second net: `plain`
for everything that becomes a widget's content, `ControlNet` for every line that leaves.
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
    """The text as content that no markup parser reads. `style` is our own, never outside text."""
    return Content(clean(text)).stylize(style) if style else Content(clean(text))


class ControlNet(LineFilter):
    """Drops control characters from every line drawn.

    Dropped, not replaced: the layout has given them no cell, so a mark would shift the line.
    Segments that Textual itself marks as control are left alone.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments without control characters in their text."""
        if not any(_CONTROL.search(text) for text, _, control in segments if not control):
            return segments
        return [
            segment if segment.control else Segment(_CONTROL.sub("", segment.text), segment.style)
            for segment in segments
        ]
