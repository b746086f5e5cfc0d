"""Cost of JSON from outside: a large frame is judged before it is read.

A parser runs without a pause, so 15 MB of small values block the event loop for half a second.
"""

from __future__ import annotations

CHEAP_CHARACTERS = 1 << 18
"""A frame of this length is read in milliseconds, whatever is in it."""
MOST_TEXT = 600_000
"""Characters of a frame that are not sound; to clean more of them would take too long."""
MOST_PARTS = 50_000
"""Marks of JSON in a longer frame: each can be a value, and a field takes 0.4 µs to read."""
_MARKS = '{[,:"'
_TEXT_MARKS = " \\\x7f"
_SHORTEST_SOUND = 10_000


def is_costly(frame: str | bytes) -> bool:
    """Return True for a large frame that would block the event loop, judged by its marks alone.

    Sound is cheap: one long text without spaces and escapes.
    """
    if len(frame) <= CHEAP_CHARACTERS:
        return False
    text = frame if isinstance(frame, str) else frame.decode("latin-1")
    parts = 0
    for mark in _MARKS:
        parts += text.count(mark)
        if parts > MOST_PARTS:
            return True
    if len(text) <= MOST_TEXT:
        return False
    if not text.isascii():
        return True
    return sum(len(part) for part in text.split('"') if not is_sound(part)) > MOST_TEXT


def is_sound(part: str | bytes) -> bool:
    """Return True for a long text without spaces and escapes, as base64 is."""
    if len(part) < _SHORTEST_SOUND or not part.isascii():
        return False
    if isinstance(part, str):
        return not any(mark in part for mark in _TEXT_MARKS)
    return not any(mark.encode() in part for mark in _TEXT_MARKS)
