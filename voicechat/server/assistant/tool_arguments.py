"""Tool arguments, taken from a sentence and its intent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from voicechat.server.assistant import plausibility
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.measurements import Measure
from voicechat.server.assistant.numerals import may_start, number
from voicechat.server.assistant.sentence_words import SentenceWords, read
from voicechat.server.assistant.spoken_time import ClockTime, duration

Schema = Mapping[str, object]


class MissingArgument(Exception):
    """The sentence lacks a required argument. `name` is the argument in words."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


_NAMES: Mapping[str, tuple[str, ...]] = {
    "sum": ("expression", "formula", "calculation", "query", "input", "sum"),
    "name": ("name", "label", "title"),
    "at": ("time", "at", "when", "clock"),
    "add": ("add_seconds",),
    "tomorrow": ("tomorrow", "next_day"),
    "all": ("all", "every", "everything"),
    "list": ("list", "list_name", "name"),
    "item": ("item", "items", "entry", "text", "value"),
    "text": ("text", "content", "note", "message", "task", "body", "label"),
    "when": ("date", "day", "when"),
    "to": ("to_unit", "to", "unit_to", "target", "target_unit"),
    "low": ("low", "min", "minimum", "from", "start"),
    "high": ("high", "max", "maximum", "to", "end"),
    "count": ("count", "number", "dice", "rolls", "times"),
    "sides": ("sides", "faces"),
    "command": ("command",),
    "argument": ("argument",),
}
"""The usual parameter names of tools for the values of intents."""
_SPANS = {"second": 1, "minute": 60, "hour": 3600}
_PLACES = ("city", "location", "place", "country", "town", "where", "region", "address", "area")
_WHOLE = ("query", "question", "prompt", "input", "text", "message", "content", "q", "search")
_ARTICLES = frozenset({"the", "a", "an", "my"})
_PREPOSITIONS = frozenset({"in", "for", "at", "to", "of", "about", "from", "on", "named", "called",
                           "near", "with", "by", "into", "saying", "that", "is"})  # fmt: skip
_GRAMMAR_WORDS = (
    "the a an my me please turn switch set get show tell give what how and off make put you can "
    "could will would i want do does are it up down open close start stop play run use like "
    "copy write"
)
_GRAMMAR = _PREPOSITIONS | frozenset(_GRAMMAR_WORDS.split())
_MOST_LEFT = 4
PATH = re.compile(r"https?://\S+|(?<!\w)(?:[~.]{0,2}[/\\]\S+|[\w-]+(?:/[\w.-]+)+|[\w-]+\.\w+)")
_LEADING = re.compile(
    r"^(?:(?:please|hey|okay|ok|can you|could you|would you|will you|i want to|i would like to|"
    r"i'd like to|let's|use the|use|what is|what's|whats|what|tell me|give me|show me|how is|"
    r"how's|is it|the|a|an|my|me|for|of|about|on|to|in|with|saying)\s+)+",
    re.IGNORECASE,
)
_TRAILING = re.compile(
    r"[\s,]+(?:please|today|tonight|tomorrow|right now|now|at the moment|like|be|for me|thanks)$",
    re.IGNORECASE,
)


def fill(
    schema: Schema, text: str, meaning: Meaning | None, trigger: Sequence[str], forced: bool
) -> dict[str, object]:
    """Return arguments that fit the JSON schema; optional ones only if the sentence has them.

    trigger: words that named the tool; they are excluded from free text.
    Raises `MissingArgument` if a required one is not found, unless `forced`.
    """
    properties = _mapping(schema.get("properties"))
    listed = schema.get("required")
    required = [str(name) for name in listed] if isinstance(listed, list) else []
    sentence = _Sentence(text, meaning, trigger)
    sole = len(properties) == 1 or len([name for name in properties if name in required]) == 1
    arguments: dict[str, object] = {}
    for name, kind in properties.items():
        needed = name in required
        found = sentence.value(name, _mapping(kind), sole and (needed or not required), needed)
        if found is None and needed:
            if not forced:
                raise MissingArgument(_shown(name))
            found = _guess(_mapping(kind), text)
        if found is not None:
            arguments[name] = found
    moments = [name for name in properties if re.fullmatch("seconds|minutes|time", name.lower())]
    if len(moments) > 1 and not forced and not any(name in arguments for name in moments):
        raise MissingArgument("time")
    return arguments


