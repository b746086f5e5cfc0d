"""Spoken dates: "the 24th of December", "July 4th 1976", "next Easter", "Thanksgiving".

Holidays are those of the United States and the Christian calendar. A date without a year is the
next one, today included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import lru_cache

from voicechat.server.assistant import spoken_time
from voicechat.server.assistant.numerals import ordinal, whole
from voicechat.server.assistant.spoken_time import DAYS, MONTHS

Words = Sequence[str]
InYear = Callable[[int], date | None]
"""Returns the date in a year; None if that year has none."""

_FIRST_YEAR, _LAST_YEAR = 1583, 9998
"""Years of the Gregorian calendar that Python can compute with."""


def _easter(year: int) -> date:
    """Return Easter Sunday. Source: Meeus, Astronomical Algorithms, chapter 8."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    week = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 19 * week) // 433
    month = (h + week - 7 * m + 90) // 25
    return date(year, month, (h + week - 7 * m + 33 * month + 19) % 32)


def _nth(place: int, weekday: str, month: int, later: int = 0) -> InYear:
    """Return the nth weekday of a month; -1 is the last. later: days after it."""

    def compute(year: int) -> date:
        first = date(year, month, 1) if place > 0 else date(year, month % 12 + 1, 1)
        ahead = (DAYS.index(weekday) - first.weekday()) % 7
        return first + timedelta(days=ahead + 7 * (place - 1 if place > 0 else place) + later)

    return compute


def _on(month: int, day: int) -> InYear:
    def compute(year: int) -> date | None:
        try:
            return date(year, month, day)
        except ValueError:
            return None

    return compute


def _after_easter(days: int) -> InYear:
    return lambda year: _easter(year) + timedelta(days=days)


_HOLIDAYS: dict[str, InYear] = {
    "new year's day|new year's|new year|the new year": _on(1, 1),
    "new year's eve": _on(12, 31),
    "martin luther king day|martin luther king junior day|mlk day": _nth(3, "monday", 1),
    "groundhog day": _on(2, 2),
    "valentine's day|valentine's": _on(2, 14),
    "presidents' day|president's day": _nth(3, "monday", 2),
    "saint patrick's day|st patrick's day": _on(3, 17),
    "april fools' day|april fool's day|april fools": _on(4, 1),
    "earth day": _on(4, 22),
    "may day": _on(5, 1),
    "cinco de mayo": _on(5, 5),
    "mother's day": _nth(2, "sunday", 5),
    "memorial day": _nth(-1, "monday", 5),
    "juneteenth": _on(6, 19),
    "father's day": _nth(3, "sunday", 6),
    "independence day": _on(7, 4),
    "labor day|labour day": _nth(1, "monday", 9),
    "columbus day|indigenous peoples' day": _nth(2, "monday", 10),
    "halloween": _on(10, 31),
    "election day": _nth(1, "monday", 11, later=1),
    "veterans' day|veteran's day|remembrance day": _on(11, 11),
    "thanksgiving|thanksgiving day": _nth(4, "thursday", 11),
    "black friday": _nth(4, "thursday", 11, later=1),
    "cyber monday": _nth(4, "thursday", 11, later=4),
    "christmas eve": _on(12, 24),
    "christmas|christmas day|xmas": _on(12, 25),
    "boxing day": _on(12, 26),
    "mardi gras|shrove tuesday": _after_easter(-47),
    "ash wednesday": _after_easter(-46),
    "palm sunday": _after_easter(-7),
    "good friday": _after_easter(-2),
    "easter|easter sunday": _after_easter(0),
    "easter monday": _after_easter(1),
    "ascension day": _after_easter(39),
    "pentecost": _after_easter(49),
}  # fmt: skip


def _plain(name: str) -> str:
    return name.replace("'", "")


_BY_NAME = {
    _plain(name): (name, in_year)
    for names, in_year in _HOLIDAYS.items()
    for name in names.split("|")
}
_MINOR = frozenset({"the", "de"})
_OPENERS = frozenset(
    {name.split()[0] for name in _BY_NAME} | set(MONTHS) | {"the", "next", "this", "last", "on"}
)


@lru_cache(1024)
def may_begin(word: str) -> bool:
    """Return True if `day` can parse something that starts with this word."""
    return (
        spoken_time.may_begin_day(word)
        or _plain(word) in _OPENERS
        or ordinal([word]) is not None
        or whole([word]) is not None
    )


def day(words: Words, today: date) -> date | None:
    """Parse a day: "tomorrow", "next Friday", "the 24th of December" or "Easter 2030"."""
    found = spoken_time.day(words, today)
    if found is None:
        named = _named(words, today)
        found = named[1] if named else _of_month(words, today)
    return found


