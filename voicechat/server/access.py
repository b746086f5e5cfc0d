"""Access control of the server: paths, token, Host and Origin headers, and plain HTTP answers."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

import msgspec
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from voicechat.errors import Secret
from voicechat.server.realtime.server_frames import Json

REALTIME = "/v1/realtime"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def json_response(status: HTTPStatus, body: Json, **headers: str) -> Response:
    """Return an HTTP response with a JSON body."""
    content = msgspec.json.encode(body)
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "Connection": "close",
        "Cache-Control": "no-store",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Response(status.value, status.phrase, Headers(fields), content)


def refusal(status: HTTPStatus, code: str, message: str, **headers: str) -> Response:
    """Return an HTTP error in the shape of the OpenAI API."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return json_response(status, {"error": error}, **headers)


class AccessCheck:
    """Accepts or refuses requests.

    only_local: also check the Host header, against DNS rebinding.
    """

    def __init__(self, token: Secret, model: str, only_local: bool) -> None:
        self._token = token
        self._model = model
        self._only_local = only_local

    def check(self, request: Request, full: bool) -> Response | None:
        """Return the answer to an HTTP request, or None to accept a WebSocket.

        full: refuse a WebSocket because all connections are in use.
        """
        target = urlsplit(request.path)
        refused = self._origin_refusal(request)
        if refused is not None:
            return refused
        if target.path == "/healthz":
            return json_response(HTTPStatus.OK, {"status": "ok"})
        if target.path not in (REALTIME, "/v1/models"):
            message = f"Unknown request URL: GET {target.path[:200]}."
            return refusal(HTTPStatus.NOT_FOUND, "unknown_url", message)
        if not self._has_valid_token(request):
            return refusal(
                HTTPStatus.UNAUTHORIZED,
                "invalid_api_key",
                "Incorrect or missing token. Send it as 'Authorization: Bearer TOKEN'.",
                WWW_Authenticate="Bearer",
            )
        if target.path == "/v1/models":
            return self._models()
        return self._realtime(request, full)

    def _models(self) -> Response:
        model = {"id": self._model, "object": "model", "created": 0, "owned_by": "voicechat"}
        return json_response(HTTPStatus.OK, {"object": "list", "data": [model]})

    def _realtime(self, request: Request, full: bool) -> Response | None:
        if "websocket" not in ",".join(request.headers.get_all("Upgrade")).lower():
            message = "This address speaks WebSocket only."
            return refusal(
                HTTPStatus.UPGRADE_REQUIRED, "upgrade_required", message, Upgrade="websocket"
            )
        if full:
            message = (
                "All connections of this server are in use. Try again later, or start it with a"
                " larger --max-connections."
            )
            return refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "server_overloaded", message, Retry_After="2"
            )
        return None

    def _origin_refusal(self, request: Request) -> Response | None:
        """Refuse a web page, and a Host name that is not this machine."""
        if request.headers.get_all("Origin"):
            message = "Requests from web pages are not accepted."
            return refusal(HTTPStatus.FORBIDDEN, "origin_not_allowed", message)
        hosts = request.headers.get_all("Host")
        names = {_hostname(host) for host in hosts}
        if len(hosts) != 1 or (self._only_local and not names <= _LOOPBACK):
            message = "This server accepts requests to its loopback address only."
            return refusal(HTTPStatus.FORBIDDEN, "host_not_allowed", message)
        return None

    def _has_valid_token(self, request: Request) -> bool:
        values = request.headers.get_all("Authorization")
        if len(values) != 1:
            return False
        scheme, _, token = values[0].partition(" ")
        expected = self._token.reveal().encode()
        same = hmac.compare_digest(token.strip().encode("utf-8", "surrogateescape"), expected)
        return same and scheme.lower() == "bearer"


def requested_model(path: str, default: str) -> str:
    """Return the model that a request names in its query, at most 128 characters."""
    found = parse_qs(urlsplit(path).query).get("model", [default])[0]
    return found[:128] or default


def is_transcription(path: str) -> bool:
    """Return True if a request wants a transcription session."""
    return "transcription" in parse_qs(urlsplit(path).query).get("intent", ())


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
