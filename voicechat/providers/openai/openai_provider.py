"""OpenAI: its models, voices, prices, address and tokens.

Sources: OpenAI platform docs, "Models", "Pricing" and "Realtime API" (connecting, client
secrets); API reference, `POST /v1/realtime/client_secrets`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from urllib.parse import urlsplit

from voicechat.core.price import Price
from voicechat.providers.base_url import realtime_url
from voicechat.providers.codec import Codec
from voicechat.providers.openai.openai_beta import BETA, VOICE_LIVE
from voicechat.providers.openai.openai_codec import GENERAL, OpenAICodec
from voicechat.providers.openai.openai_compatible import ANY_SERVER
from voicechat.providers.provider import ConnectionRequest, Provider
from voicechat.providers.rest import (
    HttpRequest,
    TokenEndpoint,
    TokenRequest,
    bearer,
    below_socket,
    post,
)

URL = "wss://api.openai.com/v1/realtime"

_DEFAULT_TOKEN_S = 600

_DIALECTS = {"ga": GENERAL, "beta": BETA, "voice-live": VOICE_LIVE}
"""The dialects that the user may name."""


def _connect(request: ConnectionRequest) -> Callable[[], Codec]:
    url = realtime_url(request.base_url or URL, request.model, request.purpose)
    inferred = GENERAL if urlsplit(url).hostname == urlsplit(URL).hostname else ANY_SERVER
    dialect = _DIALECTS.get(request.dialect or "", inferred)
    named = replace(dialect, name=PROVIDER.name, key_variable=PROVIDER.key_variable or "")
    return partial(OpenAICodec, url, request.key, named)


def client_secret_request(request: TokenRequest) -> HttpRequest:
    """Build the request for a client secret; the secret opens the session in it."""
    session: dict[str, object] = {"type": "realtime", "model": request.model}
    if request.instructions:
        session["instructions"] = request.instructions
    if request.voice:
        session["audio"] = {"output": {"voice": request.voice}}
    seconds = _DEFAULT_TOKEN_S if request.seconds is None else request.seconds
    body = {"expires_after": {"anchor": "created_at", "seconds": seconds}, "session": session}
    return post(below_socket(request.socket, "client_secrets"), bearer(request.key), body)


_FULL = Price(4, 0.4, 16, 32, 0.4, 64, 5, dated="2026-06-22")

PROVIDER = Provider(
    name="openai",
    default_model="gpt-realtime-2.1",
    models=(
        "gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-2", "gpt-realtime-1.5",
        "gpt-realtime", "gpt-realtime-mini",
    ),
    voices=(
        "marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse",
    ),
    transcription_models=(
        "gpt-live-transcribe", "gpt-transcribe", "gpt-realtime-whisper", "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", "whisper-1",
    ),
    prices={
        "gpt-realtime": _FULL,
        "gpt-realtime-1.5": _FULL,
        "gpt-realtime-2": Price(4, 0.4, 24, 32, 0.4, 64, 5, dated="2026-05-07"),
        "gpt-realtime-mini": Price(0.6, 0.06, 2.4, 10, 0.3, 20, 0.8, dated="2026-06-22"),
    },
    key_variables=("OPENAI_API_KEY",),
    url=URL,
    url_variable="OPENAI_BASE_URL",
    connect=_connect,
    tokens=TokenEndpoint(client_secret_request, 10, 7_200),
    order=10,
    is_compatible=True,
)  # fmt: skip
