"""One-time tokens for clients that must not have the token of the server.

Source: OpenAI API reference, "Create client secret". Here a token opens one connection, and lives
for a minute unless the request asks for more.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from http import HTTPStatus

from websockets.http11 import Response

from voicechat.server.http_connection import ClientRequest, json_response, refusal
from voicechat.server.realtime import client_shapes
from voicechat.server.realtime.field_checks import number, one_of, shape
from voicechat.server.realtime.server_frames import Json, WireError, decode_object
from voicechat.server.realtime.server_session import new_session, session_echo

PATH = "/v1/realtime/client_secrets"
_PREFIX = "ek_"
_SECONDS = 60
"""Lifetime of a token by default."""
_MOST = 1_000
"""Unused tokens at a time."""
_MOST_BYTES = 16 * 1024 * 1024
"""Size of the requests of all unused tokens, which may hold long instructions."""
_EXPIRES_AFTER = shape(
    {"anchor": one_of("created_at"), "seconds": number(10, 7_200, whole=True)}, ("anchor",)
)


class ClientSecrets:
    """The unused tokens, each with the session that it opens.

    voices: returns the voice names of the engine. now: returns the Unix time in seconds.
    """

    def __init__(
        self,
        model: str,
        voices: Callable[[], tuple[str, ...]],
        voice: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._model = model
        self._voices = voices
        self._voice = voice
        self._now = now
        self._unused: dict[str, tuple[float, Json, int]] = {}
        """End, session and size of the request, by token."""

    def create(self, request: ClientRequest) -> Response:
        """Answer a request for a token."""
        kinds = [kind.partition(";")[0] for kind in request.headers.get_all("Content-Type")]
        if request.body and kinds != ["application/json"]:
            message = "Send the body as JSON, with 'Content-Type: application/json'."
            return refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
        self._drop_expired()
        size = len(request.body) + sum(size for _, _, size in self._unused.values())
        if len(self._unused) >= _MOST or size > _MOST_BYTES:
            message = f"{len(self._unused)} tokens are unused. Use them, or wait until they expire."
            return refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "rate_limit_exceeded", message, Retry_After="10"
            )
        try:
            return json_response(HTTPStatus.OK, self._mint(request.body or b"{}"))
        except WireError as error:
            return refusal(HTTPStatus.BAD_REQUEST, error.code, error.message, error.param)

    def _mint(self, content: bytes) -> Json:
        body = decode_object(content)
        voices = tuple(filter(None, (*self._voices(), self._voice)))
        session = client_shapes.any_session(voices)
        found = shape({"session": session, "expires_after": _EXPIRES_AFTER})(body, "")
        defaults = found.get("session", {"type": "realtime"})
        lifetime = found.get("expires_after", {}).get("seconds", _SECONDS)
        expires_at = int(self._now()) + lifetime
        value = _PREFIX + secrets.token_urlsafe(32)
        self._unused[value] = (expires_at, defaults, len(content))
        model = defaults.get("model", self._model)
        whole = new_session(model, self._voice or voices[0], expires_at, defaults)
        echo = session_echo(whole, defaults["type"] == "transcription")
        return {"value": value, "expires_at": expires_at, "session": echo}

    def redeem(self, token: str) -> Json | None:
        """Use up a token; return the session that it opens, or None if it is not valid."""
        self._drop_expired()
        _, session, _ = self._unused.pop(token, (0.0, None, 0))
        return session

    def is_unused(self, token: str) -> bool:
        """Return True if the token opens a connection."""
        self._drop_expired()
        return token in self._unused

    def _drop_expired(self) -> None:
        now = self._now()
        for token in [one for one, (expires_at, *_) in self._unused.items() if expires_at <= now]:
            del self._unused[token]
