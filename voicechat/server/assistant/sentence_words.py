"""Normalization of text to the plain words of the templates, with their original positions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

LONGEST = 80
"""Maximum number of words; longer sentences are never requests."""
_MAX_CHARACTERS = 2_000

_WORD = re.compile(
    r"\d{1,2}:\d\d(?!\d)"
    r"|\d+(?:st|nd|rd|th)\b"
    r"|\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
    r"|[^\W\d_]+(?:'[^\W\d_]+)*"
    r"|\*\*|[-+*/^%()×÷√²³½¼¾°!=]"
)
_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "`": "'", "−": "-", "–": "-", "—": " "})
_HALF_OF_DAY = re.compile(r"\b([ap])\.\s?m\b\.?", re.IGNORECASE)
_HESITATIONS = ("um", "uh", "uhm", "er", "erm", "umm", "uhh")
_HESITATION = re.compile(rf"\b(?:{'|'.join(_HESITATIONS)})\b[,.…]*\s*", re.IGNORECASE)
_SYMBOLS = {
    "×": ["times"], "÷": ["/"], "²": ["squared"], "³": ["cubed"], "√": ["root"],
    "½": ["half"], "¼": ["quarter"], "¾": ["three", "quarters"], "°": ["degrees"], "%": ["percent"],
}  # fmt: skip

_WHOLE = {
    "i'm": "i am", "can't": "can not", "cannot": "can not", "won't": "will not", "let's": "let us",
    "whats": "what is", "dont": "do not", "im": "i am", "wanna": "want to", "gonna": "going to",
    "gimme": "give me", "lemme": "let me", "y'all": "you all", "o'clock": "o'clock",
    "ok": "okay", "todo": "to do", "colour": "color", "favourite": "favorite", "mum's": "mum's",
    "alarm's": "alarm is", "timer's": "timer is", "gotta": "got to", "kinda": "kind of",
}  # fmt: skip
_ENDINGS = {"n't": "not", "'re": "are", "'ve": "have", "'ll": "will", "'d": "would"}
_IS = frozenset(
    [
        "what",
        "how",
        "where",
        "who",
        "when",
        "that",
        "it",
        "there",
        "here",
        "time",
        "day",
        "date",
        "he",
        "she",
        "why",
    ]
)
SPOKEN_SHORT = {
    "what is": "what's", "how is": "how's", "i am": "i'm", "it is": "it's", "do not": "don't",
    "did not": "didn't", "i would": "i'd", "i will": "i'll", "i have": "i've", "that is": "that's",
    "you are": "you're", "let us": "let's", "there is": "there's", "can not": "can't",
    "does not": "doesn't", "is not": "isn't", "who is": "who's", "we are": "we're",
}  # fmt: skip
"""Pairs of words, and how they are contracted."""
_SHORTENING = re.compile(r"\b(" + "|".join(SPOKEN_SHORT) + r")\b")


@dataclass(frozen=True, slots=True)
class SentenceWords:
    """A sentence as plain lower-case words, with the position of each in the original text."""

    plain: list[str]
    places: list[tuple[int, int]]
    text: str

    def span(self, start: int, end: int) -> str:
        """Return the original text of these words, without hesitations."""
        text = self.text[self.places[start][0] : self.places[end - 1][1]]
        return _HESITATION.sub("", text).strip()


_FRACTIONS = {
    "1/2": "half", "1/3": "third", "2/3": "two thirds", "1/4": "quarter", "3/4": "three quarters",
    "½": "half", "⅓": "third", "⅔": "two thirds", "¼": "quarter", "¾": "three quarters",
}  # fmt: skip
_MIXED = re.compile(r"(?<![\d.])(\d+)(?:[ -]([123]/[234])\b|\s?([½⅓⅔¼¾]))")
_SHARED = "of|an?|cups?|teaspoons?|tablespoons?|miles?|inch|inches|pounds?|hours?"
_FRACTION_OF = re.compile(rf"(?<![\d./])\b([123]/[234])(?= (?:{_SHARED})\b)", re.IGNORECASE)
_FEET = re.compile(r"\b(\d)'\s?(\d{1,2})(?:\"|''|”)")
_RATES = {"km/h": "kmh", "mi/h": "mph", "m/s": "meters per second"}
_RATE = re.compile("|".join(rf"\b{rate}\b" for rate in _RATES), re.IGNORECASE)


def _written_out(text: str) -> str:
    """Write out the notations that recognizers and typists use: "5 1/2", "5'11\"", "km/h"."""
    text = _HALF_OF_DAY.sub(r"\1m ", text.translate(_APOSTROPHES))
    text = _MIXED.sub(lambda found: f"{found[1]} and {_article(found[2] or found[3])}", text)
    text = _FRACTION_OF.sub(lambda found: _FRACTIONS[found[1]], text)
    text = _FEET.sub(r"\1 foot \2", text)
    return _RATE.sub(lambda found: _RATES[found[0].lower()], text)


def _article(fraction: str) -> str:
    words = _FRACTIONS[fraction]
    return words if " " in words else f"a {words}"


def read(text: str) -> SentenceWords:
    """Split text into words: expand contractions, name symbols, drop punctuation and "um".

    A text that is far longer than any request has no words.
    """
    if len(text) > _MAX_CHARACTERS:
        return SentenceWords([], [], text)
    text = _written_out(text)
    calculating = any(letter.isdigit() for letter in text)
    plain: list[str] = []
    places: list[tuple[int, int]] = []
    for found in _WORD.finditer(text):
        if _is_repeated(found, text):
            continue
        names = _names(found[0].lower(), text, found, calculating)
        plain += names
        places += [found.span()] * len(names)
    return SentenceWords(plain, places, text)


_TO_DO_LIST = re.compile(r"to[ -]do lists?\b", re.IGNORECASE)
_REPEATED = re.compile(r"\b(a|an|at|for|in|my|set|the|to) $", re.IGNORECASE)
"""The word before, if speakers and recognizers often repeat it."""


def _is_repeated(found: re.Match[str], text: str) -> bool:
    """Return True for the second of two equal words: "for for ten minutes"."""
    before = _REPEATED.search(text, max(0, found.start() - 4), found.start())
    if before is None or before[1].lower() != found[0].lower():
        return False
    return _TO_DO_LIST.match(text, found.start()) is None


def _names(token: str, text: str, found: re.Match[str], calculating: bool) -> list[str]:
    """Return the plain words of one token; empty if it has none."""
    if token in _SYMBOLS:
        return _SYMBOLS[token]
    if not token[0].isalnum() and token[0] != ".":
        before, after = text[: found.start()][-1:], text[found.end() :].lstrip()[:1]
        if token == "-":
            glued = bool(before) and before.isalpha()
            return [token] if (after.isdigit() or after == "(") and not glued else []
        return (
            [token] if calculating and token != "=" and (token != "!" or before.isdigit()) else []
        )
    return _expanded(token)


def _expanded(token: str) -> list[str]:
    if token in _HESITATIONS:
        return []
    if token in _WHOLE:
        return _WHOLE[token].split()
    for ending, meaning in _ENDINGS.items():
        if token.endswith(ending) and len(token) > len(ending):
            return [token.removesuffix(ending), meaning]
    if token.endswith("'s") and token[:-2] in _IS:
        return [token[:-2], "is"]
    return [token]


def contracted(sentence: str, random: Random) -> str:
    """Contract some word pairs of the sentence, as speakers do."""
    return _SHORTENING.sub(
        lambda pair: SPOKEN_SHORT[pair[0]] if random.random() < 0.6 else pair[0], sentence
    )