def _shown(name: str) -> str:
    return re.sub(r"[_-]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).lower()


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "string")
    return str(kind or "string")


def _guess(schema: Schema, text: str) -> object:
    """Return a value of the right type for a forced call."""
    options = schema.get("enum")
    if isinstance(options, list) and options:
        return options[0]
    empty: dict[str, object] = {
        "integer": 0,
        "number": 0,
        "boolean": False,
        "array": [],
        "object": {},
    }
    return schema.get("default", empty.get(_kind(schema), text))


class _Sentence:
    """Finds values in one sentence."""

    def __init__(self, text: str, meaning: Meaning | None, trigger: Sequence[str]) -> None:
        self._text = text
        self._heard: SentenceWords = read(text)
        self._meaning = meaning
        self._trigger = set(trigger) | {word + "s" for word in trigger}
        self._numbers = _numbers(self._heard.plain)

    def value(self, name: str, schema: Schema, alone: bool, needed: bool) -> object | None:
        """Return the value of a parameter. `alone` is True if it is the only one to find."""
        options = schema.get("enum")
        if isinstance(options, list):
            known = self._understood(name, _kind(schema))
            return known if known in options else self._option(options)
        found = self._understood(name, _kind(schema))
        if found is not None:
            return found
        if self._meaning is not None and (not needed or _known(self._meaning)):
            return None
        if re.search("|".join(_SPANS), name.lower()):
            return self._span(name.lower())
        finder: Mapping[str, Callable[[], object | None]] = {
            "integer": self._whole,
            "number": self._number,
            "boolean": self._switch,
            "array": self._several,
            "object": lambda: None,
        }
        return finder.get(_kind(schema), lambda: self._string(name, alone, needed))()

    def _option(self, options: Sequence[object]) -> object | None:
        """Return the enum option that the sentence names."""
        said = f" {' '.join(self._heard.plain)} "
        for option in sorted(options, key=lambda one: -len(str(one))):
            if f" {' '.join(read(_shown(str(option))).plain)} " in said:
                return option
        return None

    def _understood(self, name: str, kind: str) -> object | None:
        """Return the value of the intent that usually belongs to this parameter."""
        values = self._meaning.values if self._meaning else {}
        plain = name.lower()
        for key, value in values.items():
            if key == "seconds" and isinstance(value, int) and kind != "string":
                divisor = next((size for unit, size in _SPANS.items() if unit in plain), 1)
                if divisor > 1 or re.search("second|duration|delay|length|time", plain):
                    return value if divisor == 1 else round(value / divisor, 4)
            elif key == "place" and isinstance(value, tuple):
                city, zone = map(str, value)
                wanted = zone if re.search("zone|tz", plain) else None
                return city if plain in _PLACES else wanted
            elif isinstance(value, Measure):
                if (taken := _measured(value, plain)) is not None:
                    return taken
            elif plain in _NAMES.get(key, ()):
                return _fitted(value, kind)
        return None

    def _span(self, name: str) -> float | int | None:
        """Return a spoken duration, in the unit of the parameter."""
        plain = self._heard.plain
        for start in range(len(plain)):
            for end in range(min(len(plain), start + 9), start, -1):
                if (seconds := duration(plain[start:end])) is not None:
                    size = next(size for unit, size in _SPANS.items() if unit in name)
                    return seconds if size == 1 else round(seconds / size, 4)
        return None

    def _number(self) -> float | int | None:
        if not self._numbers:
            return None
        value = self._numbers.pop(0)
        return int(value) if value.denominator == 1 else float(value)

    def _whole(self) -> int | None:
        value = self._number()
        return None if value is None else int(value)

    def _switch(self) -> bool | None:
        words = set(self._heard.plain)
        if words & {"off", "no", "false", "not", "disable"}:
            return False
        return True if words & {"on", "yes", "true", "enable"} else None

    def _several(self) -> list[object] | None:
        if self._numbers:
            values = [int(one) if one.denominator == 1 else float(one) for one in self._numbers]
            self._numbers.clear()
            return list(values)
        return None

    def _string(self, name: str, alone: bool, needed: bool) -> str | None:
        quoted = re.search(r"[\"“](.+?)[\"”]", self._text)
        if quoted:
            return quoted[1]
        named = re.search(
            rf"\b{re.escape(_shown(name))}\s+(?:is|of|to|called|named|=|:)?\s*(\S+)",
            self._text,
            re.IGNORECASE,
        )
        if named and name.lower() not in self._trigger:
            return named[1].strip(" ,.?!")
        path = PATH.search(self._text)
        if path and re.search("path|file|url|uri|dir|folder|link", name.lower()):
            return path[0].rstrip(".,?!")
        if re.fullmatch("url|uri|link", name.lower()):
            return None
        rest = self._rest if alone else self._leftover
        found = self._after_preposition(name) or (rest() if needed or alone else None)
        return found if found and plausibility.is_argument(name, read(found).plain) else None

    def _after_preposition(self, name: str) -> str | None:
        """Return the words after "in", "for" and so on, for places and short phrases."""
        if name.lower() in _WHOLE:
            return None
        plain = self._heard.plain
        places = ("in", "at", "for", "near", "of") if name.lower() in _PLACES else _PREPOSITIONS
        for at in range(len(plain) - 2, -1, -1):
            if plain[at] in places and not set(plain[at + 1 :]) <= self._trigger:
                while plain[at + 1] in self._trigger or plain[at + 1] in _ARTICLES:
                    at += 1
                return _bare(self._heard.span(at + 1, len(plain))) or None
        return None

    def _rest(self) -> str | None:
        """Return the words after those that selected the tool."""
        plain = self._heard.plain
        last = max((at for at, word in enumerate(plain) if word in self._trigger), default=-1)
        if last + 1 >= len(plain):
            return self._leftover()
        return _bare(self._heard.span(last + 1, len(plain))) or self._leftover()

    def _leftover(self) -> str | None:
        """Return the one phrase that is neither grammar nor the name of the tool."""
        plain = self._heard.plain
        used = self._trigger | _GRAMMAR
        left = [at for at, word in enumerate(plain) if word not in used and not may_start(word)]
        close = bool(left) and left[-1] - left[0] < _MOST_LEFT
        return self._heard.span(left[0], left[-1] + 1) if close else None


