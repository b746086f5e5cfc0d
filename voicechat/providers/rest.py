"""Short-lived tokens over HTTP: the request for one, and the provider's answer.

This module sends nothing. A token opens one session (or several, until it expires) from a place
where the key must not be, like a browser. It does not limit the length of a session. Each
provider's endpoint is in the provider's own module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec

from voicechat.core.settings import SessionSettings
from voicechat.errors import Secret, UsageError
from voicechat.providers.json_fields import as_text, encode, fields, number, parse, text_or_none
from voicechat.system.dial_target import DialTarget


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The session a token is requested for."""

    model: str
    """Without the provider's name."""
    key: Secret
    socket: str = ""
    """Address of the provider's realtime socket, as its codec dials it."""
    seconds: int | None = None
    """Seconds for which the token may open sessions; None for the provider's default."""
    voice: str | None = None
    instructions: str | None = None
    settings: SessionSettings | None = None
    """The whole session, for the providers whose tokens hold it; it wins over both above."""
    key_variable: str | None = None
    """The environment variable that holds the key."""
    now: float = 0.0
    """Seconds since 1970."""
    environ: Mapping[str, str | Secret] = field(default_factory=dict, repr=False)
    """Variables that the provider may read."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A POST. Header values are secret: reveal them only to the connection."""

    url: str
    headers: Mapping[str, Secret]
    body: bytes


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A short-lived token."""

    value: Secret
    url: str
    """The socket it opens."""
    expires_at: float | None = None
    """Seconds since 1970."""


def bearer(key: Secret) -> dict[str, Secret]:
    """Return the header that carries a key or token (RFC 6750)."""
    return {"Authorization": Secret(f"Bearer {key.reveal()}")}


def _dialed(request: TokenRequest) -> str:
    return request.socket


def _with_bearer(url: str, token: Secret) -> DialTarget:
    return DialTarget(url, bearer(token))


@dataclass(frozen=True, slots=True)
class TokenEndpoint:
    """The token endpoint of one provider."""

    request: Callable[[TokenRequest], HttpRequest]
    """Builds the POST."""
    shortest_s: int
    longest_s: int
    """Range of seconds that a token may last."""
    socket: Callable[[TokenRequest], str] = _dialed
    """Returns the address that the token opens."""
    dial: Callable[[str, Secret], DialTarget] = _with_bearer
    """Returns how to dial an address with a token: by header or by subprotocol, never both."""

    def build(self, request: TokenRequest) -> HttpRequest:
        """Build the POST. Raises `UsageError` if the token would last too short or too long."""
        seconds = request.seconds
        if seconds is not None and not self.shortest_s <= seconds <= self.longest_s:
            raise UsageError(
                f"A token of this provider lasts {self.shortest_s} to {self.longest_s} seconds,"
                f" not {seconds}."
            )
        return self.request(request)

    def read(self, request: TokenRequest, body: bytes) -> ClientSecret | None:
        """Return the token in the answer to a request; None if there is none."""
        answer = parse(body, _Answer)
        if answer is None:
            return None
        nested = fields(answer.client_secret)
        value = (
            text_or_none(answer.value) or text_or_none(answer.token) or text_or_none(answer.name)
        )
        value = value or text_or_none(nested.get("value"))
        if value is None:
            return None
        expires = number(answer.expires_at) or number(answer.expiresAt)
        expires = expires or number(nested.get("expires_at")) or _time(as_text(answer.expireTime))
        return ClientSecret(Secret(value), self.socket(request), expires or None)


class _Answer(msgspec.Struct):
    value: object = None
    token: object = None
    name: object = None
    expires_at: object = None
    expiresAt: object = None
    expireTime: object = None
    client_secret: object = None


class _ErrorBody(msgspec.Struct):
    error: object = None
    message: object = None
    code: object = None
    detail: object = None
    """A text, or a list of objects with `msg`, of servers made with FastAPI."""


def read_error(body: bytes) -> str:
    """Return the message of an error body in any of the providers' shapes; empty if none."""
    found = parse(body, _ErrorBody)
    if found is None:
        return ""
    error = fields(found.error)
    message = (
        text_or_none(error.get("message"))
        or text_or_none(found.error)
        or text_or_none(found.message)
        or _detail(found.detail)
    )
    return message or text_or_none(error.get("code")) or as_text(found.code)


def _detail(detail: object) -> str | None:
    if isinstance(detail, list) and detail:
        detail = fields(detail[0]).get("msg")
    return text_or_none(detail)


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0


# --------------------------------------------------------------------------- building requests


def timestamp(seconds: float) -> str:
    """Format seconds since 1970 as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def post(url: str, headers: Mapping[str, Secret], body: Mapping[str, object]) -> HttpRequest:
    """Build a POST with a JSON body."""
    sent = {**headers, "Content-Type": Secret("application/json")}
    return HttpRequest(url, sent, encode(body).encode())


def below_socket(socket: str, name: str) -> str:
    """Return the HTTP address of `name` below the path of a socket."""
    return f"{http_address(socket)}/{name}"


def http_address(socket: str) -> str:
    """Return the HTTP address with the path of a socket, without its query."""
    parts = urlsplit(socket)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return f"{scheme}://{parts.netloc}{parts.path}"


def http_base(socket: str, default: str, path: str) -> str:
    """Return the HTTP address above `path` in a socket's address; of `default` without a socket.

    What a gateway puts before that path is kept.
    """
    parts = urlsplit(socket if urlsplit(socket).hostname else default)
    scheme = "http" if parts.scheme in {"ws", "http"} else "https"
    prefix, found, _ = parts.path.partition(path)
    return f"{scheme}://{parts.netloc}{prefix if found else ''}"
