r"""Linear pattern: a subset of regular expressions whose search takes linear time.

    literals  .  [a-z]  [^,]  \d \w \s \D \W \S  \b  \n \t  (a|b)  (?:…)  *  +  ?  {2,5}

The pattern becomes a nondeterministic automaton that reads each character once (K. Thompson,
"Regular expression search algorithm", 1968), so no text and no pattern can make it backtrack.
Matching ignores case. There are no groups to capture, references, look-around or lazy repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_PATTERN = 500
"""Characters of a pattern."""

MAX_STATES = 10_000
"""States of its automaton."""

MAX_REPEAT = 100
"""Highest number in `{…}`."""

MAX_DEPTH = 20
"""Groups inside each other."""

MAX_WORK = 500_000
"""States that a search follows, about 0.2 s; those that it followed before do not count."""

EXCERPT = 60
"""Longest returned part of a text."""

WITHOUT_SPACES: Final = "\u0e00"
"""Scripts from here on, such as Thai and Chinese, have no spaces between words."""

_MATCH: Final = frozenset({-1})

_CACHE: Final = 4_000
"""Cached steps; then they are forgotten."""

_CLASSES: Final[Mapping[str, Callable[[str], bool]]] = {
    "d": str.isdigit,
    "s": str.isspace,
    "w": lambda char: char.isalnum() or char == "_",
}
_PLAIN: Final[Mapping[str, str]] = {"n": "\n", "t": "\t"}


class PatternError(ValueError):
    """The reason that a pattern cannot be used, as the end of a sentence."""


class PatternTooSlow(Exception):
    """A search that was given up. Its text is the end of a sentence about the pattern."""

    def __init__(self) -> None:
        super().__init__("is too slow for this text; use smaller numbers in its {…}")


@dataclass(frozen=True, slots=True)
class CharSet:
    """A set of characters, in lower case."""

    chars: frozenset[str] = frozenset()
    ranges: tuple[tuple[str, str], ...] = ()
    classes: tuple[str, ...] = ()
    """Letters of classes; upper case for their complement."""
    negated: bool = False

    def has(self, char: str) -> bool:
        """Return True if the set has this character."""
        found = (
            char in self.chars
            or any(low <= char <= high for low, high in self.ranges)
            or any(_CLASSES[each.lower()](char) is each.islower() for each in self.classes)
        )
        return found is not self.negated


_ANY: Final = CharSet(frozenset("\n"), negated=True)


@dataclass(slots=True)
class _State:
    """A state: it reads a character of `reads`, or goes on to all of `jumps` without one."""

    reads: CharSet | None = None
    jumps: tuple[int, ...] = ()
    at_edge: bool = False
    """It goes on only between a word and something else."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A part of a pattern: a character, an edge of a word, a sequence, a choice or a repeat."""

    kind: str
    chars: CharSet = CharSet()
    parts: tuple[_Node, ...] = ()
    least: int = 1
    most: int | None = 1


