"""Spoken durations, times of day and dates: words to values.

Every parser takes lower-case words and parses all of them, or returns None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from fractions import Fraction

from voicechat.server.assistant.numerals import number, whole
from voicechat.skills.wall_clock import next_wall_clock

Words = Sequence[str]

_SPANS = {
    "second": 1, "sec": 1, "s": 1,
    "minute": 60, "min": 60, "m": 60,
    "hour": 3600, "hr": 3600, "h": 3600,
    "day": 86400,
    "week": 604800,
}  # fmt: skip
UNITS = _SPANS | {name + "s": value for name, value in _SPANS.items() if len(name) > 1}
"""Words for units of time, and their seconds."""
DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
LONGEST = 10**12
"""Maximum duration in seconds."""
_MAX_DISTANCE_S = 366 * 86400
"""Maximum distance of a date from today, in seconds."""
SIGNS = ("-", "minus", "negative")


def duration(words: Words) -> int | None:
    """Parse "an hour and a half", "two minutes thirty" or "90 seconds"; return seconds.

    The result is negative after a sign, as in "minus five minutes".
    """
    if words[:1] and words[0] in SIGNS:
        seconds = duration(words[1:])
        return None if seconds is None or seconds < 0 else -seconds
    total = _pieces(list(words))
    return int(total) if total is not None and (not total or 1 <= total <= LONGEST) else None


def _pieces(words: list[str]) -> Fraction | None:
    """Parse amounts of falling units, joined by "and" or by nothing."""
    total, smallest = Fraction(0), LONGEST
    if words[:2] == ["hour", "and"]:
        words = ["an", *words]
    while words:
        end = next((place for place, word in enumerate(words) if word in UNITS), None)
        if end is None:
            tail = _bare_tail(words, smallest)
            return None if tail is None else total + tail
        unit = UNITS[words[end]]
        amount = _amount(words[:end])
        if words[:end] in (["a"], ["an"]) and words[end].endswith("s"):
            return None  # "a minutes" lacks its number.
        if amount is None or unit >= smallest:
            return None
        total, smallest, words = total + amount * unit, unit, words[end + 1 :]
        if words[:3] in (["and", "a", "half"], ["and", "a", "quarter"]) and len(words) == 3:
            return total + Fraction(unit, 2 if words[2] == "half" else 4)
        if words[:1] == ["and"]:
            words = words[1:] or ["?"]
    return total if smallest < LONGEST else None


def _amount(words: list[str]) -> Fraction | None:
    """Parse the number before a unit, including "a", "half a" and "three quarters of an"."""
    if words in (["a"], ["an"], ["one"], ["another"]):
        return Fraction(1)
    if words[:1] == ["a"] and words[1:] in (["half"], ["quarter"]):
        words = words[1:]
    for article in (["of", "an"], ["of", "a"], ["an"], ["a"]):
        if words[-len(article) :] == article:
            part = number(words[: -len(article)])
            return part if part is not None and 0 < part < 1 else None
    value = number(words)
    return value if value is not None and value >= 0 else None


def _bare_tail(words: list[str], smallest: int) -> int | None:
    """Parse "an hour thirty" or "two minutes thirty", where the second number has no unit."""
    value = whole(words)
    if smallest not in (3600, 60) or value is None or not 0 < value < 60:
        return None
    return value * smallest // 60


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time of day, on the next day if `tomorrow`.

    `exact` is True if morning and evening cannot be confused, as in "5 pm", "17:00" and "05:00".
    """

    hour: int
    minute: int
    exact: bool
    tomorrow: bool = False

    def __str__(self) -> str:
        return f"{self.hour:02}:{self.minute:02}"

    def after(self, now: datetime, day: int | None = None, awake: bool = False) -> datetime:
        """Return the next such time after `now`, or the one `day` days from today.

        awake: choose between morning and evening so that the user is likely to be awake.
        """
        one_hour = self.exact or (day and not awake)
        hours = {self.hour} if one_hour else {self.hour, (self.hour + 12) % 24}
        moment = next_wall_clock(now, hours, self.minute, days=day or 0)
        if awake and not _is_waking_time(moment, now, is_any_day=not day):
            moment = next_wall_clock(moment, hours, self.minute, days=0)
        return moment


_WAKING_HOURS = range(7, 22)
_SOON = timedelta(hours=3)


def _is_waking_time(moment: datetime, now: datetime, is_any_day: bool) -> bool:
    """Return True for an hour of the day.

    is_any_day: the user named no day, so the next hours and late this evening count as well.
    """
    this_evening = moment.date() == now.date() and moment.hour >= _WAKING_HOURS.stop
    near = is_any_day and (this_evening or moment - now <= _SOON)
    return near or moment.hour in _WAKING_HOURS


_FIXED = {"noon": (12, 0), "midday": (12, 0), "midnight": (0, 0)}
HALVES = {
    "am": 0, "in the morning": 0,
    "pm": 12, "in the afternoon": 12, "in the evening": 12, "at night": 12, "tonight": 12,
}  # fmt: skip


_DAY = "(?:tomorrow|today|this)(?: (?:morning|afternoon|evening|night))?"
_WITH_DAY = re.compile(
    rf"(?:(?P<before>{_DAY}|tonight)(?: at)? )?(?P<time>.+?)(?: (?:on )?(?P<after>{_DAY}))?"
)


