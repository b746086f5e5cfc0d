"""The HTTP server under an endpoint: uvicorn, with deadlines, limits and errors as JSON.

Source: uvicorn, `uvicorn/protocols/http/h11_impl.py`, which waits for a request without end.
"""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from voicechat.errors import ServerError

HEAD_S = 10.0
"""Seconds for the head of a request, and for a connection without one."""

MAX_CONNECTIONS = 256
_MAX_HEAD = 16_384
_KEEP_ALIVE_S = 30
_STOP_S = 2
_WAITING = 128


class HttpServer:
    """A listening server for an application. Call `start`, read `port`, and end with `stop`."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        proxies: Sequence[str] = (),
    ) -> None:
        """port: 0 selects a free one. proxies: whose `X-Forwarded-For` counts."""
        self._host = host
        self._port = port
        # The log lines of uvicorn have a form of their own and show tracebacks.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            app,
            http=_Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            limit_concurrency=MAX_CONNECTIONS,
            backlog=_WAITING,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_STOP_S,
            h11_max_incomplete_event_size=_MAX_HEAD,
        )
        config.load()
        config.ssl = tls
        self._server = _Server(config)
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port; available after `start`."""
        return self._port

    def reserve(self) -> None:
        """Bind the address. Raises `ServerError` if it is not available."""
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            family, *_, address = found[0]
            self._socket = socket.create_server(address[:2], family=family, backlog=_WAITING)
        except OSError as error:
            raise self._unavailable(error) from None
        self._port = self._socket.getsockname()[1]

    def _unavailable(self, error: OSError) -> ServerError:
        """Return the error for an address that cannot be bound."""
        no_name = isinstance(error, socket.gaierror)
        reason = error.strerror or str(error)
        if not no_name and error.errno:
            reason = os.strerror(error.errno)  # asyncio and socket add the address to the text
        hint = "Choose another port with --port, or 0 for a free one."
        if no_name or error.errno == errno.EADDRNOTAVAIL:
            hint = "Check --host."
        return ServerError(f"Cannot listen on {self._host} port {self._port}: {reason}.", hint)

    async def start(self, tasks: asyncio.TaskGroup) -> None:
        """Start to listen. Raises `ServerError` if the address is not available."""
        if self._socket is None:
            self.reserve()
        assert self._socket is not None
        self._task = tasks.create_task(self._server.serve([self._socket]))
        await self._server.listening.wait()

    async def stop(self) -> None:
        """Close every connection and the port, with a short deadline."""
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_STOP_S + 1)
            self._task.cancel()
        if self._socket is not None:
            self._socket.close()


class _Server(uvicorn.Server):
    """Leaves the signals to the program, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


class _Connection(H11Protocol):
    """A connection that ends unless requests come in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no HTTP request."""
        error = {"message": msg, "type": "invalid_request_error", "param": None}
        content = json.dumps({"error": {**error, "code": "invalid_request"}}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(content)).encode()),
            (b"connection", b"close"),
        ]
        with suppress(h11.LocalProtocolError):  # an answer is on its way already
            head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (head, h11.Data(data=content), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        if self._deadline is None and self._is_idle:
            self._deadline = self.loop.call_later(HEAD_S, self._end_if_idle)
        elif self._deadline is not None and not self._is_idle:
            self._deadline.cancel()
            self._deadline = None

    def _end_if_idle(self) -> None:
        self._deadline = None
        if self._is_idle:
            self.transport.close()
