"""The tools that come with voicechat. All of them are harmless: they read, and change nothing."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool
from voicechat.tools.surroundings import Surroundings


def current_time(zone: str = "") -> str:
    """Tell the date and time now. zone: an IANA time zone such as Europe/Paris; empty is here."""
    try:
        now = datetime.now(ZoneInfo(zone)) if zone else datetime.now().astimezone()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return f"There is no time zone called {zone!r}."
    where = f" in {zone.rpartition('/')[2].replace('_', ' ')}" if zone else ""
    return f"It is {now:%H:%M}{where} on {now:%A}, {now.day} {now:%B %Y}."


def builtin(surroundings: Surroundings) -> tuple[Tool, ...]:
    """The built-in tools, in the order in which they are listed."""
    return (tool(permission="auto")(current_time),)