class LinearPattern:
    """A compiled pattern. Raises `PatternError` for one that is wrong or not supported."""

    def __init__(self, pattern: str, limit: int = MAX_PATTERN) -> None:
        """limit: most characters of the pattern."""
        if len(pattern) > limit:
            raise PatternError(f"has more than {limit} characters")
        self._states: list[_State] = []
        self._parts = 0
        self._end = self._add(_State())
        self._begin = self._build(_Reader(pattern).whole(), self._end)
        self._steps: dict[tuple[frozenset[int], str, bool], frozenset[int]] = {}
        if self._end in self._closure({self._begin}, edge=True):
            raise PatternError("fits the empty text")

    def search(self, text: str) -> str | None:
        """Return the part of the text that fits first, at most `EXCERPT` characters; else None.

        Raises `PatternTooSlow` after `MAX_WORK` steps.
        """
        active: frozenset[int] = frozenset()
        before = ""
        work = 0
        lowered = [char.lower()[:1] for char in text]
        for at, char in enumerate([*lowered, ""]):
            key = (active, char, _is_word(before) is not _is_word(char))
            found = self._steps.get(key)
            if found is None:
                work += len(active)
                if work > MAX_WORK:
                    raise PatternTooSlow
                found = self._step(*key)
            active = found
            if active == _MATCH:
                return self._matched(text, lowered, at)
            before = char
        return None

    def _matched(self, text: str, lowered: list[str], end: int) -> str:
        """Return the longest part before `end` that fits; only its end if it is long."""
        first = max(0, end - EXCERPT)
        for start in range(first, end):
            before = lowered[start - 1] if start else ""
            active = frozenset({self._begin})
            for char in [*lowered[start:end], lowered[end] if end < len(lowered) else ""]:
                now = self._closure(active, edge=_is_word(before) is not _is_word(char))
                active, before = self._read(now, char), char
            if self._end in now:
                return text[start:end]
        return text[first:end]

    # ----------------------------------------------------------------- the automaton

    def _step(self, active: frozenset[int], char: str, edge: bool) -> frozenset[int]:
        """Return the states after a character; `_MATCH` for a match that ends before it."""
        now = self._closure({*active, self._begin}, edge=edge)
        found = _MATCH if self._end in now else self._read(now, char)
        if len(self._steps) >= _CACHE:
            self._steps.clear()
        self._steps[active, char, edge] = found
        return found

    def _read(self, states: Iterable[int], char: str) -> frozenset[int]:
        return frozenset(
            jump
            for each in states
            if char and (reads := self._states[each].reads) is not None and reads.has(char)
            for jump in self._states[each].jumps
        )

    def _closure(self, states: Iterable[int], *, edge: bool) -> set[int]:
        """Return the states that are reached without a character."""
        found: set[int] = set()
        waiting = list(states)
        while waiting:
            number = waiting.pop()
            state = self._states[number]
            if number not in found:
                found.add(number)
                if state.reads is None and (edge or not state.at_edge):
                    waiting += state.jumps
        return found

    def _add(self, state: _State) -> int:
        if len(self._states) >= MAX_STATES:
            raise PatternError("is too large")
        self._states.append(state)
        return len(self._states) - 1

    def _build(self, node: _Node, following: int) -> int:
        """Add the states of a node; return the first one."""
        self._parts += 1
        if self._parts > MAX_STATES:
            raise PatternError("is too large")
        if node.kind == "char":
            return self._add(_State(node.chars, (following,)))
        if node.kind == "edge":
            return self._add(_State(None, (following,), at_edge=True))
        if node.kind == "choice":
            return self._add(_State(None, tuple(self._build(p, following) for p in node.parts)))
        if node.kind == "sequence":
            for part in reversed(node.parts):
                following = self._build(part, following)
            return following
        return self._build_repeat(node, following)

    def _build_repeat(self, node: _Node, following: int) -> int:
        (part,) = node.parts
        begin = following
        if node.most is None:
            begin = self._add(_State())
            self._states[begin].jumps = (self._build(part, begin), following)
        else:
            for _ in range(node.most - node.least):
                begin = self._add(_State(None, (self._build(part, begin), following)))
        for _ in range(node.least):
            begin = self._build(part, begin)
        return begin


