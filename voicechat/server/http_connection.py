"""A connection of the server: its first request may be any HTTP request.

    bytes -> h11 ─┬─ WebSocket handshake ── websockets, which has the connection from then on
                  ├─ another request ────── `answer`, whole or in blocks, then the connection ends
                  └─ not HTTP ───────────── an error as JSON, then the connection ends

The websockets library itself closes the connection without an answer for all but a handshake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Response

from voicechat.server.realtime.server_frames import Json
from voicechat.system.socket_transport import prepare

OPEN_SECONDS = 5.0
"""Deadline for the opening handshake."""
_REQUEST_SECONDS = 4.5
"""Deadline for a whole request."""
_BLOCK_SECONDS = 30.0
"""Deadline for the client to take a block of an answer, and for the server to make the next one."""
_HEAD_BYTES = 8_000
"""Maximum size of the request line and the headers; websockets accepts lines of 8,192."""
_HEADERS = 120
"""Maximum number of headers; websockets accepts 128."""
_BODY_BYTES = 256 * 1024
_BODY_HEADERS = (b"content-length", b"transfer-encoding")


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """One HTTP request with its body."""

    method: str
    path: str
    """The request target with its query, not decoded."""
    headers: Headers
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class StreamedResponse:
    """A successful answer that is sent while it is made. The client sees that one is cut off."""

    content_type: str
    blocks: AsyncGenerator[bytes, None]


HttpAnswer = Response | StreamedResponse


def json_response(status: HTTPStatus, body: Json, **headers: str) -> Response:
    """Return an HTTP response with a JSON body. `Retry_After` is the header Retry-After."""
    content = msgspec.json.encode(body)
    fields = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        "Connection": "close",
        "Cache-Control": "no-store",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return Response(status.value, status.phrase, Headers(fields), content)


def refusal(
    status: HTTPStatus, code: str, message: str, param: str | None = None, **headers: str
) -> Response:
    """Return an HTTP error in the shape of the OpenAI API."""
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return json_response(status, {"error": error}, **headers)


class HttpConnection(ServerConnection):
    """A WebSocket connection that also answers plain HTTP requests.

    answer: returns the response to a request that is not a WebSocket handshake, or a coroutine
    that returns it and has a deadline of its own.
    """

    def __init__(
        self,
        *arguments: Any,
        answer: Callable[[ClientRequest], Response | Awaitable[HttpAnswer]],
        **options: Any,
    ) -> None:
        super().__init__(*arguments, **options)
        self._answer = answer
        self._answering: asyncio.Future[None] | None = None
        """The answer that is being made and sent."""
        self._answered = False
        self._http: h11.Connection | None = h11.Connection(
            h11.SERVER, max_incomplete_event_size=_HEAD_BYTES
        )
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._deadline = self.loop.call_later(_REQUEST_SECONDS, self._time_out)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection over."""
        super().connection_made(transport)
        prepare(transport)

    def data_received(self, data: bytes) -> None:
        """Pass on frames of an open WebSocket, or read the request."""
        if self._http is None:
            super().data_received(data)
        elif not self._answered:
            self._read(data)

    def eof_received(self) -> None:
        """Answer a request that ends too early."""
        if self._http is None:
            super().eof_received()
        elif self._answered:
            self.transport.close()
        else:
            self._read(b"")

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the deadline."""
        self._deadline.cancel()
        if self._answering is not None:
            self._answering.cancel()
        super().connection_lost(exc)

    async def handshake(self, *arguments: Any, **options: Any) -> None:
        """Wait for a WebSocket handshake and answer it; the first request has its own deadline."""
        waiting = [self.request_rcvd, self.connection_lost_waiter]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        async with asyncio.timeout(OPEN_SECONDS):
            await super().handshake(*arguments, **options)

    def _read(self, data: bytes) -> None:
        http = self._http
        assert http is not None
        try:
            http.receive_data(data)
            while (event := http.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.ConnectionClosed):
                    self._begin_answer()
                    self.transport.close()
                    return
                if self._take(event, http):
                    return
            if http.they_are_waiting_for_100_continue:
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                http.send(h11.InformationalResponse(status_code=100, headers=[]))
        except h11.RemoteProtocolError as error:
            self._refuse(HTTPStatus(error.error_status_hint), f"The request is not valid: {error}.")

    def _take(self, event: Any, http: h11.Connection) -> bool:
        """Process one part of the request; return True after the last one."""
        if isinstance(event, h11.Request):
            self._head = event
            # h11 itself limits only a head that comes in pieces.
            size = len(event.target) + sum(len(name + value) for name, value in event.headers)
            if len(event.headers) > _HEADERS or size > _HEAD_BYTES:
                message = "The address and the headers are too long."
                self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, message)
                return True
        elif isinstance(event, h11.Data):
            self._body += event.data
            if len(self._body) > _BODY_BYTES:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body is too large.")
                return True
        elif isinstance(event, h11.EndOfMessage):
            self._finish(http)
            return True
        return False

    def _finish(self, http: h11.Connection) -> None:
        head = self._head
        assert head is not None
        fields = [
            (name.decode("ascii"), value.decode("ascii", "surrogateescape"))
            for name, value in head.headers
        ]
        upgrade = any(
            name == b"upgrade" and b"websocket" in value.lower() for name, value in head.headers
        )
        if upgrade and head.method == b"GET" and head.http_version == b"1.1" and not self._body:
            self._begin_answer()
            self._http = None
            super().data_received(_handshake(head) + http.trailing_data[0])
            return
        target = head.target.decode("ascii")
        request = ClientRequest(
            head.method.decode("ascii"), target, Headers(fields), bytes(self._body)
        )
        answer = self._answer(request)
        if isinstance(answer, Response):
            self._send(answer)
            return
        self._begin_answer()
        self._answering = asyncio.ensure_future(self._answer_later(answer, http))
        self._answering.add_done_callback(self._after_answer)

    def _begin_answer(self) -> None:
        self._deadline.cancel()
        self._answered = True

    async def _answer_later(self, answer: Awaitable[HttpAnswer], http: h11.Connection) -> None:
        response = await answer
        if isinstance(response, Response):
            self._send(response)
            return
        head = [("Content-Type", response.content_type), ("Cache-Control", "no-store")]
        head.append(("Connection", "close"))
        self._write(http.send(h11.Response(status_code=200, reason="OK", headers=head)))
        async with aclosing(response.blocks) as blocks:
            while True:
                async with asyncio.timeout(_BLOCK_SECONDS):
                    block = await anext(blocks, None)
                    await self.drain()
                if block is None:
                    break
                self._write(http.send(h11.Data(block)))
        self._write(http.send(h11.EndOfMessage()))
        self._end()

    def _after_answer(self, answering: asyncio.Future[None]) -> None:
        if answering.cancelled() or answering.exception() is None or self.transport.is_closing():
            return
        http = self._http
        if http is not None and http.our_state is h11.SEND_BODY:
            self.transport.abort()
        else:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, "The server had an internal error.")

    def _time_out(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._send(refusal(status, "invalid_request", message))

    def _send(self, response: Response) -> None:
        """Send the response."""
        self._begin_answer()
        self._write(response.serialize())
        self._end()

    def _write(self, content: bytes | None) -> None:
        if content and not self.transport.is_closing():
            self.transport.write(content)

    def _end(self) -> None:
        """End the answer. What the client still sends is dropped, so that it can read it."""
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
            self._deadline = self.loop.call_later(OPEN_SECONDS, self.transport.abort)
        else:
            self.transport.close()


def _handshake(head: h11.Request) -> bytes:
    """Return the request as bytes for websockets, which refuses any header of a body."""
    lines = [b"GET %b HTTP/1.1" % head.target]
    lines += [
        b"%b: %b" % (name, value) for name, value in head.headers if name not in _BODY_HEADERS
    ]
    return b"\r\n".join([*lines, b"", b""])
