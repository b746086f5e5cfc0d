"""The HTTP side of providers: what to ask for a short-lived token, and what the answer means.

Nothing is sent from here. A token opens one session (or, while it lasts, several) from a place
where the key must not be, like a browser; it says nothing about how long a session may last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

import msgspec

from voicechat.errors import Secret, UsageError
from voicechat.providers import azure
from voicechat.providers.json_fields import encode, fields, number, parse, word, words
from voicechat.providers.openai.openai_codec import bearer
from voicechat.system.dial_target import DialTarget

GOOGLE = "https://generativelanguage.googleapis.com"
GATEWAY = "https://ai-gateway.vercel.sh"


@dataclass(frozen=True, slots=True)
class Ask:
    """What a token is wanted for."""

    model: str
    """Without the provider's name."""
    key: Secret
    socket: str = ""
    """The address of the provider's realtime socket, as its codec dials it."""
    seconds: int | None = None
    """How long the token may open sessions; None for the provider's usual time."""
    voice: str | None = None
    instructions: str | None = None
    is_entra: bool = False
    """The key is an Entra token (Azure)."""
    now: float = 0.0
    """The time, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Request:
    """A POST. Header values are secret: reveal them only to the connection."""

    url: str
    headers: Mapping[str, Secret]
    body: bytes


@dataclass(frozen=True, slots=True)
class Token:
    """What came of it."""

    value: Secret
    url: str
    """The socket it opens."""
    expires_at: float | None = None
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Mint:
    """How one provider gives tokens."""

    request: Callable[[Ask], Request]
    socket: Callable[[Ask], str]
    """The address that the token opens."""
    shortest: int
    longest: int
    """Seconds that a token may last."""


def mint_request(provider: str, ask: Ask) -> Request:
    """The request for a token. Raises `UsageError` where there are none, or for a wrong time."""
    mint = MINTS.get(provider)
    if mint is None:
        raise UsageError(
            f"{provider} gives no short-lived tokens.", f"These do: {', '.join(MINTS)}."
        )
    if ask.seconds is not None and not mint.shortest <= ask.seconds <= mint.longest:
        raise UsageError(
            f"A token of {provider} lasts {mint.shortest} to {mint.longest} seconds,"
            f" not {ask.seconds}."
        )
    return mint.request(ask)


def opened(provider: str, ask: Ask) -> str:
    """The address that a token of this provider opens; `ask` says where its socket usually is."""
    mint = MINTS.get(provider)
    return mint.socket(ask) if mint is not None else ask.socket


def admission(provider: str, url: str, token: Secret) -> DialTarget:
    """How to dial with a short-lived token: by header or by subprotocol, never by both.

    Sources: the providers' guides to client secrets; xAI and the gateway take theirs as browsers
    send them.
    """
    value = token.reveal()
    if provider == "xai":
        return DialTarget(url, {}, (Secret(f"xai-client-secret.{value}"),))
    if provider == "gateway":
        return DialTarget(url, {}, ("ai-gateway-realtime.v1", Secret(f"ai-gateway-auth.{value}")))
    if provider == "google":
        return DialTarget(url, {"Authorization": Secret(f"Token {value}")})
    return DialTarget(url, bearer(token))


class _Answer(msgspec.Struct):
    value: object = None
    token: object = None
    name: object = None
    expires_at: object = None
    expiresAt: object = None
    expireTime: object = None
    client_secret: object = None


def read_token(provider: str, ask: Ask, body: bytes) -> Token | None:
    """The token in an answer; None if there is none in it."""
    answer = parse(body, _Answer)
    if answer is None:
        return None
    older = fields(answer.client_secret)
    value = word(answer.value) or word(answer.token) or word(answer.name)
    value = value or word(older.get("value"))
    if value is None:
        return None
    expires = number(answer.expires_at) or number(answer.expiresAt)
    expires = expires or number(older.get("expires_at")) or _moment(words(answer.expireTime))
    return Token(Secret(value), MINTS[provider].socket(ask), expires or None)


class _Refusal(msgspec.Struct):
    error: object = None
    message: object = None
    code: object = None


def read_error(body: bytes) -> str:
    """The sentence in an error body, whichever of the usual shapes it has; else nothing."""
    refusal = parse(body, _Refusal)
    if refusal is None:
        return ""
    error = fields(refusal.error)
    found = word(error.get("message")) or word(refusal.error) or word(refusal.message)
    return found or word(error.get("code")) or words(refusal.code)


def _moment(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _post(url: str, headers: Mapping[str, Secret], body: Mapping[str, object]) -> Request:
    sent = {**headers, "Content-Type": Secret("application/json")}
    return Request(url, sent, encode(body).encode())


def _beside(socket: str, name: str) -> str:
    """The HTTP address below the socket's path."""
    parts = urlsplit(socket)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}{parts.path}/{name}"


