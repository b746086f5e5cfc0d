"""Slot values in the simple form that tools take: one amount, one time, one name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from fractions import Fraction

from voicechat.server.assistant.answer_context import to_listener, value_of
from voicechat.server.assistant.intents import Meaning
from voicechat.server.assistant.measurements import Measure, convert
from voicechat.server.assistant.spoken_time import ClockTime
from voicechat.skills.wording import lasting

Values = Mapping[str, object]


def plain(meaning: Meaning, now: datetime) -> Meaning:
    """Return the meaning with self-contained values.

    now: the local time, to decide between morning and evening.
    """
    awake = meaning.intent == "remind" or meaning.values.get("kind") == "reminder"
    values = _timed(meaning.values, now, awake)
    values = _BY_INTENT.get(meaning.intent, _as_it_is)(values)
    return Meaning(meaning.intent, values, meaning.open_ended)


def _timed(values: Values, now: datetime, awake: bool) -> Values:
    """Return times of day as 24-hour text, and `tomorrow` for the next day.

    awake: choose between morning and evening so that the user is likely to be awake.
    """
    found = dict(values)
    tomorrow, today = values.get("tomorrow"), values.get("at")
    if isinstance(tomorrow, ClockTime):
        found |= {"at": f"{tomorrow.after(now, 1, awake):%H:%M}", "tomorrow": True}
    elif isinstance(today, ClockTime):
        found["at"] = f"{today.after(now, awake=awake):%H:%M}"
    return found


def _as_it_is(values: Values) -> Values:
    return values


def _canceled(values: Values) -> Values:
    """Return the name of the timer from its title, its duration, its time or its kind."""
    found = {key: values[key] for key in ("name", "all") if key in values}
    if "kind" in values:
        found["name"] = _titled(values)
    if "seconds" in values:
        length = lasting(value_of(values["seconds"]))
        found["name"] = f"{length.replace('s and', ' and').removesuffix('s')} timer"
    if "at" in values:
        found["name"] = f"{spoken_hour(str(values['at']))} alarm"
    return found


def spoken_hour(clock: str) -> str:
    """Return a 24-hour time as a part of a title, without AM or PM: "6:30"."""
    hour, _, minute = clock.partition(":")
    return f"{int(hour) % 12 or 12}:{minute}"


def _titled(values: Values) -> str:
    """Return the title to find a timer by; a name alone means a timer."""
    kind, name = str(values.get("kind", "")), str(values.get("name", ""))
    return name if name and kind == "timer" else f"{name} {kind}".strip()


def _changed(values: Values) -> Values:
    """Return the name of the timer, and its new time or the seconds to add."""
    found = {key: values[key] for key in ("at", "tomorrow") if key in values}
    if "add" in values:
        sign = -1 if "earlier" in values else 1
        found["add"] = sign * int(value_of(values["add"]))
    if "old" in values:
        found["name"] = f"{spoken_hour(str(values['old']))} alarm"
    elif title := _titled(values):
        found["name"] = title
    return found


def _left(values: Values) -> Values:
    title = _titled(values)
    return {"name": title} if title else {}


def _listed(values: Values) -> Values:
    """Return the kind; a list of timers includes alarms and reminders."""
    kind = values.get("kind")
    return {} if kind in (None, "timer") else {"name": kind}


def _reminded(values: Values) -> Values:
    text = values.get("text")
    return {**values, "text": to_listener(str(text))} if text is not None else values


def _converted(values: Values) -> Values:
    """Convert a two-part measurement to one unit: "five foot eleven" to 71 inches."""
    amount = values.get("amount")
    if not isinstance(amount, Measure) or len(amount.parts) == 1:
        return values
    smallest = amount.parts[-1][1]
    total = convert(amount, smallest)
    if total is None:
        return values
    exact = Fraction(total).limit_denominator(10_000)
    return {**values, "amount": Measure(((exact, smallest),))}


_BY_INTENT: Mapping[str, Callable[[Values], Values]] = {
    "timer_cancel": _canceled,
    "timer_change": _changed,
    "timer_left": _left,
    "timer_list": _listed,
    "remind": _reminded,
    "convert": _converted,
}
