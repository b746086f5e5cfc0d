"""Timers, reminders and alarms."""

from __future__ import annotations

from datetime import timedelta

from voicechat.server.assistant.answers.assistant_request import Ask, to_listener, value_of
from voicechat.server.assistant.spoken_time import Clock
from voicechat.skills.timers import Timer
from voicechat.skills.wording import joined, lasting, sentence, spoken_clock

_TOO_MANY = "I have too many timers already. Cancel one first."


def _set(ask: Ask) -> str:
    seconds, name = value_of(ask.values.get("seconds")), ask.text("name").lower()
    timer = ask.timers.start("timer", seconds, name)
    if timer is None:
        return _TOO_MANY
    return f"Okay, {name + ' timer, ' if name else ''}{lasting(seconds)}, starting now."


def _remind(ask: Ask) -> str:
    text = to_listener(ask.text("text"))
    seconds, when = _until(ask)
    if ask.timers.start("reminder", seconds, text=text) is None:
        return _TOO_MANY
    return sentence(f"Okay, {when} I'll remind you: {text}")


def _alarm(ask: Ask) -> str:
    seconds, when = _until(ask)
    if ask.timers.start("alarm", seconds) is None:
        return _TOO_MANY
    return f"Your alarm is set, {when}."


def _until(ask: Ask) -> tuple[float, str]:
    """Seconds to the moment that was asked for, and that moment in words."""
    if "seconds" in ask.values:
        seconds = value_of(ask.values["seconds"])
        return seconds, f"in {lasting(seconds)}"
    now = ask.now()
    tomorrow, today = ask.values.get("tomorrow"), ask.values.get("at")
    if isinstance(tomorrow, Clock):
        moment = tomorrow.after(now, day=1)
    else:
        assert isinstance(today, Clock)
        moment = today.after(now)
    seconds = (moment - now) / timedelta(seconds=1)
    day = " tomorrow" if moment.date() > now.date() else ""
    return seconds, f"at {spoken_clock(moment)}{day}"


def _chosen(ask: Ask) -> list[Timer]:
    """The timers that the request speaks of."""
    if "name" in ask.values:
        return ask.timers.running(ask.text("name"))
    running = ask.timers.running()
    if "seconds" in ask.values:
        wanted = value_of(ask.values["seconds"])
        return [timer for timer in running if timer.seconds == wanted]
    clock = ask.values.get("at")
    if isinstance(clock, Clock):
        faces = {clock.hour % 12 if not clock.exact else clock.hour}
        return [
            timer
            for timer in running
            if timer.kind == "alarm"
            and timer.ends.minute == clock.minute
            and (timer.ends.hour if clock.exact else timer.ends.hour % 12) in faces
        ]
    return running


def _cancel(ask: Ask) -> str:
    running = ask.timers.running()
    if not running:
        return "There is no timer to cancel."
    chosen = running if ask.values.get("all") else _chosen(ask)
    if not chosen:
        return f"I have no such timer. {_running(ask)}"
    if len(chosen) > 1 and not ask.values.get("all") and len({*ask.values} - {"all"}) == 0:
        return f"Which one? {_running(ask)}"
    ask.timers.cancel(chosen)
    if len(chosen) > 1:
        return "Both are cancelled." if len(chosen) == 2 else f"All {len(chosen)} are cancelled."
    return f"Your {chosen[0].title} is cancelled."


def _left(ask: Ask) -> str:
    if not ask.timers.running():
        return "There is no timer running."
    chosen = _chosen(ask)
    if not chosen:
        return f"I have no such timer. {_running(ask)}"
    return " ".join(_status(ask, timer) for timer in chosen[:5])


def _status(ask: Ask, timer: Timer) -> str:
    if timer.kind == "alarm":
        return f"Your {timer.title} rings in {lasting(ask.timers.left(timer))}."
    return f"Your {timer.title} has {lasting(ask.timers.left(timer))} left."


def _running(ask: Ask) -> str:
    running = ask.timers.running()
    if not running:
        return "There is no timer running."
    titles = [f"the {timer.title}, {lasting(ask.timers.left(timer))} left" for timer in running]
    count = "one timer" if len(running) == 1 else f"{len(running)} timers"
    return f"You have {count}: {joined(titles)}."


SKILLS = {
    "timer_set": _set,
    "remind": _remind,
    "alarm_set": _alarm,
    "timer_cancel": _cancel,
    "timer_left": _left,
    "timer_list": _running,
}
