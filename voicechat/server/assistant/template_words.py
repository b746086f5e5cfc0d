"""The words that follow each other in the sentences of templates.

Samples of sentences miss most pairs: "add" and each entry of a list, "convert" and each number.
Here every template gives all of its pairs, and a slot stands for the words that it samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise
from random import Random
from typing import NamedTuple

from voicechat.server.assistant import numerals, sentence_words
from voicechat.server.assistant.templates import Alternatives, Part, Rule, Slot, SlotReference

_SAMPLES = 1_000
"""Values of each slot."""
_NUMBER, _EDGE = "9", ""
"""Stand for every number in digits, and for the start and the end of a sentence."""

Words = frozenset[str]
Group = tuple[Words, Words]
"""Words, and the words that follow each of them."""


class _Edges(NamedTuple):
    """The first and the last words of a piece of a template; optional: it can be left out."""

    first: Words
    last: Words
    optional: bool = False


_EDGES = _Edges(frozenset({_EDGE}), frozenset({_EDGE}))


def followers(
    templates: Iterable[Sequence[Part]],
    slots: Mapping[str, Slot],
    rules: Mapping[str, Sequence[Part]],
) -> list[Group]:
    """Return the words that follow each other in these templates, and in the slots.

    The rules "lead" and "tail" may stand around each template. Takes half a second.
    """
    collector = _Collector(slots, rules)
    lead, tail = (collector.sequence(rules[name]) for name in ("lead", "tail"))
    for parts in templates:
        request = collector.sequence(parts)
        for before in (_EDGES, lead):
            collector.join(before.last, request.first)
        for after in (_EDGES, tail):
            collector.join(request.last, after.first)
    collector.join(_EDGES.last, lead.first)
    collector.join(lead.last, lead.first)
    collector.join(tail.last, tail.first | _EDGES.first)
    return list(_as_heard(collector.groups))


class _Collector:
    """Collects the groups of pieces of templates."""

    def __init__(self, slots: Mapping[str, Slot], rules: Mapping[str, Sequence[Part]]) -> None:
        self.groups: set[Group] = set()
        self._slots = slots
        self._rules = rules
        self._known: dict[Part, _Edges] = {}

    def join(self, before: Words, after: Words) -> None:
        """Let each word of the second set follow each of the first one."""
        if before and after:
            self.groups.add((before, after))

    def sequence(self, parts: Iterable[Part]) -> _Edges:
        """Collect the groups of a sequence."""
        whole = _Edges(frozenset(), frozenset(), optional=True)
        for part in parts:
            edges = self._part(part)
            self.join(whole.last, edges.first)
            whole = _Edges(
                whole.first | edges.first if whole.optional else whole.first,
                whole.last | edges.last if edges.optional else edges.last,
                whole.optional and edges.optional,
            )
        return whole

    def _part(self, part: Part) -> _Edges:
        if isinstance(part, Alternatives):
            options = [self.sequence(option) for option in part.options]
            return _Edges(
                frozenset().union(*(one.first for one in options)),
                frozenset().union(*(one.last for one in options)),
                any(one.optional for one in options),
            )
        if isinstance(part, str):
            return _Edges(frozenset({part}), frozenset({part}))
        key = part if isinstance(part, Rule) else SlotReference(part.kind, "")
        if key not in self._known:
            self._known[key] = (
                self.sequence(self._rules[part.name])
                if isinstance(part, Rule)
                else self._values(part.kind)
            )
        return self._known[key]

    def _values(self, kind: str) -> _Edges:
        """Collect the groups within sample values of a slot, where each number can be another."""
        random = Random(1)
        values = [self._slots[kind].write(random).split() for _ in range(_SAMPLES)]
        values = [words for words in values if words]
        numbers = frozenset(word for words in values for word in words if _is_number(word))

        def alike(words: Iterable[str]) -> Words:
            return frozenset().union(*(numbers if _is_number(one) else {one} for one in words))

        for before, after in {pair for words in values for pair in pairwise(words)}:
            self.join(alike([before]), alike([after]))
        return _Edges(alike(words[0] for words in values), alike(words[-1] for words in values))


def _as_heard(groups: Iterable[Group]) -> Iterator[Group]:
    """Yield the groups with contractions, and with numbers in digits."""
    contractions = [(*pair.split(), short) for pair, short in sentence_words.SPOKEN_SHORT.items()]
    for before, after in groups:
        yield (
            before.union(
                (short for _, last, short in contractions if last in before), _digits(before)
            ),
            after.union(
                (short for first, _, short in contractions if first in after), _digits(after)
            ),
        )


def _digits(words: Words) -> list[str]:
    """Return the word for a number in digits if one of the words is a number."""
    return [_NUMBER] if any(map(_is_number, words)) else []


@cache
def _is_number(word: str) -> bool:
    return numerals.number([word]) is not None
