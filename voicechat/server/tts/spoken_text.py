"""The plain form of a text for the synthesizer, with the way back to the written text.

What the model wrote is what the transcript shows. The synthesizer reads neither emphasis, headings,
bullets, fences and code marks nor the addresses of links.
"""

from __future__ import annotations

import re

_POWER = r"(?<=\d)\*\*(?=\d)"
_MARKUP = re.compile(
    rf"(?P<power>{_POWER})"
    r"|^[ \t]*(?:```|~~~).*$"
    r"|^[ \t]*(?:#{1,6}|[-*+•]|>+)[ \t]+"
    r"|^[ \t]*[-*_](?:[ \t]*[-*_]){2,}[ \t]*$"
    r"|`+"
    # Emphasis touches the word on one side and a space or punctuation on the other.
    r"|(?<![\w*])\*{1,3}(?=[^\s*])|(?<=[^\s*])\*{1,3}(?![\w*])"
    r"|(?<![\w_])_{1,3}(?=[^\s_])|(?<=[^\s_])_{1,3}(?![\w_])"
    r"|!?\[(?=[^\]\n]{1,300}\]\([^)\s]{1,2000}\))|(?<=[^\[\n])\]\([^)\s]{1,2000}\)",
    re.MULTILINE,
)
_POWER_WORDS = " to the power of "


class SpokenText:
    """A text to speak: `plain` for the synthesizer; `written` maps its words back."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._ends: list[int] = []
        """End in the written text of each character of the plain form."""
        parts: list[str] = []
        start = 0
        for mark in _MARKUP.finditer(text):
            parts.append(text[start : mark.start()])
            self._ends += range(start + 1, mark.start() + 1)
            if mark["power"]:
                parts.append(_POWER_WORDS)
                self._ends += [mark.end()] * len(_POWER_WORDS)
            start = mark.end()
        parts.append(text[start:])
        self._ends += range(start + 1, len(text) + 1)
        self.plain = "".join(parts)
        """The text without markup; may be blank."""
        self._spoken = self._returned = 0

    def written(self, words: str) -> str:
        """Return the written form of the next words of the plain form."""
        self._spoken += len(words)
        end = self._ends[min(self._spoken, len(self._ends)) - 1] if self._ends else 0
        return self._take(max(end, self._returned))

    def rest(self) -> str:
        """Return the written text that is left, such as a closing mark."""
        return self._take(len(self._text))

    def _take(self, end: int) -> str:
        taken, self._returned = self._text[self._returned : end], end
        return taken
