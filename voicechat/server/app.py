"""`voicechat serve`: the HTTP and WebSocket server.

    serve -> warm up the engines -> listen -> one JSON line on stdout -> connections until stopped

Each connection is one task group: a reader, a sender and the responses. The end of one of them
ends all of them, so a client that disappears leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import secrets
import socket
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any, TextIO
from weakref import WeakKeyDictionary

import msgspec
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from voicechat.errors import Secret, ServerError, UsageError
from voicechat.server import fair_share
from voicechat.server.access import (
    REALTIME,
    AccessCheck,
    Grant,
    is_transcription,
    requested_model,
)
from voicechat.server.client_secrets import ClientSecrets
from voicechat.server.engine_startup import EngineSet, create_engines
from voicechat.server.fair_share import Allowance, FairShare
from voicechat.server.guarded_assistant import guarded
from voicechat.server.http_connection import HttpConnection, refusal
from voicechat.server.pipeline import Engines, Pipeline
from voicechat.server.realtime.beta_protocol import BetaServerProtocol
from voicechat.server.realtime.server_protocol import ServerProtocol
from voicechat.server.send_queue import SendQueue, SlowClient
from voicechat.server.serve_options import ServeOptions
from voicechat.server.shutdown import stop_requested
from voicechat.server.speech_requests import SpeechRequests
from voicechat.server.tls import CLEAR_TEXT, server_context
from voicechat.server.webrtc.call_endpoint import CallEndpoint
from voicechat.system.descriptor_limit import DescriptorFilter
from voicechat.system.loop_watch import stalls_logged
from voicechat.system.process_memory import limit_memory, release_memory
from voicechat.system.task_group import TaskGroup

__all__ = ["App", "ServeOptions", "serve"]

_FRAME_BYTES = 16 * 1024 * 1024
_CLOSE_SECONDS = 0.5
_ACCEPTED_AT_ONCE = 2
"""Connections to accept in one turn of the event loop, so that the open ones get theirs."""
_WAITING = 1_024
"""Connections that may wait to be accepted."""
_LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1")

_log = logging.getLogger(__name__)


class _Ended(Exception):
    """The client closed the connection."""


class _Expired(Exception):
    """The session reached its maximum duration."""


class App:
    """A listening server on warm engines. Call `start`, read `url`, and end with `stop`."""

    def __init__(self, options: ServeOptions, engines: EngineSet) -> None:
        self.token = options.token or Secret(secrets.token_urlsafe(32))
        self._options = options
        self._engine_set = engines
        self._engines = Engines(
            engines.stt,
            guarded(engines.assistant, options.guardrails),
            engines.tts,
            engines.detectors,
            options.voice,
            engines.turn_end,
        )
        one_time = ClientSecrets(options.model, lambda: tuple(engines.tts.names), options.voice)
        speech = SpeechRequests(engines.tts, options.voice)
        only_local = not options.allow_remote
        self._fair_share = FairShare()
        self._calls = CallEndpoint(
            options, self._engines, self._fair_share, self._registered, self._is_full
        )
        self._access = AccessCheck(
            self.token, options.model, only_local, one_time, speech, self._calls, options.origins
        )
        self._grants: WeakKeyDictionary[ServerConnection, Grant] = WeakKeyDictionary()
        self.pipelines: list[Pipeline] = []
        """The open connections, the newest last."""
        self._pending_announcements: deque[str] = deque(maxlen=16)
        self._openings = Allowance(fair_share.OPENINGS, fair_share.OPENINGS_PER_SECOND)
        self._tls = server_context(options.tls_cert, options.tls_key)
        self._server: Server | None = None
        self._port: socket.socket | None = None
        engines.assistant.on_announcement = self._announce

    @property
    def url(self) -> str:
        """The address of the server; available after `start`."""
        sockets = self._server.sockets if self._server is not None else ()
        port = next(iter(sockets)).getsockname()[1] if sockets else self._options.port
        host = self._options.host
        scheme = "ws" if self._tls is None else "wss"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{REALTIME}"

    def reserve(self) -> None:
        """Bind the address without listening yet. Raises `ServerError` if it is not available."""
        host, port = self._options.host, self._options.port
        try:
            family, kind, number, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM
            )[0]
            self._port = socket.socket(family, kind, number)
            if os.name == "posix":
                self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._port.bind(address)
        except OSError as error:
            self.release()
            raise ServerError(
                f"Cannot listen on {host} port {port}: {error.strerror or error}.",
                "Choose another port with --port, or 0 for a free one.",
            ) from error

    def release(self) -> None:
        """Release a reserved address."""
        if self._port is not None:
            self._port.close()
            self._port = None

    async def start(self) -> None:
        """Start to listen. Raises `ServerError` if the address is not available."""
        if self._port is None:
            self.reserve()
        logger = logging.getLogger("voicechat.server.socket")
        # The debug lines of websockets show headers, and with them the token.
        logger.setLevel(logging.CRITICAL)
        self._server = await listen(
            self._serve_connection,
            sock=self._port,
            backlog=_ACCEPTED_AT_ONCE,
            ssl=self._tls,
            create_connection=self._create_connection,  # type: ignore[arg-type]
            process_request=self._check_request,
            process_response=_in_json,
            select_subprotocol=_subprotocol,
            compression=None,
            open_timeout=None,  # `HttpConnection` has deadlines
            ping_interval=20,
            ping_timeout=30,
            close_timeout=_CLOSE_SECONDS,
            max_size=_FRAME_BYTES,
            logger=logger,
            server_header=None,
        )
        if self._port is not None:
            # asyncio also takes its limit for the queue of the system, where others may wait.
            self._port.listen(_WAITING)

    async def stop(self) -> None:
        """Close every connection and the port, with a short deadline."""
        await self._calls.close()
        if self._server is not None:
            self._server.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS + 0.2):
                    await self._server.wait_closed()

    # ----------------------------------------------------------------- connections

    def _create_connection(self, *arguments: Any, **options: Any) -> HttpConnection:
        return HttpConnection(*arguments, answer=self._access.answer, **options)

    async def _check_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        if not self._openings.take():
            await self._fair_share.pay(fair_share.OPENING_SECONDS)
        found = self._access.open(request.path, request.headers, self._is_full())
        if isinstance(found, Response):
            _log.info("refused a request with status %d", found.status_code)
            return found
        self._grants[connection] = found
        return None

    def _is_full(self, more: int = 0) -> bool:
        """Return True if all connections are in use. more: connections that are being made."""
        return len(self.pipelines) + more >= self._options.max_connections

    async def _serve_connection(self, connection: ServerConnection) -> None:
        grant = self._grants[connection]
        if grant.call is None and self._is_full():
            await connection.close(1013, "all connections are in use")
            return
        code, reason = 1000, ""
        try:
            if grant.call is not None:
                await grant.call.watch(connection, lambda frame: connection.send(frame, text=True))
            else:
                await self._connection(connection, grant)
        except* (_Ended, ConnectionClosed):
            code = 1000
        except* SlowClient:
            code, reason = 1013, "the client reads too slowly"
        except* _Expired:
            code, reason = 1001, "the session expired"
        except* Exception as errors:
            _log.error("a connection failed", exc_info=errors)
            code, reason = 1011, "the server had an internal error"
        await connection.close(code, reason)

    async def _connection(self, connection: ServerConnection, grant: Grant) -> None:
        options, outbox, request = self._options, SendQueue(), connection.request
        path = request.path if request is not None else ""
        session = grant.session
        protocol = (BetaServerProtocol if grant.beta else ServerProtocol)(
            requested_model(path, session.get("model", options.model)),
            self._engine_set.tts.names,
            options.voice,
            options.session_seconds,
            transcription=is_transcription(path) or session.get("type") == "transcription",
            defaults=session,
        )
        async with TaskGroup() as tasks:
            pipeline = Pipeline(protocol, self._engines, tasks, outbox.put, outbox.wait_for_space)
            with self._registered(pipeline):
                tasks.create_task(outbox.drain(lambda frame: connection.send(frame, text=True)))
                tasks.create_task(self._end_expired(protocol, outbox))
                await self._receive(connection, pipeline, outbox)
                raise _Ended

    @contextmanager
    def _registered(self, pipeline: Pipeline) -> Iterator[None]:
        """Count a pipeline as an open connection; close it at the end."""
        self._engine_set.check_now()
        self.pipelines.append(pipeline)
        try:
            while self._pending_announcements:
                pipeline.announce(self._pending_announcements.popleft())
            yield
        finally:
            self.pipelines.remove(pipeline)
            pipeline.close()

    async def _receive(
        self, connection: ServerConnection, pipeline: Pipeline, outbox: SendQueue
    ) -> None:
        """Process the frames of a client until it disconnects."""
        allowance = Allowance(fair_share.EVENTS, fair_share.PER_SECOND)
        async for frame in connection:
            began = time.monotonic()
            sound_ms = await pipeline.receive(frame)
            if sound_ms < fair_share.MEANINGFUL_MS and not allowance.take():
                await self._fair_share.pay(time.monotonic() - began)
            await outbox.wait_for_space()

    async def _end_expired(self, protocol: ServerProtocol, outbox: SendQueue) -> None:
        await asyncio.sleep(self._options.session_seconds)
        protocol.expire()
        outbox.put(protocol.take())
        # Give the sender time to deliver the error.
        await asyncio.sleep(0.1)
        raise _Expired

    def _announce(self, words: str) -> None:
        """Say an announcement of the assistant on the newest connection, or on the next one."""
        if self.pipelines:
            self.pipelines[-1].announce(words)
        else:
            self._pending_announcements.append(words)


def _subprotocol(
    connection: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    subprotocol = Subprotocol("realtime")
    return subprotocol if subprotocol in offered else None


def _in_json(connection: ServerConnection, request: Request, response: Response) -> Response | None:
    """Return a refusal of websockets, such as of an old version, as JSON."""
    if response.status_code < 400 or response.headers.get("Content-Type") == "application/json":
        return None
    status = HTTPStatus(response.status_code)
    upgrade = {name: response.headers[name] for name in ("Upgrade",) if name in response.headers}
    message = f"The WebSocket handshake is not valid. {response.body.decode(errors='replace')}"
    return refusal(status, "invalid_handshake", message.strip(), **upgrade)


# --------------------------------------------------------------------------- the command


def serve(options: ServeOptions) -> int:
    """Run the server until a signal, or the end of the parent; return the exit code.

    Prints one JSON line on stdout when ready (`url`, `token`). Prints JSON lines on stderr for
    progress, and warnings (`warning`): other machines connect without TLS, an engine on another
    server fails.
    `ServeOptions.with_environment` adds the settings from the environment. Raises
    `VoicechatError` when the server cannot start.
    """
    options = options.with_environment(os.environ)
    if options.host not in _LOCAL_HOSTS and not options.allow_remote:
        raise UsageError(
            f"Other machines can reach {options.host}.",
            "Add --allow-remote to allow that.",
        )
    if options.host not in _LOCAL_HOSTS and options.tls_cert is None:
        _show_warning(CLEAR_TEXT)
    server_context(options.tls_cert, options.tls_key)
    logging.basicConfig(level=options.log_level.upper(), stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.addFilter(DescriptorFilter())
    return asyncio.run(_serve(options))


async def _serve(options: ServeOptions) -> int:
    engines = create_engines(options, _show_warning)
    with stop_requested(options.parent_watch) as stopped, stalls_logged():
        running = asyncio.create_task(_run(options, engines))
        try:
            stop_wait = asyncio.create_task(stopped.wait())
            await asyncio.wait({running, stop_wait}, return_when=asyncio.FIRST_COMPLETED)
            stop_wait.cancel()
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
        finally:
            await engines.close()
    return 0


async def _run(options: ServeOptions, engines: EngineSet) -> None:
    limit_memory()
    app = App(replace(options, chat_key=None, stt=None, tts=None), engines)
    app.reserve()
    try:
        await engines.open(_show_progress, speech=options.warm_speech)
        gc.freeze()
        release_memory()
        await app.start()
        _print_json(sys.stdout, {"url": app.url, "token": app.token.reveal()})
        await asyncio.Event().wait()
    finally:
        await app.stop()
        app.release()


def _show_progress(name: str, done: float) -> None:
    _print_json(sys.stderr, {"progress": name, "done": round(done, 2)})


def _show_warning(sentence: str) -> None:
    _print_json(sys.stderr, {"warning": sentence})


def _print_json(stream: TextIO, content: dict[str, object]) -> None:
    text = msgspec.json.encode(content).decode()
    stream.write(f"{text}\n")
    stream.flush()
