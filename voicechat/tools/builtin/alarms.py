"""Timers, alarms and reminders, which ring aloud at any time."""

from __future__ import annotations

import re
from datetime import datetime

from voicechat.errors import ServerError
from voicechat.skills.timers import (
    KINDS,
    LONGEST_S,
    Later,
    Timers,
    alarm_set,
    canceled,
    changed,
    check_duration,
    reminder_set,
    started,
)
from voicechat.skills.wall_clock import at_wall_clock, later, next_wall_clock
from voicechat.skills.wording import lasting, spoken_clock
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

POSITION = 20

_TIME = re.compile(r"(\d{1,2})(?::(\d\d))?(?::\d\d)?\s*([ap])?\.?m?\.?", re.IGNORECASE)
_MAX_NAME = 80


class TimerTools:
    """The timers of one session."""

    def __init__(self, context: ToolContext, later: Later | None = None) -> None:
        self._timers = Timers(context.announce, lambda: _now(), later)
        self._record = context.undo_stack.record
        context.losses.append(self._timers.lost)

    async def set_timer(self, seconds: float, name: str = "") -> str:
        """Start a timer that rings aloud. seconds: how long. name: what it is for, like pasta."""
        name = _short(name).lower().removesuffix(" timer").removesuffix("timer").strip()
        self._start("timer", seconds, name)
        return started(seconds, name)

    async def set_alarm(self, time: str, tomorrow: bool = False, name: str = "") -> str:
        """Set an alarm that rings aloud. time: like 07:30 (or 7:30 pm); tomorrow: not today."""
        moment = _moment(time, tomorrow)
        seconds = (moment - _now()).total_seconds()
        self._start("alarm", seconds, _short(name).lower())
        return alarm_set(f"at {_clock(moment)}", seconds)

    async def set_reminder(
        self, text: str, seconds: float = 0, time: str = "", tomorrow: bool = False
    ) -> str:
        """Remind the user aloud of something. text: of what; and either seconds from now or time.

        time: like 17:30; tomorrow: that time on the next day.
        """
        text = _short(text)
        if time:
            moment = _moment(time, tomorrow)
            seconds, when = (moment - _now()).total_seconds(), f"at {_clock(moment)}"
        else:
            _check_duration(seconds)
            when = f"in {lasting(seconds)}"
        self._start("reminder", seconds, text=text)
        return reminder_set(when, text, seconds)

    async def change_timer(
        self, name: str = "", time: str = "", tomorrow: bool = False, add_seconds: float = 0
    ) -> str:
        """Change when a timer, alarm or reminder rings. name: which, as listed, or its kind.

        Give either time, like 07:30 (tomorrow: that time on the next day), or add_seconds, which is
        below zero for an earlier moment.
        """
        chosen = self._timers.running(name)
        if not chosen:
            raise ToolError(f"There is no such timer. {self._timers.describe()}")
        if len(chosen) > 1:
            return f"Which one? {self._timers.describe(name)}"
        timer = chosen[0]
        if not time and not add_seconds:
            raise ToolError("Give the new time, or the seconds to add.")
        try:
            ends = _moment(time, tomorrow) if time else later(timer.ends, add_seconds)
            self._timers.change(timer, ends, self._record)
        except (ServerError, OverflowError) as error:
            raise ToolError(str(error)) from None
        return changed(timer, self._timers.left(timer))

    async def list_timers(self, name: str = "") -> str:
        """List the timers, alarms and reminders that are running, and how long each has left.

        name: which, as listed, or a kind (timer, alarm or reminder); empty: all.
        """
        return self._timers.describe(name)

    async def cancel_timer(self, name: str = "", every: bool = False) -> str:
        """Cancel a timer, alarm or reminder. name: which, as listed, or the kind of the only one.

        every: cancel every one, or every one of that name or kind.
        """
        if not self._timers.running():
            return f"There is no {name if name in KINDS else 'timer'} to cancel."
        chosen = self._timers.running(name)
        if not chosen:
            raise ToolError(f"There is no such timer. {self._timers.describe()}")
        if len(chosen) > 1 and not every:
            return f"Which one? {self._timers.describe(name)}"
        self._timers.cancel(chosen, self._record)
        return canceled(chosen)

    def _start(self, kind: str, seconds: float, name: str = "", text: str = "") -> None:
        try:
            self._timers.start(kind, seconds, name, text, self._record)
        except ServerError as problem:
            raise ToolError(problem.message) from None


def _now() -> datetime:
    return datetime.now().astimezone()


def _check_duration(seconds: float) -> None:
    try:
        check_duration(seconds)
    except ServerError as error:
        raise ToolError(error.message) from None


def _short(text: str) -> str:
    return " ".join(text.split())[:_MAX_NAME]


def _moment(text: str, tomorrow: bool) -> datetime:
    """Return the next moment with this time of day, or that of the next day."""
    now = _now()
    try:
        named = datetime.fromisoformat(text.strip())
    except ValueError:
        named = None
    if named is not None and len(text.strip()) > 8:
        moment = named.astimezone() if named.tzinfo else at_wall_clock(named, now)
        if not 0 < (moment - now).total_seconds() <= LONGEST_S:
            raise ToolError("That moment has passed, or is more than a year away.")
        return moment
    hour, minute = _parse_clock(text)
    return next_wall_clock(now, [hour], minute, days=int(tomorrow))


def _parse_clock(text: str) -> tuple[int, int]:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise ToolError(f"{text!r} is not a time of day; write it like 07:30.")
    hour, minute, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
    if half and 1 <= hour <= 12:
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 23 or minute > 59:
        raise ToolError(f"{text!r} is not a time of day; write it like 07:30.")
    return hour, minute


def _clock(moment: datetime) -> str:
    days = moment.date().toordinal() - _now().date().toordinal()
    day = {0: "", 1: " tomorrow"}.get(days, f" on {moment:%A}")
    return spoken_clock(moment) + day


def tools(context: ToolContext, later: Later | None = None) -> tuple[Tool, ...]:
    """Create the tools for timers. later: replaces `loop.call_later`."""
    timers = TimerTools(context, later)
    functions = (
        timers.set_timer, timers.set_alarm, timers.set_reminder,
        timers.change_timer, timers.list_timers, timers.cancel_timer,
    )  # fmt: skip
    return tuple(tool(permission="auto")(function) for function in functions)
