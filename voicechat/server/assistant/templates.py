"""Sentence templates, and the network of words made of them that reads and writes sentences.

The notation is the usual one of intent templates: `(a|b)` one of these, `[a|b]` one or
none, `{slot}` or `{slot:name}` a value, `<rule>` a named piece written elsewhere. All
templates become one network of states. Reading walks it word by word and keeps the
cheapest way into each state, so the time taken does not grow with the number of
templates that begin differently. A slot reads its words itself and offers only ends at
which it has a whole value; free text costs more than plain words, so the most literal
template wins, and among equals the earlier one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

_TOKEN = re.compile(r"[()\[\]|]|\{[a-z_]+(?::[a-z_]+)?\}|<[a-z_]+>|[^\s()\[\]|{}<>]+")


_LEFT_OUT = 0.8
_FLATNESS = 1.0


@dataclass(frozen=True, slots=True)
class Slot:
    """A kind of value inside sentences.

    `read(words, start, stop)` gives pairs of end and value, each for `words[start:end]`;
    ends lie beyond start and up to stop. `write(random)` gives words that could be said.
    `cost` is added for every word taken: 0 for values which are checked, more for free text.
    """

    read: Callable[[Sequence[str], int, int], Iterable[tuple[int, object]]]
    write: Callable[[Random], str]
    cost: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several sequences."""

    options: tuple[Sequence[Part], ...]


@dataclass(frozen=True, slots=True)
class Hole:
    """A place for a value: the slot's kind, and the name its value is given."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """A named piece of template."""

    name: str


Part = str | Choice | Hole | Rule


def parse_template(text: str) -> Sequence[Part]:
    """The parts of a template. Raises `ValueError` that quotes a template it cannot read."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != re.sub(r"\s+", "", text):
        raise ValueError(f"cannot read the template {text!r}")
    options, end = _options([*tokens, ""], 0)
    if end != len(tokens):
        raise ValueError(f"brackets do not match in {text!r}")
    return options[0] if len(options) == 1 else [Choice(tuple(options))]


def _options(tokens: list[str], at: int) -> tuple[list[Sequence[Part]], int]:
    """The alternatives from `at` on, and where they end: at a closing bracket or an empty token.

    A bracket without its partner ends everything: at -1.
    """
    options: list[list[Part]] = [[]]
    while at >= 0 and (token := tokens[at]) not in ("", ")", "]"):
        if token in "([":
            inner, at = _options(tokens, at + 1)
            at = at if tokens[at] == (")" if token == "(" else "]") else -2
            options[-1].append(Choice((*inner, [])) if token == "[" else Choice(tuple(inner)))
        elif token == "|":
            options.append([])
        else:
            options[-1].append(_atom(token))
        at += 1
    return [*options], at


def _atom(token: str) -> Part:
    if token[0] == "{":
        kind, _, name = token[1:-1].partition(":")
        return Hole(kind, name or kind)
    return Rule(token[1:-1]) if token[0] == "<" else token


@dataclass(slots=True)
class _State:
    words: dict[str, list[int]] = field(default_factory=dict)
    holes: list[tuple[Hole, int]] = field(default_factory=list)
    free: list[int] = field(default_factory=list)
    final: bool = False
    mark: int | None = None
    """The template that is known once this state is passed."""


@dataclass(frozen=True, slots=True)
class _Reach:
    """What can follow a state without reading a word in between."""

    words: dict[str, list[tuple[int, int | None]]]
    holes: list[tuple[Hole, int, int | None]]
    final: tuple[bool, int | None]


@dataclass(frozen=True, slots=True)
class _Way:
    """A way into a state: its cost, the template chosen so far and the values read."""

    cost: int
    mark: int | None
    back: _Way | None = None
    name: str = ""
    value: object = None


