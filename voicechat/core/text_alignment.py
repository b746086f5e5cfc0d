"""Text alignment: the heard part of a spoken text.

Providers send the words of an item and its sound side by side, without times. Some send each
word right before its sound (the text is *in step*), others run seconds ahead with the text.

    in step      a word counts as heard when the sound that came after it begins
    running ahead  the text is spread evenly over the sound, as far as its length is known

A position is always the end of a word, so that no half word is ever shown as said.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

MS_PER_CHAR = 62.0
"""Typical English speech, about 16 characters a second."""

IN_STEP_SLACK_MS = 1_200.0
"""Largest lead of a text over its sound that still counts as in step, in ms."""


@dataclass(slots=True)
class TextAlignment:
    """The words of one item against its sound. Feed it both as they arrive, then ask `heard`."""

    text: str = ""
    received_ms: float = 0.0
    """Milliseconds of sound received so far; the caller adds to it."""
    complete: bool = False
    """All sound of the item was received, so its whole length is known."""
    _ends: list[int] = field(default_factory=list)
    _starts_ms: list[float] = field(default_factory=list)
    _ahead: bool = False

    def add_text(self, delta: str) -> None:
        """Text arrived; its sound is expected behind what was received so far."""
        self.text += delta
        self._starts_ms.append(self.received_ms)
        self._ends.append(len(self.text))
        self._ahead = self._ahead or self._lead_ms() > IN_STEP_SLACK_MS

    def set_text(self, text: str) -> None:
        """The whole text is known now; it replaces what was pieced together."""
        if text != self.text:
            self.text = text
            self._ahead = True

    def heard(self, ms: float) -> int:
        """Characters of `text` said in the first `ms` milliseconds of the sound."""
        if ms <= 0:
            return 0
        if self.complete and ms >= self.received_ms - 1:
            return len(self.text)
        return self._spread(ms) if self._ahead else self._stepped(ms)

    def _lead_ms(self) -> float:
        return len(self.text) * MS_PER_CHAR * 0.6 - self.received_ms

    def _stepped(self, ms: float) -> int:
        begun = bisect_left(self._starts_ms, ms)
        return self._ends[begun - 1] if begun else 0

    def _spread(self, ms: float) -> int:
        length = self.received_ms
        if not self.complete:
            length = max(length, len(self.text) * MS_PER_CHAR)
        return word_end(self.text, int(len(self.text) * ms / length)) if length else 0


def word_end(text: str, position: int) -> int:
    """The end of the word that `position` lies in, or `position` itself between words."""
    if position <= 0 or position >= len(text):
        return max(0, min(position, len(text)))
    while (
        position < len(text) and not text[position].isspace() and not text[position - 1].isspace()
    ):
        position += 1
    return position
