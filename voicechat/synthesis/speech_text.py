"""The text to speak: without markup, in pieces that a provider accepts, or as it is written.

Pieces end at sentences, where a voice pauses anyway, so their sounds can be joined.
"""

from __future__ import annotations

import re
from html import unescape
from html.entities import html5

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.server.tts.spoken_text import SpokenText

MOST_CHARACTERS = 2_000_000
"""Longest text: about 40 hours of speech."""

CHARACTERS_PER_SECOND = 15.0
"""Rough speed of speech."""

_REPLACED = "\N{REPLACEMENT CHARACTER}"
_BLANKS = re.compile(r"[ \t]*\n\s*\n\s*")
_CUTS = (
    re.compile(r"\n\n"),
    re.compile(r"[.!?…]+[\"'»”’)\]]*\s+|[。！？]+[」』”’）]*|\n"),
    re.compile(r"[;:,،、，；：—–]\s*"),
    re.compile(r"\s+"),
)
"""Where a text may be cut, the best places first."""
_SENTENCE_END = _CUTS[1]
_TAG = re.compile(
    r"<!--[^<>]{0,2000}-->|</?(?:a|abbr|b|blockquote|br|center|code|del|details|div|em|font|h[1-6]|hr|i"
    r"|img|ins|kbd|li|mark|ol|p|picture|pre|s|samp|small|source|span|strong|sub|summary|sup|table"
    r"|tbody|td|th|thead|tr|u|ul|video)(?:\s+[\w:-]{1,40}\s*=\s*(?:\"[^\"<>]{0,2000}\""
    r"|'[^'<>]{0,2000}'|[^\s\"'<>]{1,2000})){0,20}\s{0,9}/?>",
    re.IGNORECASE,
)
"""HTML that is common in Markdown. Comparisons such as a<b are none."""
_ENTITY = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)
_WIDE = re.compile("[\u0900-\U0003ffff]")
_WIDE_WEIGHT = 3
"""A character of a script with about one token per character counts as three Latin ones."""
_LEAST_SHARE = 0.5
_OPEN_LINK = re.compile(r"!?\[[^\]\n]{0,300}\Z|\]\([^)\s]{0,2000}\Z|\]\Z")


def plain_text(text: str) -> str:
    """Return the text without markup and characters that have no sound; may be empty."""
    shown = _ENTITY.sub(_character, _TAG.sub("", clean(text)))
    plain = SpokenText(clean(shown).replace(_REPLACED, "")).plain
    return _BLANKS.sub("\n\n", plain).strip()


def _character(entity: re.Match[str]) -> str:
    """Return the character that an entity of HTML means; the entity itself if there is none."""
    name = entity[0][1:]
    return unescape(entity[0]) if name[0] == "#" or name in html5 else entity[0]


def is_speakable(text: str) -> bool:
    """Return True if there is a letter or a digit to speak."""
    return any(map(str.isalnum, text))


def nothing_to_speak() -> UsageError:
    """Return the error for a text without words."""
    return UsageError("There is no text to speak.", 'Type: voicechat speak "Hello"')


def weight(text: str) -> int:
    """Return the length of a text as a provider's limit counts it."""
    return len(text) + (_WIDE_WEIGHT - 1) * len(_WIDE.findall(text))


def cut_text(text: str, most: int) -> list[str]:
    """Cut a plain text into pieces of at most `most` characters, at sentences where it can.

    Only the space between the pieces is lost.
    """
    pieces = []
    rest = text.strip()
    while rest:
        end = _piece_end(rest, most)
        if is_speakable(rest[:end]):
            pieces.append(rest[:end].strip())
        rest = rest[end:].lstrip()
    return pieces


def _piece_end(text: str, most: int) -> int:
    """Return where the first piece ends."""
    if weight(text) <= most:
        return len(text)
    window = _fitting(text, most)
    for number, cut in enumerate(_CUTS):
        ends = [found.end() for found in cut.finditer(window)]
        # A paragraph that ends early would make a short piece.
        least = _LEAST_SHARE * len(window) if number == 0 else 0
        if ends and ends[-1] > least:
            return ends[-1]
    return len(window)


def last_sentence_end(text: str) -> int:
    """Return where the last complete sentence of a text ends; 0 without one."""
    return max((found.end() for found in _SENTENCE_END.finditer(text)), default=0)


def _fitting(text: str, most: int) -> str:
    """Return the longest start of a text with a weight of at most `most`."""
    end = min(len(text), most)
    while end > 1 and (over := weight(text[:end]) - most) > 0:
        end -= max(1, over // _WIDE_WEIGHT)
    return text[:end]


class SentenceBuffer:
    """Collects text as it is written and returns the complete sentences."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, delta: str) -> None:
        """Add text."""
        self._text += delta

    def take(self) -> str:
        """Return the complete sentences, as plain text; empty if there is none yet."""
        end = last_sentence_end(self._text)
        taken, self._text = self._text[:end], self._text[end:]
        return plain_text(taken)

    def rest(self) -> str:
        """Return the rest of the text, as plain text."""
        taken, self._text = self._text, ""
        return plain_text(taken)


class WordBuffer:
    """Collects text as it is written and returns the complete words, without markup."""

    def __init__(self) -> None:
        self._line = ""
        """The line that is being written."""
        self._emitted = 0
        """Characters of the plain form of that line that were returned."""

    def add(self, delta: str) -> str:
        """Add text; return the words that are complete, with their spaces; may be empty."""
        self._line += clean(delta).replace(_REPLACED, "")
        *lines, last = self._line.split("\n")
        parts = []
        for line in lines:
            parts.append(self._more(line, len(line)) + "\n")
            self._emitted = 0
        self._line = last
        link = _OPEN_LINK.search(last)
        words = last[: link.start()] if link else last
        parts.append(self._more(words, max(words.rfind(" "), words.rfind("\t")) + 1))
        return "".join(parts)

    def rest(self) -> str:
        """Return the rest of the text."""
        more = self._more(self._line, len(self._line))
        self._line, self._emitted = "", 0
        return more

    def _more(self, line: str, end: int) -> str:
        """Return what the plain form of the line up to `end` adds to what was returned."""
        plain = SpokenText(line[:end]).plain
        more, self._emitted = plain[self._emitted :], max(self._emitted, len(plain))
        return more