def _origin(socket: str, usual: str) -> str:
    parts = urlsplit(socket)
    if not parts.hostname:
        return usual
    return f"{'http' if parts.scheme in {'ws', 'http'} else 'https'}://{parts.netloc}"


def _dialled(ask: Ask) -> str:
    return ask.socket


# --------------------------------------------------------------------------- each provider


def _session(ask: Ask) -> dict[str, object]:
    said = {"instructions": ask.instructions} if ask.instructions else {}
    voice = {"audio": {"output": {"voice": ask.voice}}} if ask.voice else {}
    return {"type": "realtime", "model": ask.model, **said, **voice}


def _openai(ask: Ask) -> Request:
    seconds = 600 if ask.seconds is None else ask.seconds
    body = {
        "expires_after": {"anchor": "created_at", "seconds": seconds},
        "session": _session(ask),
    }
    return _post(_beside(ask.socket, "client_secrets"), bearer(ask.key), body)


def _azure(ask: Ask) -> Request:
    if urlsplit(ask.socket).path != "/openai/v1/realtime":
        raise UsageError("Only today's Azure endpoints give tokens.", "Leave --wire out.")
    headers = bearer(ask.key) if ask.is_entra else azure.api_key(ask.key)
    return Request(_openai(ask).url, {**_json(), **headers}, _openai(ask).body)


def _json() -> dict[str, Secret]:
    return {"Content-Type": Secret("application/json")}


def _xai(ask: Ask) -> Request:
    seconds = 600 if ask.seconds is None else ask.seconds
    body = {"expires_after": {"seconds": seconds}}
    return _post(_beside(ask.socket, "client_secrets"), bearer(ask.key), body)


_MARGIN_S = 1_800
"""How long a session of Gemini that the token opened may go on being used with it."""


def _google(ask: Ask) -> Request:
    opens_until = ask.now + (60 if ask.seconds is None else ask.seconds)
    body = {
        "uses": 1,
        "expireTime": _stamp(opens_until + _MARGIN_S),
        "newSessionExpireTime": _stamp(opens_until),
        "bidiGenerateContentSetup": {"model": f"models/{ask.model}"},
    }
    # The key goes into a header: addresses end up in logs.
    headers = {"x-goog-api-key": ask.key}
    return _post(f"{_origin(ask.socket, GOOGLE)}/v1alpha/auth_tokens", headers, body)


def _google_socket(ask: Ask) -> str:
    origin = _origin(ask.socket, GOOGLE).replace("http", "ws", 1)
    service = "google.ai.generativelanguage.v1alpha.GenerativeService"
    return f"{origin}/ws/{service}.BidiGenerateContentConstrained"


def _gateway(ask: Ask) -> Request:
    seconds = {} if ask.seconds is None else {"expiresIn": ask.seconds}
    body = {"model": ask.model, **seconds}
    url = f"{_origin(ask.socket, GATEWAY)}/v1/realtime/client-secrets"
    return _post(url, bearer(ask.key), body)


def _gateway_socket(ask: Ask) -> str:
    origin = _origin(ask.socket, GATEWAY).replace("http", "ws", 1)
    return f"{origin}/v4/ai/realtime-model?ai-model-id={quote(ask.model, safe='')}"


MINTS: Mapping[str, Mint] = {
    "openai": Mint(_openai, _dialled, 10, 7_200),
    "azure": Mint(_azure, _dialled, 10, 7_200),
    "xai": Mint(_xai, _dialled, 1, 7_200),
    "google": Mint(_google, _google_socket, 1, 68_000),
    "gateway": Mint(_gateway, _gateway_socket, 1, 300),
}
"""Who gives tokens, and how."""
