"""The word under the pointer, for a double click."""

from __future__ import annotations

import re

from textual.geometry import Offset
from textual.selection import Selection

WORD = re.compile(r"[\w'’-]+|[^\w\s]+")
"""The pieces of a line that a double click selects."""


def word_at(text: str, offset: Offset) -> Selection | None:
    """Return the selection of the word at this place in the text, or None if there is none."""
    lines = text.splitlines()
    line = lines[offset.y] if offset.y < len(lines) else ""
    for piece in WORD.finditer(line):
        if piece.start() <= offset.x < piece.end():
            return Selection(Offset(piece.start(), offset.y), Offset(piece.end(), offset.y))
    return None
