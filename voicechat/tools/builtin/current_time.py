"""The current time and date."""

from __future__ import annotations

import json
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from voicechat.skills.wording import clock_sentence
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

POSITION = 10


def current_time(zone: str = "") -> str:
    """Tell the time and the date now. zone: an IANA time zone such as Europe/Paris; empty: here."""
    try:
        here = datetime.now().astimezone()
        now = here.astimezone(ZoneInfo(zone)) if zone else here
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(f"There is no time zone called {zone!r}.") from None
    place = zone.rpartition("/")[2].replace("_", " ")
    return json.dumps(
        {
            "spoken": clock_sentence(now, here, place),
            "date": f"{now:%A}, {now.day} {now:%B %Y}",
            "iso": now.isoformat(timespec="seconds"),
        }
    )


def tools(context: ToolContext) -> tuple[Tool, ...]:
    """Create the tool that returns the current time."""
    return (tool(permission="auto")(current_time),)
