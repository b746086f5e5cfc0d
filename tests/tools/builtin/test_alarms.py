"""Timers, alarms and reminders of the session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from voicechat.tools.builtin import alarms, undo
from voicechat.tools.registry import Outcome, Registry
from voicechat.tools.tool_context import ToolContext

NOON = datetime(2026, 3, 5, 12, 0).astimezone()


@dataclass
class Handle:
    """A pending call that can be canceled."""

    cancel: Callable[[], None]


class ToolsWithClock:
    """The timer tools with a clock that the test advances."""

    def __init__(self) -> None:
        self.now = NOON
        self.waiting: list[tuple[datetime, Callable[[], None]]] = []
        self.announced: list[str] = []
        context = ToolContext(announce=self.announced.append)
        tools = alarms.tools(context, self.call_later)
        [self.lost] = context.losses
        self.registry = Registry(*tools, *undo.tools(context))

    def call_later(self, seconds: float, ring: Callable[[], None]) -> Handle:
        """Replace `loop.call_later`."""
        entry = (self.now + timedelta(seconds=seconds), ring)
        self.waiting.append(entry)
        return Handle(lambda: self.waiting.remove(entry) if entry in self.waiting else None)

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        for entry in sorted(self.waiting, key=lambda one: one[0]):
            if entry[0] <= self.now and entry in self.waiting:
                self.waiting.remove(entry)
                entry[1]()

    async def __call__(self, tool: str, /, **arguments: object) -> str:
        outcome: Outcome = await self.registry.run(tool, json.dumps(arguments))
        return outcome.output


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> ToolsWithClock:
    monkeypatch.setattr(alarms, "_now", lambda: made.now)
    made = ToolsWithClock()
    return made


async def test_a_timer_rings_to_the_second(timers: ToolsWithClock) -> None:
    assert await timers("set_timer", seconds=480, name="Pasta timer") == (
        "Okay, pasta timer, 8 minutes, starting now."
    )
    timers.advance(479)
    assert timers.announced == []
    timers.advance(1)
    assert timers.announced == ["Ding ding! Your pasta timer is done."]
    assert await timers("list_timers") == "There is no timer running."


async def test_several_timers_run_and_each_can_be_named(timers: ToolsWithClock) -> None:
    await timers("set_timer", seconds=600)
    await timers("set_timer", seconds=300, name="tea")
    await timers("set_alarm", time="7:30 pm")
    await timers("set_reminder", text="call your mom", seconds=60)
    assert await timers("list_timers") == (
        "You have 4 timers: the reminder to call your mom, 1 minute left, the tea timer, 5 minutes"
        " left, the 10 minute timer, 10 minutes left and the 7:30 PM alarm, 7 hours and 30 minutes"
        " left."
    )
    assert (await timers("cancel_timer")).startswith("Which one? You have 4 timers")
    assert await timers("cancel_timer", name="7:30 alarm") == "Your 7:30 PM alarm is canceled."
    assert await timers("cancel_timer", name="the tea timer") == "Your tea timer is canceled."
    assert "There is no such timer" in await timers("cancel_timer", name="coffee")
    assert await timers("cancel_timer", every=True) == "Both timers are canceled."
    timers.advance(86_400)
    assert timers.announced == []


@pytest.mark.parametrize(
    ("time", "tomorrow", "said"),
    [
        ("13:05", False, "at 1:05 PM"),
        ("11:59", False, "at 11:59 AM tomorrow"),
        ("12:00", False, "at 12 noon tomorrow"),
        ("7 pm", False, "at 7:00 PM"),
        ("7:30 a.m.", True, "at 7:30 AM tomorrow"),
        ("2026-03-07T09:00", False, "at 9:00 AM on Saturday"),
    ],
)
async def test_times_of_day(timers: ToolsWithClock, time: str, tomorrow: bool, said: str) -> None:
    assert await timers("set_alarm", time=time, tomorrow=tomorrow) == (
        f"Your alarm is set, {said}, while voicechat runs."
    )


@pytest.mark.parametrize("time", ["25:00", "7:75", "soon", "", "2026-03-01T09:00", "9" * 99])
async def test_an_invalid_time_is_reported(timers: ToolsWithClock, time: str) -> None:
    assert "error" in await timers("set_alarm", time=time)
    assert timers.waiting == []


@pytest.mark.parametrize("seconds", [0, -5, 1e9, "soon"])
async def test_an_invalid_duration_is_reported(timers: ToolsWithClock, seconds: object) -> None:
    assert "error" in await timers("set_timer", seconds=seconds)
    assert "error" in await timers("set_reminder", text="eat", seconds=seconds)
    assert timers.waiting == []


async def test_the_number_of_timers_is_limited(timers: ToolsWithClock) -> None:
    for _ in range(32):
        await timers("set_timer", seconds=10)
    assert "too many" in await timers("set_timer", seconds=10)


async def test_a_timer_rings_on_the_real_clock() -> None:
    announced: asyncio.Queue[str] = asyncio.Queue()
    registry = Registry(*alarms.tools(ToolContext(announce=announced.put_nowait)))
    await registry.run("set_timer", '{"seconds": 0.05, "name": "egg"}')
    async with asyncio.timeout(10):
        assert await announced.get() == "Ding ding! Your egg timer is done."


async def test_a_timer_rings_soon_after_the_machine_slept(timers: ToolsWithClock) -> None:
    await timers("set_alarm", time="13:00")
    looks = timers.waiting[0]
    assert looks[0] - timers.now <= timedelta(seconds=20)
    timers.now += timedelta(hours=8)
    timers.waiting.clear()
    looks[1]()
    assert timers.announced == ["It is 1:00 PM. This is your alarm."]


async def test_the_kind_selects_among_timers(timers: ToolsWithClock) -> None:
    await timers("set_timer", seconds=600)
    await timers("set_reminder", text="call your mom", seconds=60)
    assert await timers("list_timers", name="reminder") == (
        "You have one reminder: the reminder to call your mom, 1 minute left."
    )
    assert await timers("cancel_timer", name="timer") == "Your 10 minute timer is canceled."
    assert await timers("list_timers", name="alarm") == "You have no alarms."


async def test_timers_are_undone_in_reverse_order(timers: ToolsWithClock) -> None:
    await timers("set_timer", seconds=600)
    await timers("set_alarm", time="7:30 pm")
    await timers("cancel_timer", every=True)
    timers.advance(60)
    assert await timers("undo_last_change") == "Your 2 timers are running again."
    assert await timers("undo_last_change") == "Your 7:30 PM alarm is canceled."
    assert await timers("undo_last_change") == "Your 10 minute timer is canceled."
    assert await timers("undo_last_change") == "There is nothing to undo."
    assert timers.waiting == []


async def test_a_canceled_timer_rings_at_its_own_time_after_an_undo(
    timers: ToolsWithClock,
) -> None:
    await timers("set_timer", seconds=600, name="tea")
    timers.advance(240)
    await timers("cancel_timer")
    timers.advance(60)
    assert await timers("undo_last_change") == ("Your tea timer is set again, with 5 minutes left.")
    timers.advance(300)
    assert timers.announced == ["Ding ding! Your tea timer is done."]


async def test_a_timer_that_has_rung_is_not_undone(timers: ToolsWithClock) -> None:
    await timers("set_timer", seconds=10)
    timers.advance(10)
    assert await timers("undo_last_change") == "Your 10 second timer is no longer running."
    await timers("set_timer", seconds=10)
    await timers("cancel_timer")
    timers.advance(10)
    assert "time is over" in await timers("undo_last_change")


async def test_a_timer_is_changed_by_a_time_or_by_seconds(timers: ToolsWithClock) -> None:
    await timers("set_alarm", time="14:00")
    assert await timers("change_timer", name="alarm", time="15:30") == (
        "Your alarm is now at 3:30 PM, while voicechat runs."
    )
    assert await timers("change_timer", time="09:00", tomorrow=True) == (
        "Your alarm is now at 9:00 AM tomorrow, while voicechat runs."
    )
    assert await timers("undo_last_change") == (
        "Your 3:30 PM alarm is as before, with 3 hours and 30 minutes left."
    )
    await timers("set_timer", seconds=60, name="tea")
    assert await timers("change_timer", name="tea", add_seconds=30) == (
        "Okay, 1 minute and 30 seconds left."
    )
    timers.advance(60)
    assert timers.announced == []
    timers.advance(30)
    assert timers.announced == ["Ding ding! Your tea timer is done."]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"name": "rice", "add_seconds": 5}, "There is no such timer."),
        ({}, "Give the new time, or the seconds to add."),
        ({"time": "noonish"}, "is not a time of day"),
        ({"add_seconds": -600}, "A timer needs a time above zero."),
        ({"add_seconds": 1e300}, ""),
    ],
)
async def test_an_impossible_change_says_why(
    timers: ToolsWithClock, arguments: dict[str, object], problem: str
) -> None:
    await timers("set_timer", seconds=60)
    answer = json.loads(await timers("change_timer", **arguments))
    assert problem in answer["error"]
    assert answer["error"]


async def test_the_end_of_the_session_names_what_cannot_ring(timers: ToolsWithClock) -> None:
    assert timers.lost() == ""
    await timers("set_timer", seconds=60)
    assert timers.lost() == "The 1 minute timer will not ring without voicechat."
    await timers("set_reminder", text="call Bob", time="17:00")
    assert timers.lost() == (
        "The 1 minute timer and the reminder to call Bob will not ring without voicechat."
    )
    for minutes in range(2, 7):
        await timers("set_timer", seconds=60 * minutes)
    assert "4 minute timer and 3 more will not ring without voicechat" in timers.lost()
    timers.advance(7 * 3600)
    assert timers.lost() == ""


async def test_the_time_left_of_an_alarm_has_no_seconds(timers: ToolsWithClock) -> None:
    await timers("set_alarm", time="17:08")
    timers.advance(54)
    assert "5 hours and 7 minutes left" in await timers("list_timers")