def clock(words: Words) -> ClockTime | None:
    """Parse "half past six", "seven thirty in the morning", "7:30 pm tomorrow" or "noon"."""
    text = " ".join(words)
    if (named := _WITH_DAY.fullmatch(text)) and (day := named["before"] or named["after"]):
        return _on_day(named["time"], day)
    shift: int | None = None
    for ending, hours in HALVES.items():
        if text.endswith(" " + ending):
            text, shift = text[: -len(ending) - 1], hours
            break
    if text in _FIXED:
        return ClockTime(*_FIXED[text], exact=True)
    read = _face(text.split())
    if read is None:
        return None
    hour, minute = read
    if shift is not None:
        return ClockTime(hour % 12 + shift, minute, exact=True) if 0 < hour <= 12 else None
    return ClockTime(hour, minute, exact=not 1 <= hour <= 12 or text.startswith("0"))


def _on_day(time: str, day: str) -> ClockTime | None:
    """Parse a time of day with "tomorrow", "tonight" or "this evening"."""
    name, _, half = day.partition(" ")
    if name == "this" and not half:
        return None
    half = "night" if name == "tonight" else half
    part = {"": "", "night": " at night"}.get(half, f" in the {half}")
    found = clock(f"{time}{part}".split()) or clock(time.split())
    if found is None or found.tomorrow:
        return None
    return replace(found, tomorrow=name == "tomorrow")


def _face(words: list[str]) -> tuple[int, int] | None:
    """Parse the hour and minute, without AM or PM."""
    # A recognizer also writes "730" for seven thirty.
    if len(words) == 1 and (match := re.fullmatch(r"(\d{1,2}):?(\d\d)", words[0])):
        return _checked(int(match[1]), int(match[2]))
    if words[-1:] in (["o'clock"], ["oclock"]):
        return _checked(_hour(words[:-1]), 0)
    for word, sign in (
        ("past", 1),
        ("after", 1),
        ("to", -1),
        ("till", -1),
        ("before", -1),
        ("of", -1),
    ):
        if word in words:
            cut = words.index(word)
            return _around(words[:cut], sign, words[cut + 1 :])
    for cut in range(1, len(words)):
        minute = _minutes(words[cut:])
        if minute is not None and (hour := _hour(words[:cut])) is not None:
            return _checked(hour, minute)
    return _checked(_hour(words), 0)


def _around(offset: list[str], sign: int, hour_words: list[str]) -> tuple[int, int] | None:
    if hour_words[-1:] == ["o'clock"]:
        hour_words = hour_words[:-1]
    fixed = _FIXED.get(" ".join(hour_words))
    hour = fixed[0] if fixed else _hour(hour_words)
    if offset[-1:] in (["minutes"], ["minute"]):
        offset = offset[:-1]
    named = {"half": 30, "quarter": 15, "a quarter": 15}.get(" ".join(offset))
    minute = named if named is not None else whole(offset)
    if hour is None or minute is None or not 0 < minute < 60:
        return None
    return (hour, minute) if sign > 0 else ((hour - 1) % 24 or 12, 60 - minute)


def _hour(words: list[str]) -> int | None:
    value = whole(words)
    return value if value is not None and 0 <= value <= 23 else None


def _minutes(words: list[str]) -> int | None:
    """Parse minutes: "thirty", "oh five", "forty five"; never one digit alone."""
    if words[0] in ("oh", "o", "zero") and len(words) == 2:
        value = whole(words[1:])
        return value if value is not None and 0 < value < 10 else None
    value = whole(words)
    return value if value is not None and 10 <= value < 60 else None


def _checked(hour: int | None, minute: int) -> tuple[int, int] | None:
    return (hour, minute) if hour is not None and 0 <= hour < 24 and 0 <= minute < 60 else None


_DAY_OPENERS = frozenset(
    (
        "today tonight now tomorrow yesterday the day overmorrow next last on this in "
        + " ".join(DAYS)
    ).split()
)


def may_begin_day(word: str) -> bool:
    """Return True if `day` can parse something that starts with this word."""
    return word in _DAY_OPENERS or number([word]) is not None or word in ("a", "an", "two")


def day(words: Words, today: date) -> date | None:
    """Parse "tomorrow", "next friday", "in three days" or "a week from now"."""
    text = " ".join(words)
    fixed = {
        "today": 0, "tonight": 0, "now": 0, "tomorrow": 1, "yesterday": -1,
        "the day after tomorrow": 2, "day after tomorrow": 2, "overmorrow": 2,
        "the day before yesterday": -2, "day before yesterday": -2,
        "next week": 7, "last week": -7,
    }  # fmt: skip
    if text in fixed:
        return today + timedelta(days=fixed[text])
    return _weekday(list(words), today) or _distance(list(words), today)


def _weekday(words: list[str], today: date) -> date | None:
    *front, name = words or ["?"]
    if name not in DAYS or front not in (
        [],
        ["on"],
        ["next"],
        ["this"],
        ["last"],
        ["this", "coming"],
    ):
        return None
    ahead = (DAYS.index(name) - today.weekday()) % 7
    if front == ["last"]:
        return today - timedelta(days=7 - ahead)
    return today + timedelta(days=ahead or 7)


def _distance(words: list[str], today: date) -> date | None:
    sign = 1
    if words[:1] == ["in"]:
        words = words[1:]
    elif words[-2:] == ["from", "now"] or words[-2:] == ["from", "today"]:
        words = words[:-2]
    elif words[-1:] == ["ago"]:
        words, sign = words[:-1], -1
    else:
        return None
    seconds = duration(words)
    if seconds is None or seconds % 86400 or not 0 < seconds <= _MAX_DISTANCE_S:
        return None
    return today + timedelta(days=sign * seconds // 86400)
