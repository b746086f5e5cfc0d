"""The guard in front of every route: which web pages may use it (CORS), and deadlines for answers.

Source: Fetch standard, "CORS protocol"; a preflight is an OPTIONS request with
`Access-Control-Request-Method`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voicechat.server.asgi.refusals import error_answer

SEND_S = 10.0
"""Seconds for a client to take a part of the answer."""

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "600",
}


class PageGuard:
    """Refuses pages that are not listed, and tells browsers which ones are."""

    def __init__(self, app: ASGIApp, origins: Container[str]) -> None:
        """origins: of the pages, as `web_origin` returns them."""
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request (ASGI 3)."""
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        origins = headers.getlist("origin")
        listed = origins[0] if origins and all(each in self._origins for each in origins) else ""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                sent["Vary"] = "Origin"
                if listed:
                    sent["Access-Control-Allow-Origin"] = listed
                    sent["Access-Control-Allow-Credentials"] = "true"
                    sent["Access-Control-Expose-Headers"] = "Retry-After"
            async with asyncio.timeout(SEND_S):
                await send(message)

        if origins and not listed:
            text = "Requests from this web page are not accepted. See --origin."
            refusal = error_answer("origin_not_allowed", text, HTTPStatus.FORBIDDEN)
            await refusal(scope, receive, answer)
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, answer)
        else:
            await self._app(scope, receive, answer)
