"""Vercel AI Gateway: its models, address and tokens.

Sources: Vercel docs, "AI Gateway", "Realtime" and the list of models; the gateway provider of the
AI SDK (`@ai-sdk/gateway`), which defines the socket's path, headers and subprotocols.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from voicechat.errors import Secret
from voicechat.providers.base_url import socket_base
from voicechat.providers.codec import Codec
from voicechat.providers.gateway import gateway_speech
from voicechat.providers.gateway.gateway_account import team_of
from voicechat.providers.gateway.gateway_address import URL, address, team_header
from voicechat.providers.gateway.gateway_transcription import TRANSCRIPTION
from voicechat.providers.google.google_provider import PROVIDER as GOOGLE
from voicechat.providers.openai.openai_provider import PROVIDER as OPENAI
from voicechat.providers.provider import ConnectionRequest, Provider
from voicechat.providers.rest import (
    HttpRequest,
    TokenEndpoint,
    TokenRequest,
    bearer,
    http_base,
    post,
)
from voicechat.system.dial_target import DialTarget


def _connect(request: ConnectionRequest) -> Callable[[], Codec]:
    from voicechat.providers.gateway.gateway_codec import GatewayCodec

    url = address(socket_base(request.base_url or URL), request.model)
    return partial(GatewayCodec, url, request.model, request.key, team_of(request.environ))


def _token_request(request: TokenRequest) -> HttpRequest:
    seconds = {} if request.seconds is None else {"expiresIn": request.seconds}
    url = f"{_base(request)}/v1/realtime/client-secrets"
    headers = bearer(request.key) | team_header(team_of(request.environ))
    return post(url, headers, {"model": request.model, **seconds})


def _token_socket(request: TokenRequest) -> str:
    return address(_base(request).replace("http", "ws", 1), request.model)


def _base(request: TokenRequest) -> str:
    return http_base(request.socket, URL, "/v4/ai/")


def _dial(url: str, token: Secret) -> DialTarget:
    # A browser cannot set headers, so the gateway takes its tokens as a subprotocol.
    secret = Secret(f"ai-gateway-auth.{token.reveal()}")
    return DialTarget(url, {}, ("ai-gateway-realtime.v1", secret))


PROVIDER = Provider(
    name="gateway",
    default_model="openai/gpt-realtime-2.1",
    models=(
        "openai/gpt-realtime-2.1", "google/gemini-3.8-live",
        "google/gemini-3.8-live-extended-thinking", "spacexai/grok-voice-3.0",
        "elevenlabs/eleven-realtime-v1-mini", "elevenlabs/eleven-realtime-v1-max",
    ),
    prices={
        f"{upstream.name}/{name}": price
        for upstream in (GOOGLE, OPENAI)
        for name, price in upstream.prices.items()
    },
    speech=gateway_speech.SPEECH,
    key_variables=("AI_GATEWAY_API_KEY",),
    url=URL,
    connect=_connect,
    tokens=TokenEndpoint(_token_request, 1, 300, _token_socket, _dial),
    transcription=TRANSCRIPTION,
    order=50,
)  # fmt: skip
