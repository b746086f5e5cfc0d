"""The address of the Vercel AI Gateway, and the headers of each request and socket.

Source: the gateway provider of the AI SDK (`@ai-sdk/gateway`).
"""

from __future__ import annotations

import re
from urllib.parse import quote

from voicechat.errors import Secret

URL = "wss://ai-gateway.vercel.sh"
"""Public address of the service."""

_ENDING = re.compile(r"(/v4/ai(/realtime-model)?|/v1)?/*$")
"""The end of a base URL that belongs to the gateway."""


def address(base_url: str, model: str) -> str:
    """Return the address of a model's socket below a base URL."""
    base = _ENDING.sub("", base_url)
    return f"{base}/v4/ai/realtime-model?ai-model-id={quote(model, safe='')}"


def team_header(team: str) -> dict[str, Secret]:
    """Return the header that names a team; none for an empty one."""
    return {"x-vercel-ai-gateway-team": Secret(team)} if team else {}


def protocol_headers(key: Secret) -> dict[str, Secret]:
    """Return the headers of each request and socket."""
    return {
        "Authorization": Secret(f"Bearer {key.reveal()}"),
        "ai-gateway-protocol-version": Secret("0.0.1"),
        "ai-gateway-auth-method": Secret("api-key"),
    }
