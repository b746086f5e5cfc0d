"""Spoken numbers: words and digits to numbers, numbers to words.

Every parser takes lower-case words and parses all of them, or returns None. num2words is LGPL and
only writes; text2num does not read fractions, mixed numbers and ordinals exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cache

Words = Sequence[str]

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SMALL = {word: value for value, word in enumerate(_ONES)} | {
    word: 20 + 10 * place for place, word in enumerate(_TENS)
}
_MAGNITUDES = {
    "thousand": 10**3,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "quadrillion": 10**15,
}
_DIGITS = {word: str(value) for value, word in enumerate(_ONES[:10])} | {"oh": "0", "o": "0"}
PARTS = {"half": 2, "halves": 2, "quarter": 4, "quarters": 4} | {
    form: value
    for value, word in enumerate(
        ["third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"], start=3
    )
    for form in (word, word + "s")
}
"""Words for fractions, and their denominators."""
_IRREGULAR = {
    1: "first",
    2: "second",
    3: "third",
    5: "fifth",
    8: "eighth",
    9: "ninth",
    12: "twelfth",
}
_DIGIT_TOKEN = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
_OPENERS = frozenset(
    {"a", "an", "minus", "negative", "point", "half", "couple", "dozen", "hundred"}
)


_RANKS: tuple[int, ...] = (*range(20), *range(20, 100, 10), 100, 1000)
"""Numbers with an ordinal word of their own."""


def may_start(word: str) -> bool:
    """Return True if a number can start with this word. Fast check before parsing."""
    return (
        word in _SMALL or word in _OPENERS or word in PARTS or word[0].isdigit() or word[0] == "."
    )


def number(words: Words) -> Fraction | None:
    """Parse a number ("minus two and a half", "1,200", "a hundred and five")."""
    if words and words[0] in ("minus", "negative"):
        positive = number(words[1:])
        return None if positive is None or positive < 0 else -positive
    return (
        in_dozens(words) or _mixed(words) or _with_point(words) or _part(words) or _cardinal(words)
    )


def whole(words: Words) -> int | None:
    """Parse an integer; None otherwise."""
    value = number(words)
    return int(value) if value is not None and value.denominator == 1 else None


def ordinal(words: Words) -> int | None:
    """Parse an ordinal: "first", "twenty third", "3rd"."""
    if not words:
        return None
    *front, last = words
    if match := re.fullmatch(r"(\d+)(st|nd|rd|th)", last):
        return int(match[1]) if not front else None
    value = _ranks().get(last)
    if value is None or not front:
        return value
    leading = _cardinal(front)
    before = -1 if leading is None else int(leading)
    fits = before > 0 and (before % 100 == 0 or (before % 10 == 0 and value < 10))
    return before + value if fits else None


@cache
def _ranks() -> Mapping[str, int]:
    """Return the numbers with an ordinal word of their own, by that word."""
    return {_ordinal_word(value): value for value in _RANKS}


_DOZENS = {"dozen": 12, "score": 20, "gross": 144, "couple": 2, "pair": 2}


def in_dozens(words: Words) -> Fraction | None:
    """Parse "a dozen", "half a dozen", "two dozen", "a score" or "a couple of"."""
    words = [word.removesuffix("s") if word in ("dozens", "pairs") else word for word in words]
    words = words[:-1] if words[-1:] == ["of"] else words
    if len(words) < 2 or words[-1] not in _DOZENS:
        return None
    if words == ["a", "baker's", "dozen"]:
        return Fraction(13)
    front = words[:-1]
    count = Fraction(1) if front == ["a"] else _part(front) or _cardinal(front)
    if front == ["half", "a"]:
        count = Fraction(1, 2)
    return None if count is None else count * _DOZENS[words[-1]]


def _mixed(words: Words) -> Fraction | None:
    """Parse "two and a half" or "five and three quarters"."""
    if "and" not in words:
        return None
    split = len(words) - 1 - list(reversed(words)).index("and")
    front, part = _cardinal(words[:split]), _part(words[split + 1 :])
    return None if front is None or part is None or part >= 1 else front + part


def _part(words: Words) -> Fraction | None:
    """Parse "half", "a quarter" or "two thirds"."""
    if not words or words[-1] not in PARTS:
        return None
    leading = words[:-1]
    count = (
        Fraction(1)
        if not leading or list(leading) in (["a"], ["one"], ["an"])
        else _cardinal(leading)
    )
    return None if not count else count / PARTS[words[-1]]


def _with_point(words: Words) -> Fraction | None:
    """Parse "three point one four" or "point five"."""
    if "point" not in words:
        return None
    split = list(words).index("point")
    front = _cardinal(words[:split]) if split else Fraction(0)
    tail = "".join(
        _DIGITS.get(word, word if word.isdigit() else "?") for word in words[split + 1 :]
    )
    if not tail.isdigit():
        two = _cardinal(words[split + 1 :])
        tail = str(two) if two is not None and two < 100 and split + 1 < len(words) else ""
    return front + Fraction(int(tail), 10 ** len(tail)) if tail and front is not None else None


def _cardinal(words: Words) -> Fraction | None:
    """Parse "a hundred and forty four", "17" or "3 million", with falling magnitudes."""
    if not words or words[-1] == "and" or words[0] == "and":
        return None
    total, group, limit = Fraction(0), None, Fraction(10**18)
    for place, word in enumerate(words):
        if word in _MAGNITUDES:
            if group is None or _MAGNITUDES[word] >= limit:
                return None
            limit = Fraction(_MAGNITUDES[word])
            total, group = total + group * limit, None
        elif word == "and":
            if (group or total) < 100:
                return None
        elif word == "a":
            if place or next(iter(words[1:2]), "") not in ("hundred", *_MAGNITUDES):
                return None
            group = Fraction(1)
        else:
            group = _extended_group(group, word)
            if group is None or group >= limit:
                return None
    return total + (group or 0)


def _extended_group(group: Fraction | None, word: str) -> Fraction | None:
    """Return the group of hundreds with one more word, or None if the word cannot follow."""
    if word == "hundred":
        return group * 100 if group is not None and 0 < group < 100 else None
    if word in _SMALL:
        value = Fraction(_SMALL[word])
        if group is None:
            return value
        fits = value < 100 if group % 100 == 0 else group % 10 == 0 < value < 10 <= group % 100
        return group + value if fits and group else None
    if group is None and _DIGIT_TOKEN.fullmatch(word):
        return _digits(word)
    return None


def _digits(word: str) -> Fraction | None:
    try:
        return Fraction(Decimal(word.replace(",", "")))
    except InvalidOperation:
        return None


def cardinal_words(value: int) -> str:
    """Write an integer in words: "one hundred and five"."""
    if value < 0:
        return "minus " + cardinal_words(-value)
    if value < 20:
        return _ONES[value]
    if value < 100:
        rest = f" {_ONES[value % 10]}" if value % 10 else ""
        return _TENS[value // 10 - 2] + rest
    if value < 1000:
        rest = f" and {cardinal_words(value % 100)}" if value % 100 else ""
        return f"{_ONES[value // 100]} hundred{rest}"
    size, name = max((size, name) for name, size in _MAGNITUDES.items() if size <= value)
    left = value % size
    separator = " and " if 0 < left < 100 else " "
    return f"{cardinal_words(value // size)} {name}" + (
        separator + cardinal_words(left) if left else ""
    )


def _ordinal_word(value: int) -> str:
    if value in _IRREGULAR:
        return _IRREGULAR[value]
    word = cardinal_words(value) if value < 100 else {100: "hundred", 1000: "thousand"}[value]
    return word[:-1] + "ieth" if word.endswith("y") else word + "th"