class Network:
    """Reads sentences against templates. Build with `add` in order of preference, then `match`."""

    def __init__(self, slots: Mapping[str, Slot], rules: Mapping[str, Sequence[Part]]) -> None:
        self._slots = slots
        self._rules = rules
        self._states: list[_State] = [_State()]
        self._reach: dict[int, _Reach] = {}
        self._count = 0
        self._start = self._state()
        self._end = self._state()
        self._states[self._end].final = True

    def frame(self, before: Sequence[Part], after: Sequence[Part]) -> None:
        """Words that may stand around every template; each may be repeated."""
        self._states[0].free.append(self._start)
        self._states[self._build(before, self._start)].free.append(self._start)
        self._states[self._build(after, self._end)].free.append(self._end)

    def add(self, parts: Sequence[Part]) -> int:
        """Add a template; its number, counted from 0, is what `match` gives back."""
        last = self._build(parts, self._start)
        mark = self._state()
        self._states[mark].mark = self._count
        self._states[last].free.append(mark)
        self._states[mark].free.append(self._end)
        self._count += 1
        return self._count - 1

    def match(self, words: Sequence[str]) -> tuple[int, dict[str, object], int] | None:
        """The number of the template that reads all the words, its values and its cost."""
        ways: list[dict[int, _Way]] = [{} for _ in range(len(words) + 1)]
        ways[0][0] = _Way(0, None)
        seen: dict[tuple[str, int], list[tuple[int, object]]] = {}
        for at, word in enumerate(words):
            for state, way in ways[at].items():
                reach = self._reach.get(state) or self._follow(state)
                for target, mark in reach.words.get(word, ()):
                    self._keep(ways[at + 1], target, way, mark)
                for hole, target, mark in reach.holes:
                    ends = seen.get((hole.kind, at))
                    slot = self._slots[hole.kind]
                    if ends is None:
                        ends = seen[hole.kind, at] = list(slot.read(words, at, len(words)))
                    for end, value in ends:
                        extra = slot.cost * (end - at)
                        self._keep(ways[end], target, way, mark, (hole.name, value, extra))
        return self._best(ways[-1])

    def _best(self, ways: Mapping[int, _Way]) -> tuple[int, dict[str, object], int] | None:
        best: tuple[int, int, _Way] | None = None
        for state, way in ways.items():
            final, mark = (self._reach.get(state) or self._follow(state)).final
            mark = way.mark if way.mark is not None else mark
            if final and mark is not None and (best is None or (way.cost, mark) < best[:2]):
                best = (way.cost, mark, way)
        if best is None:
            return None
        values: dict[str, object] = {}
        step: _Way | None = best[2]
        while step is not None:
            if step.name:
                values.setdefault(step.name, step.value)
            step = step.back
        return best[1], values, best[0]

    @staticmethod
    def _keep(
        ways: dict[int, _Way],
        target: int,
        way: _Way,
        mark: int | None,
        read: tuple[str, object, int] | None = None,
    ) -> None:
        """Note this way into the target unless a cheaper, or an equal earlier one, is known."""
        mark = way.mark if way.mark is not None else mark
        cost = way.cost + (read[2] if read else 0)
        known = ways.get(target)
        if known is not None and (known.cost, known.mark or 0) <= (cost, mark or 0):
            return
        if read is not None:
            ways[target] = _Way(cost, mark, way, read[0], read[1])
        elif mark is way.mark:
            ways[target] = way
        else:
            ways[target] = _Way(cost, mark, way)

    def _follow(self, state: int) -> _Reach:
        """Everything that can be read next from a state; worked out once per state."""
        reach = _Reach({}, [], (False, None))
        final: tuple[bool, int | None] = (False, None)
        visited: set[tuple[int, int | None]] = set()
        stack: list[tuple[int, int | None]] = [(state, None)]
        while stack:
            here = stack.pop()
            if here in visited:
                continue
            visited.add(here)
            node, mark = self._states[here[0]], here[1]
            mark = node.mark if node.mark is not None and here[0] != state else mark
            for word, targets in node.words.items():
                reach.words.setdefault(word, []).extend((target, mark) for target in targets)
            reach.holes.extend((hole, target, mark) for hole, target in node.holes)
            if node.final:
                final = (True, mark)
            stack.extend((target, mark) for target in node.free)
        self._reach[state] = whole = _Reach(reach.words, reach.holes, final)
        return whole

    def _state(self) -> int:
        self._states.append(_State())
        return len(self._states) - 1

    def _build(self, parts: Sequence[Part], at: int) -> int:
        """Lay the parts behind state `at`; gives the state behind them."""
        for part in parts:
            if isinstance(part, Rule):
                at = self._build(self._rules[part.name], at)
                continue
            after = self._state()
            if isinstance(part, str):
                self._states[at].words.setdefault(part, []).append(after)
            elif isinstance(part, Hole):
                if part.kind not in self._slots:
                    raise ValueError(f"no slot is called {part.kind!r}")
                self._states[at].holes.append((part, after))
            else:
                for option in part.options:
                    self._states[self._build(option, at)].free.append(after)
            at = after
        return at


def write(
    parts: Sequence[Part],
    random: Random,
    slots: Mapping[str, Slot],
    rules: Mapping[str, Sequence[Part]],
) -> str:
    """One sentence of the template, as people would say it.

    What stands first among alternatives is said most; what can be left out mostly is.
    """
    pieces: list[str] = []
    for part in parts:
        if isinstance(part, str):
            pieces.append(part)
        elif isinstance(part, Hole):
            pieces.append(slots[part.kind].write(random))
        elif isinstance(part, Rule):
            pieces.append(write(rules[part.name], random, slots, rules))
        else:
            pieces.append(write(_likely(part.options, random), random, slots, rules))
    return " ".join(piece for piece in pieces if piece)


def _likely(options: Sequence[Sequence[Part]], random: Random) -> Sequence[Part]:
    if not options[-1]:
        if len(options) == 1 or random.random() < _LEFT_OUT:
            return options[-1]
        options = options[:-1]
    weights = [1 / (place + _FLATNESS) for place in range(len(options))]
    return random.choices(options, weights)[0]
