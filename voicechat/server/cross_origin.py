"""Requests of web pages from other servers: which pages may read the answers (CORS).

Source: Fetch standard, "CORS protocol"; a preflight is an OPTIONS request with
`Access-Control-Request-Method`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Container
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Response

from voicechat.server.http_connection import HttpAnswer

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
    "Connection": "close",
}


class CrossOrigin:
    """The web pages that may use a server, by their origins as `web_origin` returns them."""

    def __init__(self, origins: Container[str]) -> None:
        self._origins = origins

    def refuses(self, headers: Headers) -> bool:
        """Return True if the request comes from a page that is not listed."""
        return any(origin not in self._origins for origin in headers.get_all("Origin"))

    def preflight(self, method: str, headers: Headers) -> Response | None:
        """Return the answer if the request asks what a page may send."""
        asks = "Origin" in headers and "Access-Control-Request-Method" in headers
        if method != "OPTIONS" or not asks:
            return None
        status = HTTPStatus.NO_CONTENT
        return Response(status.value, status.phrase, Headers(_PREFLIGHT))

    def readable(
        self, headers: Headers, answer: Response | Awaitable[HttpAnswer]
    ) -> Response | Awaitable[HttpAnswer]:
        """Let the page of a request read the answer, if it is listed."""
        if isinstance(answer, Response):
            self._mark(headers, answer.headers)
            return answer
        return self._marked_later(headers, answer)

    async def _marked_later(self, headers: Headers, answer: Awaitable[HttpAnswer]) -> HttpAnswer:
        given = await answer
        self._mark(headers, given.headers)
        return given

    def _mark(self, headers: Headers, answer: Headers) -> None:
        origins = headers.get_all("Origin")
        answer["Vary"] = "Origin"
        if origins and not self.refuses(headers):
            answer["Access-Control-Allow-Origin"] = origins[0]
            answer["Access-Control-Expose-Headers"] = "Location, Retry-After"
