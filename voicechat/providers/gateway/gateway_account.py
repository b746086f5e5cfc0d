"""Who pays the gateway: the team."""

from __future__ import annotations

import re
from collections.abc import Mapping

from voicechat.errors import Secret, UsageError

TEAM_VARIABLE = "AI_GATEWAY_TEAM"
"""Names the team that pays, for a key that several teams share."""


def team_of(environ: Mapping[str, str | Secret]) -> str:
    """Return the team that pays; empty for that of the key. Raises `UsageError` for other text."""
    found = environ.get(TEAM_VARIABLE, "")
    team = found.strip() if isinstance(found, str) else ""
    if not re.fullmatch(r"[\w.-]{0,100}", team, re.ASCII):
        raise UsageError(f"{TEAM_VARIABLE} is neither the id nor the short name of a team.")
    return team
