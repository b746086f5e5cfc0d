"""Timers, alarms and reminders of the session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from voicechat.tools.builtin import alarms
from voicechat.tools.registry import Outcome, Registry
from voicechat.tools.tool_context import ToolContext

NOON = datetime(2026, 3, 5, 12, 0).astimezone()


@dataclass
class Handle:
    """A pending call that can be canceled."""

    cancel: Callable[[], None]


class Desk:
    """The tools with a clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOON
        self.waiting: list[tuple[datetime, Callable[[], None]]] = []
        self.rung: list[str] = []
        tools = alarms.tools(ToolContext(announce=self.rung.append), self.later)
        self.registry = Registry(*tools)

    def later(self, seconds: float, ring: Callable[[], None]) -> Handle:
        """Replace `loop.call_later`."""
        entry = (self.now + timedelta(seconds=seconds), ring)
        self.waiting.append(entry)
        return Handle(lambda: self.waiting.remove(entry) if entry in self.waiting else None)

    def go_on(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        for entry in sorted(self.waiting, key=lambda one: one[0]):
            if entry[0] <= self.now and entry in self.waiting:
                self.waiting.remove(entry)
                entry[1]()

    async def __call__(self, tool: str, /, **arguments: object) -> str:
        outcome: Outcome = await self.registry.run(tool, json.dumps(arguments))
        return outcome.output


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(alarms, "_now", lambda: made.now)
    made = Desk()
    return made


async def test_a_timer_rings_to_the_second(desk: Desk) -> None:
    assert await desk("set_timer", seconds=480, name="Pasta timer") == (
        "Okay, pasta timer, 8 minutes, starting now."
    )
    desk.go_on(479)
    assert desk.rung == []
    desk.go_on(1)
    assert desk.rung == ["Ding ding! Your pasta timer is done."]
    assert await desk("list_timers") == "There is no timer running."


async def test_several_timers_run_and_each_can_be_named(desk: Desk) -> None:
    await desk("set_timer", seconds=600)
    await desk("set_timer", seconds=300, name="tea")
    await desk("set_alarm", time="7:30 pm")
    await desk("set_reminder", text="call your mom", seconds=60)
    assert await desk("list_timers") == (
        "You have 4 timers: the reminder to call your mom, 1 minute left, the tea timer, 5 minutes"
        " left, the 10 minute timer, 10 minutes left and the 7:30 PM alarm, 7 hours and 30 minutes"
        " left."
    )
    assert (await desk("cancel_timer")).startswith("Which one? You have 4 timers")
    assert await desk("cancel_timer", name="7:30 alarm") == "Your 7:30 PM alarm is canceled."
    assert await desk("cancel_timer", name="the tea timer") == "Your tea timer is canceled."
    assert "There is no such timer" in await desk("cancel_timer", name="coffee")
    assert await desk("cancel_timer", every=True) == "Both are canceled."
    desk.go_on(86_400)
    assert desk.rung == []


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
async def test_times_of_day(desk: Desk, time: str, tomorrow: bool, said: str) -> None:
    assert await desk("set_alarm", time=time, tomorrow=tomorrow) == f"Your alarm is set, {said}."


@pytest.mark.parametrize("time", ["25:00", "7:75", "soon", "", "2026-03-01T09:00", "9" * 99])
async def test_an_invalid_time_is_reported(desk: Desk, time: str) -> None:
    assert "error" in await desk("set_alarm", time=time)
    assert desk.waiting == []


@pytest.mark.parametrize("seconds", [0, -5, 1e9, "soon"])
async def test_an_invalid_duration_is_reported(desk: Desk, seconds: object) -> None:
    assert "error" in await desk("set_timer", seconds=seconds)
    assert desk.waiting == []


async def test_the_number_of_timers_is_limited(desk: Desk) -> None:
    for _ in range(32):
        await desk("set_timer", seconds=10)
    assert "too many" in await desk("set_timer", seconds=10)


async def test_a_timer_rings_on_the_real_clock() -> None:
    rung: asyncio.Queue[str] = asyncio.Queue()
    registry = Registry(*alarms.tools(ToolContext(announce=rung.put_nowait)))
    await registry.run("set_timer", '{"seconds": 0.05, "name": "egg"}')
    async with asyncio.timeout(10):
        assert await rung.get() == "Ding ding! Your egg timer is done."


async def test_a_timer_rings_soon_after_the_machine_slept(desk: Desk) -> None:
    await desk("set_alarm", time="13:00")
    looks = desk.waiting[0]
    assert looks[0] - desk.now <= timedelta(seconds=20)
    desk.now += timedelta(hours=8)
    desk.waiting.clear()
    looks[1]()
    assert desk.rung == ["It is 1:00 PM. This is your alarm."]