def _known(meaning: Meaning) -> bool:
    """Return True if the intent holds all values, so that no words are left to search."""
    return bool(meaning.values) and meaning.intent != "calculate"


def _measured(value: Measure, name: str) -> object | None:
    amount, unit = value.parts[0]
    if name in ("value", "amount", "quantity", "number"):
        return int(amount) if amount.denominator == 1 else float(amount)
    return (
        unit
        if name in ("from_unit", "from", "unit_from", "source", "source_unit", "unit")
        else None
    )


def _fitted(value: object, kind: str) -> object:
    """Convert the value to the type of the schema."""
    if isinstance(value, Fraction):
        exact = int(value) if value.denominator == 1 else float(value)
        return str(exact) if kind == "string" else exact
    if kind == "array":
        return [piece.strip() for piece in re.split(r",| and ", str(value)) if piece.strip()]
    return str(value) if isinstance(value, ClockTime) or kind == "string" else value


def _numbers(words: Sequence[str]) -> list[Fraction]:
    """Return the numbers in a sentence, each in its longest form."""
    found: list[Fraction] = []
    at = 0
    while at < len(words):
        ends = range(min(len(words), at + 8), at, -1) if may_start(words[at]) else range(0)
        for end in ends:
            value = number(words[at:end])
            if value is not None:
                found.append(value)
                at = end - 1
                break
        at += 1
    return found


def _bare(text: str) -> str:
    text = _LEADING.sub("", text.strip() + " ").strip(" ,.?!")
    while (shorter := _TRAILING.sub("", text)) != text:
        text = shorter
    return text.strip(" ,.?!")
