"""Azure's realtime endpoints: today's, the preview with its `api-version`, and Voice Live.

Which one is meant can be read from the address: `/voice-live` in the path, or an `api-version`.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import SplitResult, parse_qsl, quote, urlencode

from voicechat.errors import Secret
from voicechat.providers.openai.openai_beta import BETA, VOICE_LIVE
from voicechat.providers.openai.openai_codec import GENERAL, Dialect, bearer

PREVIEW_VERSION = "2025-04-01-preview"
"""The last version of the preview."""

VOICE_LIVE_VERSION = "2025-10-01"

TOKEN_VARIABLE = "AZURE_OPENAI_AD_TOKEN"
"""Holds an Entra token instead of a key."""


def api_key(key: Secret) -> dict[str, Secret]:
    """The key as Azure wants it."""
    return {"api-key": key}


def _api_key_of_beta(key: Secret) -> dict[str, Secret]:
    return {**api_key(key), "OpenAI-Beta": Secret("realtime=v1")}


def _bearer_of_beta(token: Secret) -> dict[str, Secret]:
    return {**bearer(token), "OpenAI-Beta": Secret("realtime=v1")}


def wire_of(parts: SplitResult) -> str:
    """Which of the wires an endpoint's address means: ga, beta or voice-live."""
    if "/voice-live" in parts.path:
        return "voice-live"
    return "beta" if "api-version=" in parts.query else "ga"


def dialect(wire: str, *, token: bool) -> Dialect:
    """The dialect of a wire; with `token` the key is an Entra token."""
    match wire:
        case "voice-live":
            return replace(VOICE_LIVE, headers=bearer if token else api_key)
        case "beta":
            headers = _bearer_of_beta if token else _api_key_of_beta
            return replace(BETA, name="azure", headers=headers)
        case _:
            return replace(GENERAL, name="azure", headers=bearer if token else api_key)


def address(parts: SplitResult, deployment: str, wire: str, version: str | None) -> SplitResult:
    """The socket below an endpoint like https://NAME.openai.azure.com.

    `parts` is the endpoint with a socket's scheme. A version in its query counts; else
    `version`, where the wire has one at all.
    """
    query = dict(parse_qsl(parts.query))
    known = query.pop("api-version", version)
    for name in ("model", "deployment"):
        query.pop(name, None)
    match wire:
        case "voice-live":
            path, asked = "/voice-live/realtime", {
                "api-version": known or VOICE_LIVE_VERSION, "model": deployment,
            }  # fmt: skip
        case "beta":
            path, asked = "/openai/realtime", {
                "api-version": known or PREVIEW_VERSION, "deployment": deployment,
            }  # fmt: skip
        case _:
            path, asked = "/openai/v1/realtime", {"model": deployment}
    return SplitResult(
        parts.scheme, parts.netloc, path, urlencode(query | asked, quote_via=quote), ""
    )
