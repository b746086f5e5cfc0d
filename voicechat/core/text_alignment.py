"""Text alignment: the part of a spoken text that was heard.

Providers send the text of an item and its audio in parallel, without times. Some send each word
right before its audio (*in step*), others send the text seconds ahead.

    in step   a word counts as heard when the audio that arrived after it starts to play
    ahead     the text is spread evenly over the audio, as far as its length is known

A position is always the end of a word, so that no partial word is shown as heard.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

MS_PER_CHAR = 62.0
"""Milliseconds of speech per character: typical English, about 16 characters a second."""

IN_STEP_SLACK_MS = 1_200.0
"""Largest lead of the text over its audio that still counts as in step, in ms."""


@dataclass(slots=True)
class TextAlignment:
    """Text of an item and the duration of its audio. Add both as they arrive, then call `heard`."""

    text: str = ""
    received_ms: float = 0.0
    """Milliseconds of audio received so far; the caller adds to it."""
    complete: bool = False
    """All audio of the item was received, so its length is final."""
    _ends: list[int] = field(default_factory=list)
    _starts_ms: list[float] = field(default_factory=list)
    _ahead: bool = False

    def add_text(self, delta: str) -> None:
        """Append text; its audio is expected after what was received so far."""
        self.text += delta
        self._starts_ms.append(self.received_ms)
        self._ends.append(len(self.text))
        self._ahead = self._ahead or self._lead_ms() > IN_STEP_SLACK_MS

    def set_text(self, text: str) -> None:
        """Replace the text with the whole text."""
        if text != self.text:
            self.text = text
            self._ahead = True

    def heard(self, ms: float) -> int:
        """Return how many characters of `text` were spoken in the first `ms` milliseconds."""
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
    """Return the end of the word at `position`, or `position` itself between words."""
    if position <= 0 or position >= len(text):
        return max(0, min(position, len(text)))
    while (
        position < len(text) and not text[position].isspace() and not text[position - 1].isspace()
    ):
        position += 1
    return position