class _Reader:
    """Reads a pattern into nodes."""

    def __init__(self, pattern: str) -> None:
        self._rest = list(reversed(pattern))
        self._depth = 0

    def whole(self) -> _Node:
        node = self._choice()
        if self._rest:
            raise PatternError('has a ")" without its "("')
        return node

    def _peek(self) -> str:
        return self._rest[-1] if self._rest else ""

    def _take(self, what: str = "") -> str:
        if not self._rest:
            raise PatternError(f'ends before its "{what}"' if what else "ends too early")
        return self._rest.pop()

    def _choice(self) -> _Node:
        parts = [self._sequence()]
        while self._peek() == "|":
            self._take()
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else _Node("choice", parts=tuple(parts))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        while self._peek() not in ("", "|", ")"):
            parts.append(self._repeated(self._one()))
        if not parts:
            raise PatternError("has an empty part")
        return parts[0] if len(parts) == 1 else _Node("sequence", parts=tuple(parts))

    def _one(self) -> _Node:
        char = self._take()
        if char == "(":
            return self._group()
        if char == "[":
            return _Node("char", self._set())
        if char == "\\":
            return self._escaped()
        if char in "^$*+?{":
            raise PatternError(f'has a "{char}" where it is not supported')
        return _Node("char", _ANY if char == "." else CharSet(frozenset(char.lower()[:1])))

    def _group(self) -> _Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PatternError("is nested too deeply")
        if self._peek() == "?":
            self._take()
            if self._take(":") != ":":
                raise PatternError('has a "(?" that is not supported')
        node = self._choice()
        self._take(")")
        self._depth -= 1
        return node

    def _escaped(self) -> _Node:
        char = self._take()
        if char == "b":
            return _Node("edge")
        if char.lower() in _CLASSES:
            return _Node("char", CharSet(classes=(char,)))
        return _Node("char", CharSet(frozenset(self._literal(char))))

    def _literal(self, char: str) -> str:
        """Return the character that a character after a backslash stands for."""
        if char.isalnum() and char not in _PLAIN:
            raise PatternError(f'has a "\\{char}", which is not supported')
        return _PLAIN.get(char, char)

    def _set(self) -> CharSet:
        negated = self._peek() == "^"
        if negated:
            self._take()
        chars: set[str] = set()
        ranges: list[tuple[str, str]] = []
        classes: list[str] = []
        while not (self._peek() == "]" and (chars or ranges or classes)):
            char = self._take("]")
            if char == "\\":
                char = self._take("]")
                if char.lower() in _CLASSES:
                    classes.append(char)
                    continue
                char = self._literal(char)
            low = char.lower()[:1]
            if self._peek() == "-" and len(self._rest) > 1 and self._rest[-2] != "]":
                self._take()
                high = self._take("]").lower()[:1]
                if high == "\\" or high < low:
                    raise PatternError("has a range whose ends do not fit")
                ranges.append((low, high))
            else:
                chars.add(low)
        self._take("]")
        return CharSet(frozenset(chars), tuple(ranges), tuple(classes), negated)

    def _repeated(self, node: _Node) -> _Node:
        char = self._peek()
        if char not in ("*", "+", "?", "{"):
            return node
        self._take()
        least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(char) or self._counts()
        if self._peek() in ("*", "+", "?", "{"):
            raise PatternError("repeats a repeat")
        return _Node("repeat", parts=(node,), least=least, most=most)

    def _counts(self) -> tuple[int, int | None]:
        text = ""
        while (char := self._take("}")) != "}":
            text += char
        low, comma, high = text.partition(",")
        least = _count(low)
        most = None if comma and not high else _count(high or low)
        if most is not None and most < max(1, least):
            raise PatternError(f'has "{{{text[:20]}}}", which fits nothing')
        return least, most


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) <= MAX_REPEAT):
        raise PatternError(f"repeats by something other than a number up to {MAX_REPEAT}")
    return int(text)


def _is_word(char: str) -> bool:
    return char.isalnum() or char == "_"


def words_pattern(words: Iterable[str]) -> str:
    """Return the pattern of a list of words and phrases.

    A word does not fit inside a longer one, except in scripts without spaces. A phrase may have
    spaces, line ends and hyphens between its words.
    """
    return "|".join(map(_word_pattern, words))


def _word_pattern(word: str) -> str:
    parts = ["".join(c if _is_word(c) else f"\\{c}" for c in part) for part in word.split()]
    before = "\\b" if _has_edge(word.strip()[:1]) else ""
    after = "\\b" if _has_edge(word.strip()[-1:]) else ""
    return before + "[\\s-]+".join(parts) + after


def _has_edge(char: str) -> bool:
    return _is_word(char) and char < WITHOUT_SPACES
