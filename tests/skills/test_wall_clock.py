"""Alarms across a change to or from daylight saving time ring at the time on the wall clock."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from voicechat.server.assistant import spoken_time
from voicechat.skills import wall_clock
from voicechat.skills.timers import Timers
from voicechat.tools.builtin import alarms
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import ToolContext

pytestmark = pytest.mark.skipif(not hasattr(time, "tzset"), reason="needs tzset")

SPRING = datetime(2026, 3, 7, 22, 0)
"""The evening before the clocks of New York go forward, at 2:00."""
AUTUMN = datetime(2026, 10, 31, 22, 0)
"""The evening before they go back, at 2:00."""


@pytest.fixture(autouse=True)
def _in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


class _Call:
    def cancel(self) -> None:
        """Do nothing: this clock does not run by itself."""


async def _alarm(monkeypatch: pytest.MonkeyPatch, now: datetime, **asked: object) -> datetime:
    """Set an alarm and return the moment, in UTC, when it rings."""
    clock = now.astimezone()
    waiting = []
    rung: list[datetime] = []

    def later(seconds: float, ring: object) -> _Call:
        waiting.append((seconds, ring))
        return _Call()

    monkeypatch.setattr(alarms, "_now", lambda: clock)
    monkeypatch.setattr("voicechat.skills.timers._RECHECK_S", 1e9)
    context = ToolContext(announce=lambda _: rung.append(clock.astimezone(UTC)))
    registry = Registry(*alarms.tools(context, later))

    await registry.run("set_alarm", json.dumps(asked))
    seconds, ring = waiting.pop()
    clock = (clock.astimezone(UTC) + timedelta(seconds=seconds)).astimezone()
    ring()
    return rung[0]


@pytest.mark.parametrize(
    ("now", "asked", "rings"),
    [
        (SPRING, {"time": "07:30"}, datetime(2026, 3, 8, 11, 30)),
        (SPRING, {"time": "07:30", "tomorrow": True}, datetime(2026, 3, 8, 11, 30)),
        (SPRING, {"time": "2026-03-08T07:30"}, datetime(2026, 3, 8, 11, 30)),
        (AUTUMN, {"time": "07:30"}, datetime(2026, 11, 1, 12, 30)),
        (AUTUMN, {"time": "07:30", "tomorrow": True}, datetime(2026, 11, 1, 12, 30)),
        (AUTUMN, {"time": "2026-11-01T07:30"}, datetime(2026, 11, 1, 12, 30)),
    ],
)
async def test_an_alarm_rings_at_the_wall_clock_time(
    monkeypatch: pytest.MonkeyPatch, now: datetime, asked: dict[str, object], rings: datetime
) -> None:
    assert await _alarm(monkeypatch, now, **asked) == rings.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("words", "now", "day", "left_h"),
    [
        ("7 am", SPRING, 1, 8),
        ("7 am", AUTUMN, 1, 10),
        ("seven", SPRING, None, 8),
        ("noon", AUTUMN, None, 15),
    ],
)
def test_a_spoken_time_is_on_the_wall_clock(
    words: str, now: datetime, day: int | None, left_h: int
) -> None:
    clock = spoken_time.clock(words.split())
    assert clock is not None
    moment = clock.after(now.astimezone(), day)
    assert moment - now.astimezone() == timedelta(hours=left_h)


async def test_the_title_of_a_timer_shows_the_time_when_it_rings() -> None:
    timers = Timers(lambda words: None, lambda: SPRING.astimezone(), lambda *_: _Call())
    timer = timers.start("alarm", 8.5 * 3600)
    assert timer.announcement == "It is 7:30 AM. This is your alarm."


def test_a_time_that_the_clock_skips_counts_from_before_the_change() -> None:
    moment = wall_clock.next_wall_clock(SPRING.astimezone(), [2], 30)
    assert f"{moment:%H:%M %Z}" == "03:30 EDT"


def test_a_time_that_the_clock_shows_twice_comes_twice() -> None:
    first = wall_clock.next_wall_clock(AUTUMN.astimezone(), [1], 30)
    second = wall_clock.next_wall_clock(first, [1], 30)
    assert (second - first, f"{second:%Z}") == (timedelta(hours=1), "EST")


def test_a_moment_in_another_zone_keeps_its_offset() -> None:
    now = datetime(2026, 3, 7, 22, 0, tzinfo=UTC)
    assert wall_clock.next_wall_clock(now, [7], 0) == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
