"""Time, date and weekday."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from voicechat.server.assistant.answers.assistant_request import Ask
from voicechat.server.assistant.spoken_time import DAYS, MONTHS, day
from voicechat.skills.wording import sentence, spoken_clock


def _time(ask: Ask) -> str:
    place = ask.values.get("place")
    if not isinstance(place, tuple):
        return f"It's {spoken_clock(ask.now())}."
    shown, zone = place
    try:
        there = ask.now().astimezone(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, OSError):
        return f"This machine has no time zones, so I can't tell the time in {shown}."
    distance = there.date().toordinal() - ask.now().date().toordinal()
    when = {1: " tomorrow", -1: " yesterday"}.get(distance, "")
    return f"In {shown} it's {spoken_clock(there)}{when}."


def _spoken_date(when: date) -> str:
    return f"{DAYS[when.weekday()].capitalize()}, {MONTHS[when.month - 1].capitalize()} {when.day}"


def _which(ask: Ask) -> tuple[str, date]:
    """The day that was asked about, in words and as a date."""
    words = ask.text("when") or "today"
    today = ask.now().date()
    return words.removeprefix("on "), day(words.split(), today) or today


def _date(ask: Ask) -> str:
    words, when = _which(ask)
    verb = "was" if when < ask.now().date() else "is"
    return sentence(f"{_named(words)} {verb} {_spoken_date(when)}, {when.year}")


def _day(ask: Ask) -> str:
    words, when = _which(ask)
    verb = "was" if when < ask.now().date() else "is"
    if any(name in words for name in DAYS):
        return sentence(f"{_named(words)} {verb} {_spoken_date(when)}")
    return sentence(f"{_named(words)} {verb} {DAYS[when.weekday()].capitalize()}")


def _named(words: str) -> str:
    return " ".join(word.capitalize() if word in DAYS else word for word in words.split())


SKILLS = {"time": _time, "date": _date, "day": _day}
