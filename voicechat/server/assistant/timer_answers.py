"""Timers, reminders and alarms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from voicechat.server.assistant.answer_context import Answer, AnswerContext, to_listener, value_of
from voicechat.server.assistant.spoken_time import ClockTime
from voicechat.skills.timers import Timer, canceled, started
from voicechat.skills.wording import lasting, sentence, spoken_clock


def _set(context: AnswerContext) -> str:
    seconds, name = value_of(context.values.get("seconds")), context.text("name").lower()
    context.timers.start("timer", seconds, name)
    return started(seconds, name)


def _remind(context: AnswerContext) -> str:
    text = to_listener(context.text("text"))
    seconds, when = _until(context)
    context.timers.start("reminder", seconds, text=text)
    return sentence(f"Okay, {when} I'll remind you: {text}")


def _alarm(context: AnswerContext) -> str:
    seconds, when = _until(context)
    context.timers.start("alarm", seconds)
    return f"Your alarm is set, {when}."


def _until(context: AnswerContext) -> tuple[float, str]:
    """Return the seconds to the requested moment, and that moment in words."""
    if "seconds" in context.values:
        seconds = value_of(context.values["seconds"])
        return seconds, f"in {lasting(seconds)}"
    now = context.now()
    tomorrow, today = context.values.get("tomorrow"), context.values.get("at")
    if isinstance(tomorrow, ClockTime):
        moment = tomorrow.after(now, day=1)
    else:
        assert isinstance(today, ClockTime)
        moment = today.after(now)
    seconds = (moment - now) / timedelta(seconds=1)
    day = " tomorrow" if moment.date() > now.date() else ""
    return seconds, f"at {spoken_clock(moment)}{day}"


def _chosen(context: AnswerContext) -> list[Timer]:
    """Return the timers that the request refers to."""
    if "name" in context.values:
        return context.timers.running(context.text("name"))
    running = context.timers.running()
    if "seconds" in context.values:
        duration = value_of(context.values["seconds"])
        return [timer for timer in running if timer.seconds == duration]
    clock = context.values.get("at")
    if isinstance(clock, ClockTime):
        hours = {clock.hour % 12 if not clock.exact else clock.hour}
        return [
            timer
            for timer in running
            if timer.kind == "alarm"
            and timer.ends.minute == clock.minute
            and (timer.ends.hour if clock.exact else timer.ends.hour % 12) in hours
        ]
    return running


def _cancel(context: AnswerContext) -> str:
    running = context.timers.running()
    if not running:
        return "There is no timer to cancel."
    chosen = running if context.values.get("all") else _chosen(context)
    if not chosen:
        return f"I have no such timer. {context.timers.describe()}"
    if len(chosen) > 1 and not context.values.get("all") and len({*context.values} - {"all"}) == 0:
        return f"Which one? {context.timers.describe()}"
    context.timers.cancel(chosen)
    return canceled(chosen)


def _left(context: AnswerContext) -> str:
    if not context.timers.running():
        return "There is no timer running."
    chosen = _chosen(context)
    if not chosen:
        return f"I have no such timer. {context.timers.describe()}"
    return " ".join(_status(context, timer) for timer in chosen[:5])


def _status(context: AnswerContext, timer: Timer) -> str:
    if timer.kind == "alarm":
        return f"Your {timer.title} rings in {lasting(context.timers.left(timer))}."
    return f"Your {timer.title} has {lasting(context.timers.left(timer))} left."


ANSWERS: Mapping[str, Answer] = {
    "timer_set": _set,
    "remind": _remind,
    "alarm_set": _alarm,
    "timer_cancel": _cancel,
    "timer_left": _left,
    "timer_list": lambda context: context.timers.describe(),
}
