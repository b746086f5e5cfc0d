"""Refusals of the endpoint, and all its answers, as JSON in the shape of the OpenAI API."""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse

_log = logging.getLogger(__name__)
_NO_STORE = {"Cache-Control": "no-store"}
_UNREAD = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE})
"""Refusals before the whole body is read."""
_SENTENCES = {
    404: ("unknown_url", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take this method."),
}


class Refusal(Exception):
    """A request that is not carried out. `message` is a sentence for the client."""

    def __init__(
        self, status: HTTPStatus, code: str, message: str, retry_after: int | None = None
    ) -> None:
        """retry_after: seconds after which the client may try again."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def busy(message: str) -> Refusal:
    """Return the refusal of a request that came while too much else runs."""
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "server_overloaded", message, retry_after=2)


def json_answer(content: object, status: int = 200, **headers: str) -> JSONResponse:
    """Return an answer that nothing on the way keeps. `Retry_After` is the header Retry-After."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(content, status, {**_NO_STORE, **fields})


def error_answer(code: str, message: str, status: int, **headers: str) -> JSONResponse:
    """Return an error in the shape of the OpenAI API."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return json_answer({"error": error}, status, **headers)


def refusal_answer(refusal: Refusal) -> JSONResponse:
    """Return the answer of a refusal."""
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry_After"] = str(refusal.retry_after)
    if refusal.status in _UNREAD:
        headers["Connection"] = "close"
    if refusal.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW_Authenticate"] = "Bearer"
    return error_answer(refusal.code, refusal.message, refusal.status, **headers)


async def refused(request: Request, error: Exception) -> JSONResponse:
    """Answer any error of a route: a refusal, an unknown address, a fault of this program."""
    if isinstance(error, Refusal):
        return refusal_answer(error)
    status = getattr(error, "status_code", 500)
    if status == 500:
        # Without its text, which may hold what a client or a provider sent.
        _log.error("a request failed with %s", type(error).__name__)
    code, message = _SENTENCES.get(status, ("internal_error", "The server had an internal error."))
    allowed = dict(getattr(error, "headers", None) or {})
    return error_answer(code, message, status, **allowed)
