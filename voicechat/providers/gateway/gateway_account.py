"""Who pays the gateway: the team, and what the settings tell it about a request.

Source: `@ai-sdk/gateway`, `gateway-provider-options.ts`.
"""

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


def provider_options(options: Mapping[str, object]) -> dict[str, object]:
    """Return the field of a request with these settings of the gateway; empty without any.

    Call it where the request is built: it reveals the keys of `byok`.
    """
    return {"providerOptions": {"gateway": _revealed(options)}} if options else {}


def _revealed(value: object) -> object:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, Mapping):
        return {name: _revealed(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_revealed(inner) for inner in value]
    return value
