"""Answers about the time, dates, and the time until a date."""

from __future__ import annotations

from calendar import isleap, monthrange
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from voicechat.server.assistant import calendar_days
from voicechat.server.assistant.answer_context import Answer, AnswerContext
from voicechat.server.assistant.spoken_time import DAYS, MONTHS, ClockTime
from voicechat.skills import wall_clock
from voicechat.skills.wording import clock_sentence, lasting, sentence, spoken_clock

_DAYS_IN = {"week": 7, "month": 30.4369, "year": 365.2425}


def _time(context: AnswerContext) -> str:
    now, place = context.now(), context.values.get("place")
    if not isinstance(place, tuple):
        return clock_sentence(now, now)
    shown, zone = place
    try:
        return clock_sentence(now.astimezone(ZoneInfo(zone)), now, shown)
    except (ZoneInfoNotFoundError, OSError):
        return f"This machine has no time zones, so I can't tell the time in {shown}."


def _spoken_date(when: date) -> str:
    return f"{DAYS[when.weekday()].capitalize()}, {MONTHS[when.month - 1].capitalize()} {when.day}"


def _requested_day(context: AnswerContext) -> tuple[str, str, date]:
    """Return the day in the words of the question, the verb for it, and its date."""
    words = (context.text("when") or "today").split()
    today = context.now().date()
    when = calendar_days.day(words, today) or today
    words = words[1:] if words[0] == "on" else words
    named = " ".join(word.capitalize() if word in DAYS else word for word in words)
    return calendar_days.name(words, today) or named, "was" if when < today else "is", when


def _date(context: AnswerContext) -> str:
    words, verb, when = _requested_day(context)
    if _is_date(words):
        return sentence(f"{words} {verb} a {DAYS[when.weekday()].capitalize()}")
    return sentence(f"{words} {verb} {_spoken_date(when)}, {when.year}")


def _day(context: AnswerContext) -> str:
    words, verb, when = _requested_day(context)
    weekday = DAYS[when.weekday()].capitalize()
    if _is_date(words):
        return sentence(f"{words} {verb} a {weekday}")
    has_weekday = any(name in words.lower() for name in DAYS)
    is_holiday = bool(calendar_days.name(words.lower().split(), context.now().date()))
    shown = _spoken_date(when) if has_weekday or is_holiday else weekday
    return sentence(f"{words} {verb} {shown}")


def _is_date(words: str) -> bool:
    """Return True for a month and a day, such as "December 24, 2026"."""
    return words.split()[0].lower() in MONTHS and words[-1].isdigit()


def _until(context: AnswerContext) -> str:
    """Tell how long it is until a day or a time of day, or since a day."""
    tomorrow = context.values.get("tomorrow")
    clock = tomorrow or context.values.get("at")
    if isinstance(clock, ClockTime):
        moment = clock.after(context.now(), 1 if tomorrow else None)
        left = (moment - context.now()) / timedelta(seconds=1)
        return sentence(f"it is {lasting(round(left / 60) * 60)} until {spoken_clock(moment)}")
    words, _, when = _requested_day(context)
    if "past" in context.values and when > context.now().date():
        last = ["last", *context.text("when").split()]
        when = calendar_days.day(last, context.now().date()) or when
    days = (when - context.now().date()).days
    if not days:
        return sentence(f"{words} is today")
    if days < 0:
        return sentence(f"{words} was {_distance(-days, context.text('unit'))} ago")
    distance = _distance(days, context.text("unit"))
    date_too = "" if _is_date(words) else f", on {_spoken_date(when)}"
    return sentence(f"{words} is in {distance}{date_too}")


def _distance(days: int, unit: str) -> str:
    """Return a number of days in words; in weeks, months or years where the user asked so."""
    if unit in ("hour", "minute"):
        return f"about {days * (24 if unit == 'hour' else 1440):,} {unit}s"
    if unit not in _DAYS_IN:
        return _counted(days, "day")
    count, rest = int(days / _DAYS_IN[unit]), 0
    rest = round(days - count * _DAYS_IN[unit])
    if not count:
        return _counted(days, "day")
    about = "" if unit == "week" or not rest else "about "
    return about + _counted(count, unit) + (f" and {_counted(rest, 'day')}" if rest else "")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}{'' if count == 1 else 's'}"


def _month_days(context: AnswerContext) -> str:
    today = context.now().date()
    year, month = calendar_days.month(context.text("month").split(), today) or (0, 0)
    name, count = MONTHS[month - 1].capitalize(), monthrange(year, month)[1]
    shown = f"{name} {year}" if month == 2 else name
    return f"{shown} has {count} days."


def _leap_year(context: AnswerContext) -> str:
    year = context.whole("year", context.now().year)
    if isleap(year):
        return f"{year} is a leap year."
    following = next(later for later in range(year + 1, year + 9) if isleap(later))
    return f"{year} is not a leap year. The next one is {following}."


def _time_shift(context: AnswerContext) -> str:
    """Tell the time after or before a duration."""
    now = context.now()
    back = "past" in context.values
    try:
        moment = wall_clock.later(now, context.whole("seconds", 0) * (-1 if back else 1))
    except (OverflowError, ValueError):
        return "That is too far away."
    day = "" if moment.date() == now.date() else f" on {_spoken_date(moment.date())}"
    return f"It {'was' if back else 'will be'} {spoken_clock(moment)}{day}."


def _zone_difference(context: AnswerContext) -> str:
    places = [context.values.get(name) for name in ("first", "second")]
    here = context.now()
    found = [(str(one[0]), str(one[1])) for one in places if isinstance(one, tuple)]
    try:
        offsets = [_offset(here, ZoneInfo(zone)) for _, zone in found]
    except (ZoneInfoNotFoundError, OSError):
        return "This machine has no time zones, so I can't tell the difference."
    names = [name for name, _ in found]
    if len(found) == 1:
        names, offsets = [*names, "here"], [*offsets, here.utcoffset() or timedelta()]
    apart = abs(offsets[0] - offsets[1])
    relation = "ahead of" if offsets[0] > offsets[1] else "behind"
    if not apart:
        return sentence(f"{names[0]} has the same time as {names[1]}")
    return sentence(f"{names[0]} is {lasting(apart.total_seconds())} {relation} {names[1]}")


def _offset(now: datetime, zone: ZoneInfo) -> timedelta:
    return now.astimezone(zone).utcoffset() or timedelta()


ANSWERS: Mapping[str, Answer] = {
    "time": _time,
    "date": _date,
    "day": _day,
    "until": _until,
    "month_days": _month_days,
    "leap_year": _leap_year,
    "week_number": lambda on: f"It's week {on.now().isocalendar().week}.",
    "time_shift": _time_shift,
    "zone_difference": _zone_difference,
}
