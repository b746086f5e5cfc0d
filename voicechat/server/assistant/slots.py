"""The slots of sentence templates: a parser and a sentence sampler for each kind of value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from random import Random

from voicechat.server.assistant import (
    calendar_days,
    measurements,
    numerals,
    plausibility,
    spoken_arithmetic,
    spoken_time,
    time_zones,
)
from voicechat.server.assistant.numerals import cardinal_words
from voicechat.server.assistant.templates import Slot
from voicechat.skills import units

Words = Sequence[str]


class Span:
    """Free text; its value is the original text of its words."""


_FREE = Span()


def _checked(
    reader: Callable[[Words], object | None],
    write: Callable[[Random], str],
    longest: int,
    begins: Callable[[str], bool] = lambda word: True,
) -> Slot:
    """Return a slot that takes the words for which `reader` returns a value."""

    def read(words: Words, start: int, stop: int) -> Iterator[tuple[int, object]]:
        if not begins(words[start]):
            return
        for end in range(min(stop, start + longest), start, -1):
            value = reader(words[start:end])
            if value is not None:
                yield end, value

    return Slot(read, write)


def _named(names: Mapping[str, str]) -> Slot:
    """Return a slot for the names of a table; its value is the entry."""
    longest = max(len(name.split()) for name in names)
    return _checked(
        lambda words: names.get(" ".join(words)),
        lambda random: random.choice(list(names)),
        longest,
    )


def _free(
    write: Callable[[Random], str],
    longest: int,
    fits: Callable[[Words], bool] = lambda words: True,
    cost: int = 1,
) -> Slot:
    """Return a slot for free text."""

    def read(words: Words, start: int, stop: int) -> Iterator[tuple[int, object]]:
        for end in range(start + 1, min(stop, start + longest) + 1):
            if fits(words[start:end]):
                yield end, _FREE

    return Slot(read, write, cost)


_TIME_UNITS = {
    "minutes": "minute", "hours": "hour", "days": "day", "sleeps": "day", "nights": "day",
    "weeks": "week", "months": "month", "years": "year",
}  # fmt: skip
_LISTS = {
    "shopping": "shopping", "grocery": "shopping", "groceries": "shopping", "to do": "to do",
    "task": "to do", "tasks": "to do", "chore": "chores", "chores": "chores", "packing": "packing",
    "wish": "wish", "christmas": "christmas", "birthday": "birthday", "guest": "guest",
    "reading": "reading", "travel": "travel", "work": "work",
}  # fmt: skip


_TIMER_KINDS = {
    "timer": "timer", "countdown": "timer", "countdown timer": "timer", "alarm": "alarm",
    "alarm clock": "alarm", "wake up call": "alarm", "reminder": "reminder",
}  # fmt: skip
_TIMER_KINDS_PLURAL = {name + "s": kind for name, kind in _TIMER_KINDS.items()}


def _is_options(words: Words) -> bool:
    """Check for at least two choices with "or" or "and" between them."""
    return len(words) > 2 and any(word in ("or", "and") for word in words[1:-1])


def _is_either(words: Words) -> bool:
    return len(words) > 2 and "or" in words[1:-1] and words[-1] != "or"


def _is_own(words: Words) -> bool:
    return len(words) > 2 and words[0] in ("my", "our", "i", "we")


_SHORT_SAYING = 3


def _is_saying(words: Words) -> bool:
    """Check for words to repeat, rather than a request ("say something in latin")."""
    vague = words[0] in (
        "something",
        "anything",
        "what",
        "it",
        "that",
        "this",
        "nothing",
        "a",
        "if",
    )
    # A recognizer writes "repeat the act" for "repeat that".
    short = words[0] == "the" and len(words) <= _SHORT_SAYING
    return not vague and not short and "in" not in words[-2:-1]


_DOZENS = ("a dozen", "half a dozen", "two dozen", "a score", "a gross")


def _dozens(words: Words) -> str | None:
    """Accept an amount in dozens or scores. The answer computes the number later."""
    return " ".join(words) if numerals.in_dozens(words) is not None else None


def _day(words: Words) -> str | None:
    """Accept words for a day. The answer computes the date later."""
    return " ".join(words) if calendar_days.day(words, date(2000, 1, 1)) is not None else None


def _times(words: Words) -> int | None:
    """Parse "twice" or "three times"."""
    if len(words) == 1:
        return {"once": 1, "twice": 2}.get(words[0])
    return numerals.whole(words[:-1]) if words[-1] == "times" else None


def _more(words: Words) -> int | None:
    """Parse "five more minutes"."""
    if "more" not in words[1:]:
        return None
    return spoken_time.duration([word for word in words if word != "more"])


def _month(words: Words) -> str | None:
    """Accept words for a month. The answer computes its days later."""
    return " ".join(words) if calendar_days.month(words, date(2000, 1, 1)) is not None else None


def _is_month(word: str) -> bool:
    return word in spoken_time.MONTHS or word in ("this", "next", "last")


def _named_measure(words: Words) -> measurements.Measure | None:
    found = measurements.measure(words)
    return found if found is not None and found.name else None


_QUANTITY_WORDS = (
    "and some more a an of few bag bags bottle bottles box boxes can cans carton cartons dozen "
    "loaf loaves pack packs packet packets jar jars"
)
_QUANTITIES = frozenset(_QUANTITY_WORDS.split())


class _Groceries:
    """Checks for known things to buy, with numbers and quantities: "milk and two cans of tuna"."""

    def __init__(self, items: Sequence[str]) -> None:
        words = {word for item in items for word in item.split()}
        self._known = words | {word.removesuffix("s") for word in words} | {w + "s" for w in words}
        self._known -= _QUANTITIES | _ACTIONS

    def __call__(self, words: Words) -> bool:
        """Return True if each word names a thing, or a number or quantity before it."""
        rest = [word for word in words if word not in _QUANTITIES and not numerals.may_start(word)]
        return bool(rest) and self._known.issuperset(rest) and words[-1] == rest[-1]


_ACTION_WORDS = (
    "call the bill rent clean wash walk do send finish book fix door letter report car plant water "
    "flight ticket"
)
_ACTIONS = frozenset(_ACTION_WORDS.split())
"""Words of entries that are no groceries."""


def build(vocabulary: Mapping[str, list[str]]) -> dict[str, Slot]:
    """Return every slot by name. `vocabulary` holds sample words for free text."""

    def some(
        name: str, fits: Callable[[Words], bool] = lambda words: True
    ) -> Callable[[Random], str]:
        samples = [text for text in vocabulary[name] if fits(text.split())]
        return lambda random: random.choice(samples)

    written = _Units()
    own = [fact for fact in vocabulary["facts"] if fact.startswith(("my ", "i "))]
    label, person = plausibility.rule("label"), plausibility.rule("person")
    plain, item = plausibility.rule("text"), plausibility.rule("item")
    deed, groceries = plausibility.rule("deed"), _Groceries(vocabulary["items"])
    return {
        "dozens": _checked(_dozens, lambda random: random.choice(_DOZENS), 4, numerals.may_start),
        "number": _checked(numerals.number, _write_number, 9, numerals.may_start),
        "times": _checked(_times, lambda random: random.choice(("twice", "three times")), 4),
        "count": _checked(numerals.whole, _write_count, 5, numerals.may_start),
        "sum": _checked(
            spoken_arithmetic.expression, spoken_arithmetic.sample, 60, spoken_arithmetic.may_begin
        ),
        "duration": _checked(spoken_time.duration, _write_duration, 9, _may_begin_duration),
        "more": _checked(_more, lambda random: "five more minutes", 6, numerals.may_start),
        "clock": _checked(spoken_time.clock, _write_clock, 10, _may_begin_clock),
        "dated_clock": _checked(
            spoken_time.clock,
            lambda random: f"tomorrow at {_write_clock(random)}",
            10,
            _is_day_word,
        ),
        "day": _checked(_day, _write_day, 9, calendar_days.may_begin),
        "month": _checked(_month, lambda random: random.choice(spoken_time.MONTHS), 4, _is_month),
        "year": _checked(calendar_days.year_of, _write_year, 4),
        "named_measure": _checked(_named_measure, lambda random: "a marathon", 5),
        "groceries": _free(some("items", groceries), 9, groceries),
        "unit": _checked(units.unit, written.unit, 3),
        "measure": _checked(measurements.measure, written.measure, 9, measurements.may_begin),
        "place": _checked(time_zones.zone, lambda random: random.choice(time_zones.NAMES), 5),
        "timer_kind": _named(_TIMER_KINDS),
        "timer_kinds": _named(_TIMER_KINDS_PLURAL),
        "time_unit": _named(_TIME_UNITS),
        "known_list": _named(_LISTS),
        "new_list": _free(some("list_names"), 2, label, cost=3),
        "label": _free(some("labels"), 2, label, cost=2),
        "person": _free(some("names"), 3, person),
        "item": _free(lambda random: _write_items(random, vocabulary["items"]), 12, item),
        "task": _free(some("tasks"), 30, plain),
        "fact": _free(some("facts"), 40, plain),
        "statement": _free(some("facts"), 40, lambda words: len(words) > 1 and plain(words)),
        "note": _free(some("facts"), 40, plausibility.rule("note")),
        "deed": _free(some("tasks", deed), 40, deed),
        "own_fact": _free(lambda random: random.choice(own), 40, _is_own),
        "saying": _free(some("phrases"), 60, _is_saying),
        "text": _free(some("phrases"), 60),
        "word": _free(some("spelling"), 1),
        "options": _free(
            lambda random: _write_options(random, vocabulary["options"]), 14, _is_options
        ),
        "either": _free(lambda random: _write_either(random, vocabulary["options"]), 9, _is_either),
    }


def _may_begin_duration(word: str) -> bool:
    return numerals.may_start(word) or word in ("another", "hour", *spoken_time.SIGNS)


_CLOCK_WORDS = frozenset({"quarter", "noon", "midnight", "midday"})
_DAY_WORDS = frozenset({"tomorrow", "today", "tonight", "this"})


def _is_day_word(word: str) -> bool:
    return word in _DAY_WORDS


def _may_begin_clock(word: str) -> bool:
    return numerals.may_start(word) or word in _CLOCK_WORDS | _DAY_WORDS


def _write_year(random: Random) -> str:
    return f"twenty {cardinal_words(random.randint(10, 50))}"


def _write_number(random: Random) -> str:
    roll = random.random()
    if roll < 0.1:
        return (
            f"{cardinal_words(random.randint(0, 100))} point {cardinal_words(random.randint(1, 9))}"
        )
    if roll < 0.16:
        return random.choice(
            ("a hundred", "a thousand", "half a dozen", "two and a half", "a million")
        )
    return cardinal_words(random.randint(0, random.choice((12, 30, 100, 100, 1000))))


def _write_count(random: Random) -> str:
    return cardinal_words(random.randint(1, random.choice((6, 10, 20, 100, 1000))))


def _write_duration(random: Random) -> str:
    idioms = (
        "half an hour", "an hour and a half", "a minute", "an hour", "a minute and a half",
        "two and a half minutes", "a quarter of an hour", "three quarters of an hour",
        "a couple of minutes", "one hour and thirty minutes", "a minute and thirty seconds",
    )  # fmt: skip
    if random.random() < 0.25:
        return random.choice(idioms)
    unit = random.choice(("second", "minute", "minute", "minute", "minute", "hour"))
    choices = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 25, 30, 40, 45, 50, 60, 90)
    count = (
        random.choice((*choices, random.randint(1, 60)))
        if unit != "hour"
        else random.randint(1, 12)
    )
    return f"{cardinal_words(count)} {unit}{'' if count == 1 or random.random() < 0.15 else 's'}"


def _write_clock(random: Random) -> str:
    hour = cardinal_words(random.randint(1, 12))
    minute = random.choice(("fifteen", "thirty", "forty five", "oh five", "ten", "twenty", "fifty"))
    face = random.choice(
        (
            f"half past {hour}", f"quarter past {hour}", f"a quarter to {hour}", f"ten past {hour}",
            f"twenty to {hour}", f"{hour} o'clock", hour, f"{hour} {minute}", f"{hour} {minute}",
            "noon", "midnight",
        )
    )  # fmt: skip
    if face in ("noon", "midnight"):
        return face
    return random.choice((face, face, f"{face} {random.choice(tuple(spoken_time.HALVES))}"))


def _write_day(random: Random) -> str:
    weekday = random.choice(spoken_time.DAYS)
    return random.choice(
        ("today", "today", "tomorrow", "tomorrow", "yesterday", "the day after tomorrow", weekday,
         f"next {weekday}", f"this {weekday}", f"in {cardinal_words(random.randint(2, 14))} days",
         f"in {cardinal_words(random.randint(2, 8))} weeks", "a week from now")
    )  # fmt: skip


class _Units:
    """Samples units that convert into each other: an amount, and the target unit."""

    def __init__(self) -> None:
        self._family = measurements.FAMILIES[0]
        self._open = False

    def unit(self, random: Random) -> str:
        """Sample a unit of the same kind as the previous one."""
        return units.spoken(random.choice(self._next(random))).lower()

    def measure(self, random: Random) -> str:
        """Sample an amount of a unit of the same kind as the previous one."""
        family = self._next(random)
        count = random.choice((1, 1, 2, 3, 5, 10, 20, 50, 70, 100, random.randint(1, 300)))
        unit = random.choice(family)
        article = "an" if unit in ("inch", "ounce", "hour") else "a"
        amount = article if count == 1 and random.random() < 0.6 else cardinal_words(count)
        return f"{amount} {units.spoken(unit, count)}".lower()

    def _next(self, random: Random) -> tuple[str, ...]:
        if not self._open:
            self._family = random.choice(measurements.FAMILIES)
        self._open = not self._open
        return self._family


def _write_items(random: Random, items: list[str]) -> str:
    first, second = random.choice(items), random.choice(items)
    return first if random.random() < 0.8 else f"{first} and {second}"


def _write_options(random: Random, options: list[str]) -> str:
    first, second, third = random.sample(options, 3)
    return random.choice(
        (f"{first} or {second}", f"{first} and {second}", f"{first} {second} or {third}")
    )


def _write_either(random: Random, options: list[str]) -> str:
    return " or ".join(random.sample(options, 2))
