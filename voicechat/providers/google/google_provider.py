"""Google: the models, voices, address and tokens of Gemini Live.

Sources: Gemini API docs, "Live API", "Session management", "Ephemeral tokens", "Pricing" and
"Text-to-speech generation" (voices).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from voicechat.core.price import Price
from voicechat.errors import Secret
from voicechat.providers.base_url import socket_base
from voicechat.providers.codec import Codec
from voicechat.providers.google.google_address import URL, address, is_token
from voicechat.providers.google.google_speech import SPEECH
from voicechat.providers.provider import ConnectionRequest, Provider
from voicechat.providers.rest import (
    HttpRequest,
    TokenEndpoint,
    TokenRequest,
    http_base,
    post,
    timestamp,
)
from voicechat.system.dial_target import DialTarget

_DEFAULT_TOKEN_S = 60
_SESSION_S = 1_800
"""Seconds for which a session opened with a token may go on sending messages."""

_LOCKED = ("generationConfig", "systemInstruction", "tools")
"""Fields of the setup that a token fixes when its session is given."""


def _connect(request: ConnectionRequest) -> Callable[[], Codec]:
    from voicechat.providers.google.google_codec import GoogleCodec

    short_lived = request.key is not None and is_token(request.key)
    url = address(socket_base(request.base_url or URL), token=short_lived)
    return partial(GoogleCodec, url, request.model, request.key)


def _token_request(request: TokenRequest) -> HttpRequest:
    seconds = _DEFAULT_TOKEN_S if request.seconds is None else request.seconds
    opens_until = request.now + seconds
    locked = _locked_setup(request)
    body = {
        "uses": 1,
        "expireTime": timestamp(opens_until + _SESSION_S),
        "newSessionExpireTime": timestamp(opens_until),
        "bidiGenerateContentSetup": locked,
        # Without a mask, the token locks every setting, also those that are not given.
        "fieldMask": _field_mask(locked),
    }
    # The key goes into a header: addresses end up in logs.
    headers = {"x-goog-api-key": request.key}
    return post(f"{_base(request)}/v1alpha/auth_tokens", headers, body)


def _locked_setup(request: TokenRequest) -> dict[str, object]:
    """Return the part of the setup that the token fixes; the client decides on the rest."""
    locked: dict[str, object] = {"model": f"models/{request.model}"}
    if request.settings is None:
        return locked
    from voicechat.providers.google.google_setup import setup

    whole = setup(request.model, request.settings)
    return locked | {name: whole[name] for name in _LOCKED if name in whole}


def _field_mask(locked: Mapping[str, object]) -> str:
    """Return the paths of these fields, two levels deep.

    Source: `google-genai`, `tokens.py`, `_get_field_masks`.
    """
    return ",".join(
        f"{name}.{inner}" if inner else name
        for name, value in locked.items()
        for inner in (value if isinstance(value, dict) and value else ("",))
    )


def _token_socket(request: TokenRequest) -> str:
    return address(_base(request).replace("http", "ws", 1), token=True)


def _base(request: TokenRequest) -> str:
    return http_base(request.socket, URL, "/ws/google.")


def _dial(url: str, token: Secret) -> DialTarget:
    return DialTarget(url, {"Authorization": Secret(f"Token {token.reveal()}")})


_PRICE = Price(0.75, None, 4.5, 3, None, 12, 1, dated="2026-11-28")
"""One section of the price list covers both models. Cached input has no price of its own."""

PROVIDER = Provider(
    name="google",
    default_model="gemini-3.8-live",
    models=("gemini-3.8-live", "gemini-3.8-live-extended-thinking"),
    voices=(
        "Puck", "Charon", "Kore", "Fenrir", "Aoede", "Leda", "Orus", "Zephyr", "Achernar", "Achird",
        "Algenib", "Algieba", "Alnilam", "Autonoe", "Callirrhoe", "Despina", "Enceladus", "Erinome",
        "Gacrux", "Iapetus", "Laomedeia", "Pulcherrima", "Rasalgethi", "Sadachbia", "Sadaltager",
        "Schedar", "Sulafat", "Umbriel", "Vindemiatrix", "Zubenelgenubi",
    ),
    prices={
        "gemini-3.8-live": _PRICE,
        "gemini-3.8-live-extended-thinking": _PRICE,
        "gemini-3.8-flash-tts": Price(text_in=0.5, audio_out=9, dated="2026-11-29"),
        "gemini-3.8-flash-lite-tts": Price(text_in=0.5, audio_out=6, dated="2026-11-29"),
    },
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    url=URL,
    connect=_connect,
    tokens=TokenEndpoint(_token_request, 1, 68_000, _token_socket, _dial),
    speech=SPEECH,
    order=40,
)  # fmt: skip
