"""xAI: its models, voices, prices, address and tokens.

Sources: xAI docs, "Voice Agent API" (ephemeral tokens), "Text to Speech" and "Custom Voices" (lists
of voices) and "Models and Pricing".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from voicechat.core.price import Price
from voicechat.errors import Secret
from voicechat.providers import xai_speech
from voicechat.providers.base_url import realtime_url
from voicechat.providers.codec import Codec
from voicechat.providers.provider import ConnectionRequest, Provider
from voicechat.providers.rest import (
    HttpRequest,
    TokenEndpoint,
    TokenRequest,
    bearer,
    below_socket,
    post,
)
from voicechat.providers.xai_transcription import TRANSCRIPTION
from voicechat.system.dial_target import DialTarget

URL = "wss://api.x.ai/v1/realtime"

_DEFAULT_TOKEN_S = 600


def _connect(request: ConnectionRequest) -> Callable[[], Codec]:
    from voicechat.providers.openai.openai_codec import OpenAICodec
    from voicechat.providers.xai_dialect import XAI

    url = realtime_url(request.base_url or URL, request.model)
    return partial(OpenAICodec, url, request.key, XAI)


def _token_request(request: TokenRequest) -> HttpRequest:
    seconds = _DEFAULT_TOKEN_S if request.seconds is None else request.seconds
    body = {"expires_after": {"seconds": seconds}}
    return post(below_socket(request.socket, "client_secrets"), bearer(request.key), body)


def _dial(url: str, token: Secret) -> DialTarget:
    # A browser cannot set headers, so xAI takes its tokens as a subprotocol.
    return DialTarget(url, {}, (Secret(f"xai-client-secret.{token.reveal()}"),))


PROVIDER = Provider(
    name="xai",
    default_model="grok-voice-latest",
    models=(
        "grok-voice-latest",
        "grok-voice-3.0",
        "grok-voice-think-fast-2.0",
        "grok-voice-think-fast-1.0",
    ),
    voices=("ara", "eve", "rex", "sal", "leo"),
    samples=xai_speech.SPEECH,
    speech=xai_speech.SPEECH,
    voice_lists=("tts/voices", "custom-voices"),
    prices={
        "grok-voice-latest": Price(minute=0.08, dated="2026-09-24"),
        "grok-voice-think-fast-2.0": Price(minute=0.08, dated="2026-09-24"),
        "grok-voice-think-fast-1.0": Price(minute=0.05, dated="2026-04-06"),
        # A character counts as a token of text.
        "grok-tts": Price(text_in=15, dated="2026-07-28"),
        "grok-stt": Price(minute=0.1 / 60, dated="2026-11-29"),
    },
    key_variables=("XAI_API_KEY",),
    url=URL,
    connect=_connect,
    tokens=TokenEndpoint(_token_request, 1, 7_200, dial=_dial),
    transcription=TRANSCRIPTION,
    order=30,
)
