"""Sentence templates, and the word network that parses and samples sentences.

Notation: `(a|b)` is one of these, `[a|b]` is one or none, `{slot}` or `{slot:name}` is a value,
`<rule>` is a named piece. All templates share one network of states. The parser walks it word by
word and keeps the cheapest path into each state, so its time does not grow with the number of
templates that start differently. A slot parses its words itself and offers the ends at which it has
a value. Free text costs more than plain words, so the most literal template wins; among equals,
the earlier one.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

_TOKEN = re.compile(r"[()\[\]|]|\{[a-z_]+(?::[a-z_]+)?\}|<[a-z_]+>|[^\s()\[\]|{}<>]+")


_OMITTED = 0.8
_FLATNESS = 1.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A kind of value in sentences.

    `read(words, start, stop)` yields pairs of end and value, each for `words[start:end]`, with
    start < end <= stop. `write(random)` returns sample words. `cost` is added for each word: 0 for
    checked values, more for free text.
    """

    read: Callable[[Sequence[str], int, int], Iterable[tuple[int, object]]]
    write: Callable[[Random], str]
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Alternatives:
    """One of several sequences."""

    options: tuple[Sequence[Part], ...]


@dataclass(frozen=True, slots=True)
class SlotReference:
    """A place for a value: the kind of slot, and the name of the value."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A reference to a named piece of template."""

    name: str


Part = str | Alternatives | SlotReference | Rule