def month(words: Words, today: date) -> tuple[int, int] | None:
    """Parse a month, such as "February", "next month" or "june 2030"; return the year and month."""
    text = " ".join(words)
    if text in ("this month", "next month", "last month"):
        step = {"this": 0, "next": 1, "last": -1}[words[0]]
        year, index = divmod(today.year * 12 + today.month - 1 + step, 12)
        return year, index + 1
    if not words or words[0] not in MONTHS:
        return None
    number = MONTHS.index(words[0]) + 1
    if len(words) > 1:
        named = year_of(words[1:])
        return None if named is None else (named, number)
    return today.year + (number < today.month), number


def _of_month(words: Words, today: date) -> date | None:
    """Parse "the 15th": the next day with this number, today included."""
    words = words[1:] if words[:1] == ["on"] else words
    if words[:1] != ["the"] or len(words) < 2 or words[1] in ("first", "second", "third"):
        return None
    number = ordinal(words[1:])
    if number is None or not 1 <= number <= 31:
        return None
    months = range(today.year * 12 + today.month - 1, today.year * 12 + today.month + 3)
    days = (_on(index % 12 + 1, number)(index // 12) for index in months)
    return next((day for day in days if day is not None and day >= today), None)


def name(words: Words, today: date) -> str:
    """Return the name of a date or a holiday as it is written; empty for other days."""
    named = _named(words, today)
    return named[0] if named else ""


def _named(words: Words, today: date) -> tuple[str, date] | None:
    """Return the name and the date of a holiday, or of a month and a day."""
    words = list(words[1:] if words[:1] == ["on"] else words)
    if words in (["the", "weekend"], ["this", "weekend"], ["next", "weekend"]):
        return "The weekend", today + timedelta(days=(5 - today.weekday()) % 7)
    step, words = _relative_year(words)
    for cut in (len(words), *range(len(words) - 1, max(len(words) - 6, 0), -1)):
        year = year_of(words[cut:]) if cut < len(words) else None
        if cut < len(words) and year is None:
            continue
        found = _in_year(words[:cut])
        if found is not None and not (year and step is not None):
            moment = _choose(found[1], year, step, today)
            if moment is None:
                return None
            shown = found[0] or f"{MONTHS[moment.month - 1].capitalize()} {moment.day}"
            return shown + (f", {moment.year}" if year or not found[0] else ""), moment
    return None


def _relative_year(words: list[str]) -> tuple[int | None, list[str]]:
    """Return the number of years from now that "next" or "last year" names, and the other words."""
    for phrase, step in (("this year", 0), ("next year", 1), ("last year", -1)):
        if words[-2:] == phrase.split():
            return step, words[:-2]
    if words[:2] == ["this", "year's"]:
        return 0, words[2:]
    if words[:1] == ["last"]:
        return -2, words[1:]
    return None, words[1:] if words[:1] in (["next"], ["this"]) else words


def _choose(in_year: InYear, year: int | None, step: int | None, today: date) -> date | None:
    """Return the date in the given year, the next one, or the last one."""
    if year is not None:
        return in_year(year)
    if step == -2:
        past = [in_year(today.year - back) for back in range(9)]
        return next((one for one in past if one is not None and one < today), None)
    if step is not None:
        return in_year(today.year + step)
    coming = [in_year(today.year + ahead) for ahead in range(9)]
    return next((one for one in coming if one is not None and one >= today), None)


def _in_year(words: Words) -> tuple[str, InYear] | None:
    """Return the display name of a holiday, empty for other dates, and the date in each year."""
    holiday = _BY_NAME.get(_plain(" ".join(words)))
    if holiday is not None:
        parts = holiday[0].removeprefix("the ").split()
        return " ".join(w if w in _MINOR else w.capitalize() for w in parts), holiday[1]
    plain = [word for word in words if word not in ("the", "of")]
    if len(plain) < 2:
        return None
    for month, rest in ((plain[0], plain[1:]), (plain[-1], plain[:-1])):
        number = ordinal(rest) or whole(rest)
        if month in MONTHS and number is not None and 1 <= number <= 31:
            return "", _on(MONTHS.index(month) + 1, number)
    return None


def year_of(words: Words) -> int | None:
    """Parse "1976", "nineteen seventy six" or "two thousand and ten"."""
    words = [word for word in words if word not in ("in", "of")]
    if len(words) == 1 and not re.fullmatch(r"\d{4}", words[0]):
        return None
    value = whole(words) if words else None
    for cut in range(1, len(words)):
        high, low = whole(words[:cut]), whole(words[cut:])
        if high is not None and low is not None and 15 < high < 100 and 9 < low < 100:
            value = high * 100 + low
    return value if value is not None and _FIRST_YEAR <= value <= _LAST_YEAR else None
