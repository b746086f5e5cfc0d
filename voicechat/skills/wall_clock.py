"""Moments on the wall clock of the user, across changes to and from daylight saving time.

A moment of `datetime.now().astimezone()` has a fixed offset to UTC, which is valid for that moment
only. These functions give each moment the offset of its own day.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta, timezone, tzinfo


def later(now: datetime, seconds: float) -> datetime:
    """Return the moment that is `seconds` after `now`, with the offset of its own day."""
    return (now.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(_zone(now))


def at_wall_clock(wall: datetime, now: datetime) -> datetime:
    """Return the moment when the wall clock shows `wall`, in the time zone of `now`.

    wall: without a time zone. A time that the clock skips counts from the time before the change.
    """
    zone = _zone(now)
    # In a skipped hour, `astimezone` of a naive time takes the offset after the change.
    return datetime.fromtimestamp(wall.replace(tzinfo=zone).timestamp(), UTC).astimezone(zone)


def next_wall_clock(now: datetime, hours: Collection[int], minute: int, days: int = 0) -> datetime:
    """Return the next moment after `now` with one of these hours, and this minute.

    days: the first day that counts; 1 is tomorrow. A time that the clock shows twice counts twice.
    """
    return next(moment for moment in _shown(now, sorted(hours), minute, days) if moment > now)


def _shown(now: datetime, hours: list[int], minute: int, days: int) -> Iterator[datetime]:
    today = now.replace(minute=minute, second=0, microsecond=0, tzinfo=None, fold=0)
    for day in (days, days + 1, days + 2):
        for hour in hours:
            wall = today.replace(hour=hour) + timedelta(days=day)
            first = at_wall_clock(wall, now)
            yield first
            again = at_wall_clock(wall.replace(fold=1), now)
            if again > first:
                yield again


def _zone(now: datetime) -> tzinfo | None:
    """Return the time zone of `now` with its rules; None is the zone of the machine."""
    is_local = isinstance(now.tzinfo, timezone) and now.utcoffset() == now.astimezone().utcoffset()
    return None if is_local else now.tzinfo
