"""OpenAI: its models, voices, prices, address and tokens.

Sources: OpenAI platform docs, "Models", "Pricing" and "Realtime API" (connecting, client
secrets); API reference, `POST /v1/realtime/client_secrets`.
"""

from __future__ import annotations

from collections.abc import Callable

from voicechat.core.price import Price
from voicechat.core.settings import SessionSettings
from voicechat.errors import UsageError
from voicechat.providers.codec import Codec
from voicechat.providers.json_fields import fields
from voicechat.providers.openai import openai_speech
from voicechat.providers.openai.openai_models import LIVE_VOICES, is_live, is_translator
from voicechat.providers.openai.openai_transcription import TRANSCRIPTION
from voicechat.providers.provider import WEBRTC, WEBSOCKET, ConnectionRequest, ModelLimits, Provider
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


def _connect(request: ConnectionRequest) -> Callable[[], Codec]:
    from voicechat.providers.openai.openai_connection import connect

    return connect(request)


def client_secret_request(request: TokenRequest) -> HttpRequest:
    """Build the request for a client secret; the secret opens the session in it.

    Raises `UsageError` for a model without secrets.
    """
    if is_live(request.model):
        raise UsageError(
            f"OpenAI issues no tokens for {request.model}.",
            "Open the session on a server, which has the key.",
        )
    seconds = _DEFAULT_TOKEN_S if request.seconds is None else request.seconds
    body = {
        "expires_after": {"anchor": "created_at", "seconds": seconds},
        "session": _session(request),
    }
    return post(below_socket(request.socket, "client_secrets"), bearer(request.key), body)


def _new_session(settings: SessionSettings) -> dict[str, object]:
    """Return the session object. Only an update may have null for no transcription."""
    from voicechat.providers.openai.openai_session import session_object

    session = session_object(settings)
    if settings.transcription is None:
        fields(fields(session["audio"])["input"]).pop("transcription")
    return session


def _session(request: TokenRequest) -> dict[str, object]:
    if is_translator(request.model):
        return {"model": request.model}
    if request.settings is not None:
        return _new_session(request.settings) | {"model": request.model}
    session: dict[str, object] = {"type": "realtime", "model": request.model}
    if request.instructions:
        session["instructions"] = request.instructions
    if request.voice:
        session["audio"] = {"output": {"voice": request.voice}}
    return session


_FULL = Price(4, 0.4, 16, 32, 0.4, 64, 5, 0.5, dated="2026-06-22")
_SECOND = Price(4, 0.4, 24, 32, 0.4, 64, 5, 0.5, dated="2026-11-28")
_LIVE = Price(minute=0.05, paused_minute=0.02, dated="2026-11-28")
_STREAMED = Price(minute=0.017, dated="2026-11-29")
_RECORDED = Price(2.5, text_out=10, audio_in=6, minute=0.006, dated="2026-11-29")
"""Answers report tokens or the time of the sound."""
_LARGE = ModelLimits(128_000, 32_000)

PROVIDER = Provider(
    name="openai",
    default_model="gpt-realtime-2.1",
    models=(
        "gpt-realtime-2.1", "gpt-realtime-2.1-mini", "gpt-realtime-2", "gpt-realtime-1.5",
        "gpt-realtime", "gpt-realtime-mini", "gpt-live-1.1", "gpt-live-1",
    ),
    samples=openai_speech.SPEECH,
    speech=openai_speech.SPEECH,
    voices=(
        "marin", "cedar", "alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse",
    ),
    model_voices={"gpt-live-1.1": LIVE_VOICES, "gpt-live-1": LIVE_VOICES},
    translation_models=("gpt-realtime-translate",),
    transcription_models=(
        "gpt-live-transcribe", "gpt-transcribe", "gpt-realtime-whisper", "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe", "gpt-4o-transcribe-diarize", "whisper-1",
    ),
    prices={
        "gpt-4o-mini-tts": Price(text_in=0.6, audio_out=12, dated="2026-11-29"),
        # A character counts as a token of text.
        "tts-1": Price(text_in=15, dated="2026-11-29"),
        "tts-1-hd": Price(text_in=30, dated="2026-11-29"),
        "gpt-realtime": _FULL,
        "gpt-realtime-1.5": _FULL,
        "gpt-realtime-2": _SECOND,
        "gpt-realtime-2.1": _SECOND,
        "gpt-realtime-2.1-mini": Price(0.6, 0.06, 2.4, 10, 0.3, 20, 0.8, 0.08, dated="2026-11-28"),
        "gpt-realtime-mini": Price(0.6, 0.06, 2.4, 10, 0.3, 20, 0.8, 0.08, dated="2026-06-22"),
        "gpt-live-1": _LIVE,
        "gpt-live-1.1": _LIVE,
        "gpt-realtime-translate": Price(minute=0.034, dated="2026-11-28"),
        "gpt-live-transcribe": _STREAMED,
        "gpt-realtime-whisper": _STREAMED,
        "gpt-transcribe": Price(minute=0.0045, dated="2026-11-29"),
        "gpt-4o-transcribe": _RECORDED,
        "gpt-4o-transcribe-diarize": _RECORDED,
        "gpt-4o-mini-transcribe": Price(
            1.25, text_out=5, audio_in=3, minute=0.003, dated="2026-11-29"
        ),
        "whisper-1": Price(minute=0.006, dated="2026-11-29"),
    },
    limits={
        "gpt-realtime-2": _LARGE,
        "gpt-realtime-2.1": _LARGE,
        "gpt-realtime-2.1-mini": _LARGE,
        "gpt-realtime-translate": ModelLimits(16_000, 2_000),
    },
    key_variables=("OPENAI_API_KEY",),
    url=URL,
    url_variable="OPENAI_BASE_URL",
    connect=_connect,
    tokens=TokenEndpoint(client_secret_request, 10, 7_200),
    takes_calls=True,
    order=10,
    transcription=TRANSCRIPTION,
    is_compatible=True,
    transports=(WEBSOCKET, WEBRTC),
)  # fmt: skip
