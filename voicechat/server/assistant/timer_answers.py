"""Timers, reminders and alarms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from voicechat.server.assistant.answer_context import Answer, AnswerContext, to_listener, value_of
from voicechat.server.assistant.spoken_time import ClockTime
from voicechat.skills import wall_clock
from voicechat.skills.timers import Timer, alarm_set, canceled, changed, reminder_set, started
from voicechat.skills.wording import lasting, remaining, spoken_clock


def _set(context: AnswerContext) -> str:
    seconds, name = value_of(context.values.get("seconds")), context.text("name").lower()
    context.timers.start("timer", seconds, name, record=context.record)
    return started(seconds, name)


def _remind(context: AnswerContext) -> str:
    text = to_listener(context.text("text"))
    seconds, when = _until(context, awake=True)
    context.timers.start("reminder", seconds, text=text, record=context.record)
    return reminder_set(when, text, seconds)


def _alarm(context: AnswerContext) -> str:
    seconds, when = _until(context, awake=False)
    context.timers.start("alarm", seconds, record=context.record)
    return alarm_set(when, seconds)


def _until(context: AnswerContext, awake: bool) -> tuple[float, str]:
    """Return the seconds to the requested moment, and that moment in words.

    awake: choose between morning and evening so that the user is likely to be awake.
    """
    if "seconds" in context.values:
        seconds = value_of(context.values["seconds"])
        return seconds, f"in {lasting(seconds)}"
    now = context.now()
    tomorrow, today = context.values.get("tomorrow"), context.values.get("at")
    if isinstance(tomorrow, ClockTime):
        moment = tomorrow.after(now, 1, awake)
    else:
        assert isinstance(today, ClockTime)
        moment = today.after(now, awake=awake)
    seconds = (moment - now) / timedelta(seconds=1)
    day = " tomorrow" if moment.date() > now.date() else ""
    return seconds, f"at {spoken_clock(moment)}{day}"


def _chosen(context: AnswerContext) -> list[Timer]:
    """Return the timers that the request refers to."""
    running = context.timers.running(f"{context.text('name')} {context.text('kind')}".strip())
    if "seconds" in context.values:
        duration = value_of(context.values["seconds"])
        return [timer for timer in running if timer.seconds == duration]
    clock = context.values.get("at")
    return [timer for timer in running if _rings_at(timer, clock)] if clock else running


def _rings_at(timer: Timer, clock: object) -> bool:
    assert isinstance(clock, ClockTime)
    hour = timer.ends.hour if clock.exact else timer.ends.hour % 12
    wanted = clock.hour if clock.exact else clock.hour % 12
    return timer.kind == "alarm" and timer.ends.minute == clock.minute and hour == wanted


def _cancel(context: AnswerContext) -> str:
    kind = context.text("kind")
    if not context.timers.running():
        return f"There is no {kind or 'timer'} to cancel."
    chosen = _chosen(context)
    if not chosen:
        return f"I have no such {kind or 'timer'}. {context.timers.describe()}"
    if len(chosen) > 1 and context.values.keys() <= {"kind"}:
        return f"Which one? {context.timers.describe(kind)}"
    context.timers.cancel(chosen, context.record)
    return canceled(chosen)


def _change(context: AnswerContext) -> str:
    kind = context.text("kind")
    name = f"{context.text('name')} {kind}".strip()
    if not context.timers.running():
        return f"There is no {kind or 'timer'} to change."
    chosen, old = context.timers.running(name), context.values.get("old")
    if old is not None:
        chosen = [timer for timer in chosen if _rings_at(timer, old)]
    if not chosen:
        return f"I have no such {kind or 'timer'}. {context.timers.describe()}"
    if len(chosen) > 1:
        return f"Which one? {context.timers.describe(kind)}"
    if "add" in context.values:
        sign = -1 if "earlier" in context.values else 1
        ends = wall_clock.later(chosen[0].ends, sign * value_of(context.values["add"]))
    else:
        seconds, _ = _until(context, awake=chosen[0].kind == "reminder")
        ends = wall_clock.later(context.now(), seconds)
    context.timers.change(chosen[0], ends, context.record)
    return changed(chosen[0], context.timers.left(chosen[0]))


def _left(context: AnswerContext) -> str:
    kind = context.text("kind")
    if not context.timers.running():
        return context.timers.describe(kind)
    chosen = _chosen(context)
    if not chosen:
        return f"I have no such {kind or 'timer'}. {context.timers.describe()}"
    return " ".join(_status(context, timer) for timer in chosen[:5])


def _status(context: AnswerContext, timer: Timer) -> str:
    if timer.kind == "alarm":
        return f"Your {timer.title} rings in {remaining(context.timers.left(timer))}."
    return f"Your {timer.title} has {remaining(context.timers.left(timer))} left."


def _list(context: AnswerContext) -> str:
    """List the timers of the kind; a list of timers includes alarms and reminders."""
    kind = context.text("kind")
    return context.timers.describe("" if kind == "timer" else kind)


ANSWERS: Mapping[str, Answer] = {
    "timer_set": _set,
    "remind": _remind,
    "alarm_set": _alarm,
    "timer_cancel": _cancel,
    "timer_change": _change,
    "timer_left": _left,
    "timer_list": _list,
}
