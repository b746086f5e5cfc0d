"""Access control of the server: paths, tokens, Host and Origin headers, and plain HTTP answers."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Container
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from websockets.datastructures import Headers
from websockets.http11 import Response

from voicechat.errors import Secret
from voicechat.server import client_secrets, speech_requests
from voicechat.server.client_secrets import ClientSecrets
from voicechat.server.cross_origin import CrossOrigin
from voicechat.server.http_connection import ClientRequest, HttpAnswer, json_response, refusal
from voicechat.server.realtime.server_frames import Json
from voicechat.server.speech_requests import SpeechRequests
from voicechat.server.webrtc import call_endpoint
from voicechat.server.webrtc.call_endpoint import CallEndpoint
from voicechat.server.webrtc.served_call import ServedCall

REALTIME = "/v1/realtime"
_METHODS = {
    "/healthz": "GET",
    "/v1/models": "GET",
    REALTIME: "GET",
    client_secrets.PATH: "POST",
    speech_requests.PATH: "POST",
    call_endpoint.PATH: "POST",
}
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_KEY = "openai-insecure-api-key."
"""Prefix of the subprotocol that carries the token: browsers can set no other header."""
_BETA = "openai-beta.realtime-v1"


@dataclass(frozen=True, slots=True)
class Grant:
    """An accepted WebSocket handshake."""

    session: Json = field(default_factory=dict)
    """The session that the client's token is for; empty for the token of the server."""
    beta: bool = False
    """True if the client speaks the beta of the protocol."""
    call: ServedCall | None = None
    """The call that the socket watches."""


class AccessCheck:
    """Accepts or refuses requests.

    only_local: also check the Host header, against DNS rebinding. origins: of the web pages that
    may connect.
    """

    def __init__(
        self,
        token: Secret,
        model: str,
        only_local: bool,
        one_time: ClientSecrets,
        speech: SpeechRequests,
        calls: CallEndpoint,
        origins: Container[str] = (),
    ) -> None:
        self._speech = speech
        self._calls = calls
        self._pages = CrossOrigin(origins)
        self._token = token
        self._model = model
        self._only_local = only_local
        self._one_time = one_time

    def answer(self, request: ClientRequest) -> Response | Awaitable[HttpAnswer]:
        """Return the answer to a request that is not a WebSocket handshake, or its coroutine."""
        return self._pages.readable(request.headers, self._answer(request))

    def _answer(self, request: ClientRequest) -> Response | Awaitable[HttpAnswer]:
        answered = (
            self._refuse_caller(request.headers)
            or self._pages.preflight(request.method, request.headers)
            or _refuse_address(request.method, request.path)
        )
        if answered is not None:
            return answered
        path = _path(request.path)
        if path == "/healthz":
            return json_response(HTTPStatus.OK, {"status": "ok"})
        if path == call_endpoint.PATH:
            return self._create_call(request)
        if not self._is_token(_credentials(request.headers)):
            return _unauthorized()
        if path == "/v1/models":
            model = {"id": self._model, "object": "model", "created": 0, "owned_by": "voicechat"}
            return json_response(HTTPStatus.OK, {"object": "list", "data": [model]})
        if path == speech_requests.PATH:
            return self._speech.answer(request)
        if path == client_secrets.PATH:
            return self._one_time.create(request)
        if call_endpoint.is_hang_up(path):
            return self._calls.hang_up(path)
        message = "This address speaks WebSocket only."
        return refusal(
            HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", message, Upgrade="websocket"
        )

    def _create_call(self, request: ClientRequest) -> Response | Awaitable[Response]:
        tokens = _credentials(request.headers)
        model = requested_model(request.path, self._model)
        if self._is_token(tokens):
            return self._calls.create(request, model, dict)
        if not self._is_one_time(tokens):
            return _unauthorized()
        return self._calls.create(request, model, lambda: self._one_time.redeem(tokens[0]))

    def open(self, path: str, headers: Headers, full: bool) -> Grant | Response:
        """Accept a WebSocket handshake, or return the refusal. Uses up a one-time token.

        full: refuse, because all connections are in use.
        """
        refused = self._refuse_caller(headers) or _refuse_address("GET", path)
        if refused is not None:
            return refused
        if _path(path) != REALTIME:
            message = f"Use WebSocket at {REALTIME}."
            return refusal(HTTPStatus.BAD_REQUEST, "invalid_request", message)
        beta = _BETA in _subprotocols(headers) or "realtime=v1" in headers.get_all("OpenAI-Beta")
        tokens = _credentials(headers)
        call_id = requested_call(path)
        if not self._is_token(tokens) and (call_id or not self._is_one_time(tokens)):
            return _unauthorized()
        if call_id:
            call = self._calls.watched(call_id)
            return call if isinstance(call, Response) else Grant(call=call)
        if full:
            message = (
                "All connections of this server are in use. Try again later, or start it with a"
                " larger --max-connections."
            )
            return refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "server_overloaded", message, Retry_After="2"
            )
        return Grant(self._one_time.redeem(tokens[0]) or {}, beta)

    def _refuse_caller(self, headers: Headers) -> Response | None:
        """Refuse a web page, and a Host name that is not this machine."""
        if self._pages.refuses(headers):
            message = "Requests from this web page are not accepted. See --origin."
            return refusal(HTTPStatus.FORBIDDEN, "origin_not_allowed", message)
        hosts = headers.get_all("Host")
        names = {_hostname(host) for host in hosts}
        if len(hosts) != 1 or (self._only_local and not names <= _LOOPBACK):
            message = "This server accepts requests to its loopback address only."
            return refusal(HTTPStatus.FORBIDDEN, "host_not_allowed", message)
        return None

    def _is_one_time(self, tokens: list[str]) -> bool:
        """Return True if this is an unused one-time token, and nothing else."""
        return len(tokens) == 1 and self._one_time.is_unused(tokens[0])

    def _is_token(self, tokens: list[str]) -> bool:
        """Return True if this is the token of the server, and nothing else."""
        expected = self._token.reveal().encode()
        given = [token.encode("utf-8", "surrogateescape") for token in tokens]
        return len(given) == 1 and hmac.compare_digest(given[0], expected)