def parse_template(text: str) -> Sequence[Part]:
    """Parse a template. Raises `ValueError` that quotes an invalid template."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s+", "", text):
        raise ValueError(f"cannot read the template {text!r}")
    options, end = _options([*tokens, ""], 0)
    if end != len(tokens):
        raise ValueError(f"brackets do not match in {text!r}")
    return options[0] if len(options) == 1 else [Alternatives(tuple(options))]


def _options(tokens: list[str], at: int) -> tuple[list[Sequence[Part]], int]:
    """Parse the alternatives from `at` on; return them and the position of the closing bracket.

    A missing bracket gives the position -1.
    """
    options: list[list[Part]] = [[]]
    while at >= 0 and (token := tokens[at]) not in ("", ")", "]"):
        if token in "([":
            inner, at = _options(tokens, at + 1)
            at = at if tokens[at] == (")" if token == "(" else "]") else -2
            options[-1].append(
                Alternatives((*inner, [])) if token == "[" else Alternatives(tuple(inner))
            )
        elif token == "|":
            options.append([])
        else:
            options[-1].append(_atom(token))
        at += 1
    return [*options], at


def _atom(token: str) -> Part:
    if token[0] == "{":
        kind, _, name = token[1:-1].partition(":")
        return SlotReference(kind, name or kind)
    return Rule(token[1:-1]) if token[0] == "<" else token


class _States:
    """The steps between states, as lists linked in arrays: there are tens of thousands of states.

    A step is a word, a value, or None, which is free.
    """

    def __init__(self) -> None:
        self._first, self._last = array("i"), array("i")
        self._next, self._targets = array("i"), array("i")
        self._steps: list[str | SlotReference | None] = []

    def add(self) -> int:
        """Add a state; return its number."""
        self._first.append(-1)
        self._last.append(-1)
        return len(self._first) - 1

    def lead(self, state: int, target: int, step: str | SlotReference | None = None) -> None:
        """Add a step from one state to another."""
        new, last = len(self._steps), self._last[state]
        self._steps.append(step)
        self._targets.append(target)
        self._next.append(-1)
        self._last[state] = new
        if last < 0:
            self._first[state] = new
        else:
            self._next[last] = new

    def steps(self, state: int) -> Iterator[tuple[str | SlotReference | None, int]]:
        """Return the steps from a state and their targets, in the order of `lead`."""
        at = self._first[state]
        while at >= 0:
            yield self._steps[at], self._targets[at]
            at = self._next[at]


@dataclass(frozen=True, slots=True)
class _Closure:
    """The steps that are possible from a state without a word in between."""

    words: dict[str, list[tuple[int, int | None]]]
    refs: list[tuple[SlotReference, int, int | None]]
    final: tuple[bool, int | None]


@dataclass(frozen=True, slots=True)
class _Path:
    """A path into a state: its cost, the template so far and the values."""

    cost: int
    mark: int | None
    previous: _Path | None = None
    name: str = ""
    value: object = None
    span: tuple[int, int] = (0, 0)
    """The words of the value."""


@dataclass(frozen=True, slots=True)
class Match:
    """The template that matches a sentence, with its values and the words of each."""

    template: int
    values: Mapping[str, object]
    spans: Mapping[str, tuple[int, int]]


class Network:
    """Matches sentences with templates. Call `add` in order of preference, then `match`."""

    def __init__(self, slots: Mapping[str, Slot], rules: Mapping[str, Sequence[Part]]) -> None:
        self._slots = slots
        self._rules = rules
        self._states = _States()
        self._marks: dict[int, int] = {}
        """The template that is known after a state."""
        self._closures: dict[int, _Closure] = {}
        self._before = self._states.add()
        self._start = self._states.add()
        self._end = self._states.add()

    def allow_around(self, before: Sequence[Part], after: Sequence[Part]) -> None:
        """Allow words around every template; each can repeat."""
        self._states.lead(self._before, self._start)
        self._states.lead(self._build(before, self._start), self._start)
        self._states.lead(self._build(after, self._end), self._end)

    def add(self, parts: Sequence[Part]) -> int:
        """Add a template and return its number, counted from 0."""
        last = self._build(parts, self._start)
        mark = self._states.add()
        self._states.lead(last, mark)
        self._states.lead(mark, self._end)
        return self._marks.setdefault(mark, len(self._marks))

    def match(self, words: Sequence[str]) -> Match | None:
        """Return the cheapest template that matches all words."""
        paths: list[dict[int, _Path]] = [{} for _ in range(len(words) + 1)]
        paths[0][self._before] = _Path(0, None)
        slot_values: dict[tuple[str, int], list[tuple[int, object]]] = {}
        for at, word in enumerate(words):
            for state, path in paths[at].items():
                closure = self._closures.get(state) or self._closure(state)
                for target, mark in closure.words.get(word, ()):
                    self._keep_cheapest(paths[at + 1], target, path, mark)
                for ref, target, mark in closure.refs:
                    ends = slot_values.get((ref.kind, at))
                    slot = self._slots[ref.kind]
                    if ends is None:
                        ends = slot_values[ref.kind, at] = list(slot.read(words, at, len(words)))
                    for end, value in ends:
                        extra = slot.cost * (end - at)
                        self._keep_cheapest(
                            paths[end], target, path, mark, (ref.name, value, extra, (at, end))
                        )
        return self._best(paths[-1])

    def _best(self, paths: Mapping[int, _Path]) -> Match | None:
        best: tuple[int, int, _Path] | None = None
        for state, path in paths.items():
            final, mark = (self._closures.get(state) or self._closure(state)).final
            mark = path.mark if path.mark is not None else mark
            if final and mark is not None and (best is None or (path.cost, mark) < best[:2]):
                best = (path.cost, mark, path)
        if best is None:
            return None
        values: dict[str, object] = {}
        spans: dict[str, tuple[int, int]] = {}
        step: _Path | None = best[2]
        while step is not None:
            if step.name and step.name not in values:
                values[step.name], spans[step.name] = step.value, step.span
            step = step.previous
        return Match(best[1], values, spans)

    @staticmethod
    def _keep_cheapest(
        paths: dict[int, _Path],
        target: int,
        path: _Path,
        mark: int | None,
        read: tuple[str, object, int, tuple[int, int]] | None = None,
    ) -> None:
        """Keep this path into the target unless a known one is cheaper, or equal and earlier."""
        mark = path.mark if path.mark is not None else mark
        cost = path.cost + (read[2] if read else 0)
        known = paths.get(target)
        if known is not None and (known.cost, known.mark or 0) <= (cost, mark or 0):
            return
        if read is not None:
            paths[target] = _Path(cost, mark, path, read[0], read[1], read[3])
        elif mark is path.mark:
            paths[target] = path
        else:
            paths[target] = _Path(cost, mark, path)

    def _closure(self, state: int) -> _Closure:
        """Return everything that can follow a state. Computed once per state."""
        closure = _Closure({}, [], (False, None))
        final: tuple[bool, int | None] = (False, None)
        visited: set[tuple[int, int | None]] = set()
        stack: list[tuple[int, int | None]] = [(state, None)]
        while stack:
            position = stack.pop()
            if position in visited:
                continue
            visited.add(position)
            node, mark = position
            mark = self._marks.get(node, mark) if node != state else mark
            for step, target in self._states.steps(node):
                if step is None:
                    stack.append((target, mark))
                elif isinstance(step, str):
                    closure.words.setdefault(step, []).append((target, mark))
                else:
                    closure.refs.append((step, target, mark))
            if node == self._end:
                final = (True, mark)
        self._closures[state] = complete = _Closure(closure.words, closure.refs, final)
        return complete

    def _build(self, parts: Sequence[Part], at: int) -> int:
        """Add the parts after state `at`; return the state after them."""
        for part in parts:
            if isinstance(part, Rule):
                at = self._build(self._rules[part.name], at)
                continue
            after = self._states.add()
            if isinstance(part, Alternatives):
                for option in part.options:
                    self._states.lead(self._build(option, at), after)
            elif isinstance(part, SlotReference) and part.kind not in self._slots:
                raise ValueError(f"there is no slot {part.kind!r}")
            else:
                self._states.lead(at, after, part)
            at = after
        return at


def write(
    parts: Sequence[Part],
    random: Random,
    slots: Mapping[str, Slot],
    rules: Mapping[str, Sequence[Part]],
) -> str:
    """Return a sample sentence of the template.

    The first alternative is the most frequent; optional parts are mostly left out.
    """
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, SlotReference):
            pieces.append(slots[part.kind].write(random))
        elif isinstance(part, Rule):
            pieces.append(write(rules[part.name], random, slots, rules))
        else:
            pieces.append(write(_likely(part.options, random), random, slots, rules))
    return " ".join(piece for piece in pieces if piece)


def _likely(options: Sequence[Sequence[Part]], random: Random) -> Sequence[Part]:
    if not options[-1]:
        if len(options) == 1 or random.random() < _OMITTED:
            return options[-1]
        options = options[:-1]
    weights = [1 / (place + _FLATNESS) for place in range(len(options))]
    return random.choices(options, weights)[0]
