"""The codec of each of Azure's APIs, and its address below an endpoint of the user's own.

Sources: Microsoft Learn, "GPT Realtime API for speech and audio" (address, `api-version`,
`api-key` header), "How to use the Voice Live API" (address, session properties) and "GPT-Live event
API reference" (address).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlunsplit

from voicechat.errors import UsageError
from voicechat.providers.azure_provider import (
    TOKEN_VARIABLE,
    URL_VARIABLE,
    api_key,
    beta_headers,
    dialect_name,
)
from voicechat.providers.base_url import SOCKET_SCHEMES, checked
from voicechat.providers.codec import Codec
from voicechat.providers.openai.call_sideband import CallSideband
from voicechat.providers.openai.live_codec import LiveCodec
from voicechat.providers.openai.live_session import live_url
from voicechat.providers.openai.live_sideband import LiveSideband
from voicechat.providers.openai.openai_beta import BETA, VOICE_LIVE
from voicechat.providers.openai.openai_codec import GENERAL, Dialect, OpenAICodec
from voicechat.providers.provider import WEBRTC, ConnectionRequest
from voicechat.providers.rest import bearer
from voicechat.system.optional_parts import require_webrtc

PREVIEW_VERSION = "2025-04-01-preview"
"""The last version of the preview."""

VOICE_LIVE_VERSION = "2025-10-01"

_TRANSCRIPTION_REMEDY = (
    'Set transcription = {model = "your deployment"} to a transcription model that is deployed in'
    ' your resource, or transcription = "off".'
)

_ENDING = re.compile(r"(/(openai|voice-live))?(/v1)?(/realtime)?/*$")
"""The end of an endpoint's path that belongs to Azure; the rest belongs to a gateway before it."""


def dialect_of(name: str, *, entra: bool) -> Dialect:
    """Return the dialect of this name; with `entra` the key is an Entra token."""
    headers = bearer if entra else api_key
    match name:
        case "voice-live":
            return replace(VOICE_LIVE, headers=headers)
        case "beta":
            dialect, headers = BETA, partial(beta_headers, headers)
        case _:
            dialect = GENERAL
    # Azure accepts semantic_vad, but then never reports the beginning of speech.
    capabilities = replace(
        dialect.capabilities, semantic_vad=False, transcription_remedy=_TRANSCRIPTION_REMEDY
    )
    return replace(dialect, name="azure", headers=headers, capabilities=capabilities)


def address(parts: SplitResult, deployment: str, dialect: str, version: str | None) -> SplitResult:
    """Return the socket's address below an endpoint like https://NAME.openai.azure.com.

    `parts` is the endpoint with a socket's scheme; the prefix of a gateway in its path is kept. An
    `api-version` in its query wins over `version`; the current API has none.
    """
    prefix = _ENDING.sub("", parts.path)
    query = dict(parse_qsl(parts.query))
    known = query.pop("api-version", version)
    for name in ("model", "deployment"):
        query.pop(name, None)
    match dialect:
        case "voice-live":
            path = "/voice-live/realtime"
            added = {"api-version": known or VOICE_LIVE_VERSION, "model": deployment}
        case "beta":
            path = "/openai/realtime"
            added = {"api-version": known or PREVIEW_VERSION, "deployment": deployment}
        case _:
            path, added = "/openai/v1/realtime", {"model": deployment}
    path = prefix + path
    return SplitResult(
        parts.scheme, parts.netloc, path, urlencode(query | added, quote_via=quote), ""
    )


def connect(request: ConnectionRequest) -> Callable[[], Codec]:
    """Return the factory of the codecs of a session or a call.

    Raises `UsageError` for what Azure does not offer.
    """
    if not request.base_url:
        raise UsageError(
            "Azure has no public address.",
            f"Set {URL_VARIABLE} to your resource, like https://NAME.openai.azure.com.",
        )
    parts = checked(request.base_url)
    name = request.dialect or dialect_name(parts)
    entra = request.key_variable == TOKEN_VARIABLE
    if name == "live" and request.call is None:
        live = _live_codec(request.transport)
        return partial(live, _live(parts), request.model, request.key, **_of_live(entra))
    if request.call is not None and request.call.is_live:
        join = partial(LiveSideband, _live(parts), request.model, request.call, request.key)
        return partial(join, **_of_live(entra))
    if request.transport == WEBRTC:
        if name != "ga":
            raise UsageError(
                "Only the current Azure API (/openai/v1) is reached over WebRTC.",
                "Remove --transport.",
            )
        require_webrtc()
    version = request.environ.get("OPENAI_API_VERSION")
    socket = address(
        parts._replace(scheme=SOCKET_SCHEMES[parts.scheme]),
        request.model,
        name,
        version if isinstance(version, str) and version else None,
    )
    if request.purpose == "transcription" and name == "ga":
        socket = socket._replace(query="intent=transcription")
    dialect = dialect_of(name, entra=entra)
    if request.call is not None:
        if name not in {"ga", "live"}:
            raise UsageError("Only the current Azure API (/openai/v1) takes phone calls.")
        url = urlunsplit(socket)
        return partial(CallSideband, url, request.model, request.call, request.key, dialect)
    if request.transport == WEBRTC:
        from voicechat.providers.openai.call_codec import CallCodec

        return partial(CallCodec, urlunsplit(socket), request.model, request.key, dialect)
    return partial(OpenAICodec, urlunsplit(socket), request.key, dialect)


def _live_codec(transport: str) -> type[LiveCodec]:
    if transport != WEBRTC:
        return LiveCodec
    from voicechat.providers.openai.live_call import LiveCallCodec

    require_webrtc()
    return LiveCallCodec


def _live(parts: SplitResult) -> str:
    return live_url(urlunsplit(parts._replace(path="/openai/v1", query="")))


def _of_live(entra: bool) -> dict[str, Any]:
    return {
        "provider": "azure", "headers": bearer if entra else api_key, "key_variable": ""
    }  # fmt: skip
