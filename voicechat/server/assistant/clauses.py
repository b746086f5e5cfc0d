"""Split streaming text into pieces to speak: a short first clause, then sentences."""

from __future__ import annotations

import re

_FIRST = 14
"""Minimum length of the first piece, which may end at a comma."""
_LONGEST = 240
_ENDS = re.compile(r"[.!?…]+[\"'”’)\]]*\s+|\n+|[。！？]")
_PAUSES = re.compile(r"[,;:—–]\s+|\s[-—–]\s+")
_SHORT_WORDS = (
    "mr mrs ms dr prof st vs etc e.g i.e eg ie cf approx nr vol fig jr sr gen col sgt rev hon "
    "inc ltd co dept est a.m p.m u.s u.k jan feb mar apr jun jul aug sep sept oct nov dec"
)
_SHORT = frozenset(_SHORT_WORDS.split())
_MIN_WORDS = 3
"""Minimum length of a sentence that ends a turn."""
_CONTINUING_WORDS = (
    "and but so or nor because if when while than um uh er erm hmm the a an my your our their of "
    "to i i'm it's"
)
_CONTINUING = frozenset(_CONTINUING_WORDS.split())
"""Words after which a sentence continues, whatever punctuation a recognizer wrote."""


class Clauses:
    """Collects streaming text and returns complete pieces. Joined, the pieces are the text."""

    def __init__(self) -> None:
        self._held = ""
        self._begun = False

    def feed(self, text: str) -> list[str]:
        """Add text and return the pieces that are complete now, with their trailing spaces."""
        pieces: list[str] = []
        for at in range(0, len(text), _LONGEST):
            # In short parts, because each cut looks at all of the held text.
            self._held += text[at : at + _LONGEST]
            while (cut := self._cut()) is not None:
                pieces.append(self._held[:cut])
                self._held = self._held[cut:]
                self._begun = True
        return pieces

    def flush(self) -> list[str]:
        """Return the rest at the end of the text."""
        rest, self._held, self._begun = self._held, "", False
        return [rest] if rest.strip() else []

    def _cut(self) -> int | None:
        """Return the end of the next piece, or None if it is not known yet."""
        for end in _ENDS.finditer(self._held):
            if self._held[: end.end()].strip() and not _abbreviated(self._held, end):
                return self._first_pause(end.end()) or end.end()
        return self._first_pause(len(self._held)) or self._too_long()

    def _first_pause(self, before: int) -> int | None:
        if self._begun or not self._held.strip():
            return None
        pauses = (pause.end() for pause in _PAUSES.finditer(self._held, 0, before))
        return next((end for end in pauses if end >= _FIRST), None)

    def _too_long(self) -> int | None:
        if len(self._held) <= _LONGEST:
            return None
        pauses = [pause.end() for pause in _PAUSES.finditer(self._held, 0, _LONGEST)]
        return pauses[-1] if pauses else self._held.rfind(" ", 1, _LONGEST) + 1 or _LONGEST


def _abbreviated(text: str, end: re.Match[str]) -> bool:
    """Return True if the period belongs to an abbreviation, an initial or a list number."""
    if not end[0].startswith(".") or end[0].startswith("..") or "\n" in end[0]:
        return False
    word = re.split(r"[\s(\"“]", text[: end.start()])[-1].lower()
    before = text[: end.start() - len(word)]
    numbered = word.isdigit() and (not before.strip() or before.endswith("\n"))
    return word in _SHORT or numbered or (len(word) == 1 and word.isalpha() and word != "i")


def split(text: str) -> list[str]:
    """Split a complete text into pieces."""
    clauses = Clauses()
    return clauses.feed(text) + clauses.flush()


def is_sentence(text: str) -> bool:
    """Return True if the text is one or more whole sentences.

    It has at least three words, ends in ".", "!" or "?" (not "…"), and its last word is not one
    that a sentence continues after.
    """
    words = text.lower().replace("’", "'").split()
    if len(words) < _MIN_WORDS or text.rstrip().endswith(("...", "…")):
        return False
    last = words[-1].rstrip("\"'”’)")
    return last.endswith((".", "!", "?")) and last.rstrip(".!?") not in _CONTINUING
