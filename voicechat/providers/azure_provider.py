"""Azure: OpenAI's models at an address of the user's own, by one of three APIs.

The address tells which API it is: `/voice-live` in the path is Voice Live, an `api-version` in
the query is the preview of Azure OpenAI (which has OpenAI's beta session), all others are the
current API (`/openai/v1`). Nothing in the address tells that a deployment is a Live model, so the
user names that dialect.

A token of Microsoft Entra replaces the key. It has the scope `https://ai.azure.com/.default` or the
older `https://cognitiveservices.azure.com/.default`, and is sent as a bearer token. It lasts about
an hour, so a command (`--token-command`) gets a new one for each connection.

Sources: Microsoft Learn, "GPT Realtime API for speech and audio" (address, `api-version`,
`api-key` header), "How to use the Voice Live API" (address, scopes of Entra tokens, session
properties) and "GPT-Live event API reference" (address); README of the `openai` package for Azure
(scope for the current API).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from urllib.parse import SplitResult, urlsplit

from voicechat.errors import Secret, UsageError
from voicechat.providers.codec import Codec
from voicechat.providers.openai.openai_provider import client_secret_request
from voicechat.providers.provider import WEBRTC, WEBSOCKET, ConnectionRequest, Provider
from voicechat.providers.rest import HttpRequest, TokenEndpoint, TokenRequest, bearer
from voicechat.system.dial_target import DialTarget

TOKEN_VARIABLE = "AZURE_OPENAI_AD_TOKEN"
"""Holds an Entra token instead of a key."""

URL_VARIABLE = "AZURE_OPENAI_ENDPOINT"
"""Holds the address of the user's resource."""


def api_key(key: Secret) -> dict[str, Secret]:
    """Return the header with a key."""
    return {"api-key": key}


def beta_headers(headers: Callable[[Secret], dict[str, Secret]], key: Secret) -> dict[str, Secret]:
    """Return the headers of the preview, with a key or a token."""
    return {**headers(key), "OpenAI-Beta": Secret("realtime=v1")}


def dialect_name(parts: SplitResult) -> str:
    """Return the dialect of an endpoint's address: ga, beta or voice-live."""
    if "/voice-live" in parts.path:
        return "voice-live"
    return "beta" if "api-version=" in parts.query else "ga"


def _connect(request: ConnectionRequest) -> Callable[[], Codec]:
    from voicechat.providers.azure_connection import connect

    return connect(request)


def _token_request(request: TokenRequest) -> HttpRequest:
    if not urlsplit(request.socket).path.endswith("/openai/v1/realtime"):
        raise UsageError(
            "Only the current Azure API (/openai/v1) issues tokens.", "Remove the --wire option."
        )
    like_openai = client_secret_request(request)
    key = bearer(request.key) if request.key_variable == TOKEN_VARIABLE else api_key(request.key)
    headers = {"Content-Type": like_openai.headers["Content-Type"], **key}
    return replace(like_openai, headers=headers)


def _dial(url: str, token: Secret) -> DialTarget:
    is_beta = dialect_name(urlsplit(url)) == "beta"
    return DialTarget(url, beta_headers(bearer, token) if is_beta else bearer(token))


PROVIDER = Provider(
    name="azure",
    key_variables=("AZURE_OPENAI_API_KEY", TOKEN_VARIABLE),
    requires_key=True,
    url_variable=URL_VARIABLE,
    example_url="https://RESOURCE.openai.azure.com",
    connect=_connect,
    tokens=TokenEndpoint(_token_request, 10, 7_200, dial=_dial),
    takes_calls=True,
    order=20,
    transports=(WEBSOCKET, WEBRTC),
)
