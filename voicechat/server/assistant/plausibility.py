"""Plausibility of slot values, by the rules in `phrases/plausibility.toml`.

Recognizers hear words in noise. A value that no user means, such as a timer called "huh" or a list
item "um", must not become an action.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files

from voicechat.server.assistant import numerals, spoken_time

Words = Sequence[str]


@dataclass(frozen=True, slots=True)
class _Rule:
    """The rule of one kind of free text."""

    never: frozenset[str]
    first: frozenset[str]
    last: frozenset[str]
    only: frozenset[str]
    numbers: bool
    longest: int

    def __call__(self, words: Words) -> bool:
        """Return True if these lower-case words are a plausible value."""
        if len(words) > self.longest or words[0] in self.first or words[-1] in self.last:
            return False
        if not self.numbers and any(_is_number(word) for word in words):
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
    """Return the check for one kind of free text: label, person, item, text or replacement."""
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
        int(str(table.get("longest", 100))),
    )


def refusal(intent: str, values: Mapping[str, object]) -> str:
    """Return the sentence that refuses a value beyond its limit; empty if there is none."""
    limit = _document()["limits"].get(intent)
    if limit is None:
        return ""
    value = values.get(str(limit["value"]))
    too_large = isinstance(value, int | float | Fraction) and value > int(str(limit["most"]))
    return str(limit["say"]) if too_large else ""
