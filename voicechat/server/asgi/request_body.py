"""Bodies of requests, with a limit on their size and a deadline."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from voicechat.server.asgi.refusals import Refusal

MAX_BYTES = 256 * 1024
"""Largest body: a session with its tools and instructions."""

BODY_S = 10.0
"""Seconds for a whole body."""

_MOST_DIGITS = 12


def _too_large(most: int) -> Refusal:
    message = f"The body has more than {most:,} bytes."
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large", message)


async def json_body(request: Request, most: int = MAX_BYTES) -> bytes:
    """Return the body of a request, which may be empty. Raises `Refusal`.

    A body must be declared as JSON: a browser then asks before it sends one from another page.
    """
    body = bytearray()
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > _MOST_DIGITS or int(declared) > most):
        raise _too_large(most)
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise _too_large(most)
    except TimeoutError:
        message = "The body did not arrive in time."
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", message) from None
    except ClientDisconnect:
        raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_request", "The body is cut off.") from None
    kinds = [kind.partition(";")[0].strip() for kind in request.headers.getlist("content-type")]
    if body and kinds != ["application/json"]:
        message = "Send the body as JSON, with 'Content-Type: application/json'."
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    return bytes(body)
