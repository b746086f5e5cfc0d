"""Plausibility of slot values, by the rules in `phrases/plausibility.toml`.

Recognizers hear words in noise. A value that no user means, such as a timer called "huh" or a list
item "um", must not become an action.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from importlib.resources import files

from voicechat.server.assistant import calendar_days, numerals, spoken_time
from voicechat.skills import units

Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class _Rule:
    """The rule of one kind of free text."""

    never: frozenset[str]
    first: frozenset[str]
    last: frozenset[str]
    only: frozenset[str]
    numbers: bool
    possessive: bool
    longest: int

    def __call__(self, words: Words) -> bool:
        """Return True if these lower-case words are a plausible value."""
        if len(words) > self.longest or words[0] in self.first or words[-1] in self.last:
            return False
        if not self.numbers and any(_is_number(word) for word in words):
            return False
        if not self.possessive and any(word.endswith("'s") for word in words):
            return False
        return self.never.isdisjoint(words) and not self.only.issuperset(words)


def _is_number(word: str) -> bool:
    return numerals.may_start(word) or word in spoken_time.UNITS


@cache
def _document() -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    path = files("voicechat.server.assistant") / "phrases" / "plausibility.toml"
    return tomllib.loads(path.read_text("utf-8"))


@cache
def rule(kind: str) -> Callable[[Words], bool]:
    """Return the check for one kind of free text, such as label, person or item."""
    document = _document()
    table = document["slots"][kind]

    def words(name: str) -> frozenset[str]:
        groups = table.get(name, ())
        assert isinstance(groups, Sequence)
        return frozenset(w for group in groups for w in str(document["words"][group]).split())

    return _Rule(
        words("never"),
        words("first"),
        words("last"),
        words("only"),
        bool(table.get("numbers", True)),
        bool(table.get("possessive", True)),
        int(str(table.get("longest", 100))),
    )


@cache
def _names() -> frozenset[str]:
    names = str(_document()["known"]["names"]).split()
    return frozenset(names)


def is_name(text: str) -> bool:
    """Return True if this is spelled as a name: with capitals, or a well-known first name."""
    return all(word[:1].isupper() or word in _names() for word in text.split())


_ADJECTIVE = re.compile(r".+(?:able|ed|ful|ible|ic|ing|ish|ive|less|ous)")


def is_likely_name(text: str) -> bool:
    """Return True for a well-known first name, or one word without the ending of an adjective."""
    first, *more = text.lower().split()
    return first in _names() or not (more or _ADJECTIVE.fullmatch(first))


_STATEMENTS = frozenset({"name_set", "note_add", "remember"})
_STATING = frozenset({"remember", "call", "my", "note", "i", "do", "never", "write", "this"})


def is_statement(intent: str, values: Mapping[str, object], text: str) -> bool:
    """Return True unless a text that looks like a statement asks or tells something else.

    "Remember that time in Vegas?" asks. In a text with capitals, "my name is heard everywhere"
    gives no name.
    """
    if intent not in _STATEMENTS:
        return True
    if text.rstrip().endswith("?") and text.lower().split()[0] in _STATING:
        return False
    name = str(values.get("name", ""))
    return not (" " in name and text[:1].isupper() and name.islower() and not is_name(name))


def _has_digit(words: Words) -> bool:
    return any(numerals.may_start(word) and word not in ("a", "an") for word in words)


def _late(kind: str) -> Callable[[Words], bool]:
    return lambda words: rule(kind)(words)


_ARGUMENT_CHECKS: Mapping[str, Callable[[Words], object]] = {
    r"(start_|end_)?time|at|clock": lambda words: spoken_time.clock(words) or _has_digit(words),
    "date|day": lambda words: calendar_days.day(words, date(2000, 1, 1)) or _has_digit(words),
    r"(from|to|source|target)_unit|unit_(from|to)|unit": units.unit,
    r"zone|timezone|time_zone|tz": _late("text"),
    r"name|label|title": _late("text"),
    r"(list|file|folder)_name": _late("text"),
    r"city|location|place|country|town": _late("text"),
    "items?|entry": lambda words: rule("item")(words) and words[-1] != "list",
    r"expression|formula|calculation": _has_digit,
}
"""For names of tool parameters: a check of the words that a sentence gives for it."""


def is_argument(name: str, words: Words) -> bool:
    """Return True if these words are a plausible argument of this name."""
    for pattern, fits in _ARGUMENT_CHECKS.items():
        if re.fullmatch(pattern, name.lower()):
            return bool(words) and bool(fits(words))
    return True


def refusal(intent: str, values: Mapping[str, object]) -> str:
    """Return the sentence that refuses a value beyond its limit; empty if there is none."""
    limit = _document()["limits"].get(intent)
    if limit is None:
        return ""
    value = values.get(str(limit["value"]))
    too_large = isinstance(value, int | float | Fraction) and value > int(str(limit["most"]))
    return str(limit["say"]) if too_large else ""