def _refuse_address(method: str, target: str) -> Response | None:
    """Refuse an unknown request."""
    path = _path(target)
    known = "POST" if call_endpoint.is_hang_up(path) else _METHODS.get(path)
    if known is None:
        message = f"Unknown request URL: {method} {path[:200]}."
        return refusal(HTTPStatus.NOT_FOUND, "unknown_url", message)
    if method != known:
        message = f"Not allowed: {method[:20]} {path[:200]}. Use {known}."
        return refusal(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", message, Allow=known)
    return None


def requested_call(path: str) -> str | None:
    """Return the id of the call that a request wants to watch, or None."""
    return parse_qs(urlsplit(path).query).get("call_id", [None])[0]


def requested_model(path: str, default: str) -> str:
    """Return the model that a request names in its query, at most 128 characters."""
    found = parse_qs(urlsplit(path).query).get("model", [default])[0]
    return found[:128] or default


def is_transcription(path: str) -> bool:
    """Return True if a request wants a transcription session."""
    return "transcription" in parse_qs(urlsplit(path).query).get("intent", ())


def _credentials(headers: Headers) -> list[str]:
    """Return the tokens of a request. More than one is not valid, as at OpenAI."""
    bearer = [value.partition(" ") for value in headers.get_all("Authorization")]
    tokens = [token.strip() if kind.lower() == "bearer" else "" for kind, _, token in bearer]
    return tokens + [
        name.removeprefix(_KEY) for name in _subprotocols(headers) if name.startswith(_KEY)
    ]


def _subprotocols(headers: Headers) -> list[str]:
    lines = headers.get_all("Sec-WebSocket-Protocol")
    return [name.strip() for line in lines for name in line.split(",")]


def _unauthorized() -> Response:
    return refusal(
        HTTPStatus.UNAUTHORIZED,
        "invalid_api_key",
        "Incorrect or missing token. Send it as 'Authorization: Bearer TOKEN', or as the"
        f" subprotocol '{_KEY}TOKEN', but not as both.",
        WWW_Authenticate="Bearer",
    )


def _path(target: str) -> str:
    try:
        return urlsplit(target).path
    except ValueError:
        return target


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
