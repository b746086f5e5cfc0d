"""`voicechat calls listen`: the receiver of webhooks, and the command.

    POST /webhook   a webhook of the provider, signed  ->  200 at once, then the call is handled
    GET  /healthz

The answer never waits for a call: the provider repeats a webhook that is not answered quickly. A
webhook that comes again is answered with 200, too, and has no effect, so that it is not repeated.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from voicechat.calls.call_desk import CallDesk
from voicechat.calls.incoming_call import IncomingCall, NoCall, OtherEvent, incoming_call
from voicechat.calls.webhook_signature import TakenWebhooks, WebhookRefused, WebhookSignature
from voicechat.config.call_settings import CallSettings
from voicechat.errors import Secret, UsageError
from voicechat.server.asgi.client_limits import ClientLimits, client_of
from voicechat.server.asgi.http_server import HttpServer
from voicechat.server.asgi.refusals import Refusal, json_answer, refused
from voicechat.server.asgi.request_body import json_body
from voicechat.server.fair_share import Allowance
from voicechat.server.shutdown import stop_requested
from voicechat.server.tls import server_context
from voicechat.system.loop_watch import stalls_logged
from voicechat.system.loopback import is_loopback
from voicechat.system.task_group import TaskGroup

if TYPE_CHECKING:
    from voicechat.config.options import Options

WEBHOOK = "/webhook"
MAX_BYTES = 64 * 1024
"""Largest webhook; those of calls have about 2 kB."""

REFUSALS_PER_MINUTE = 60
"""Webhooks of one client that may fail; a signed one always counts."""

_WARNINGS = 20.0
_WARNINGS_PER_SECOND = 0.2


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Where the receiver listens."""

    host: str = "127.0.0.1"
    port: int = 8770
    """0 selects a free port."""
    allow_remote: bool = False
    """Required to bind to an address other than loopback."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` counts."""

    def check(self) -> None:
        """Raise `UsageError` if other machines could reach it by mistake."""
        if not is_loopback(self.host) and not self.allow_remote:
            raise UsageError(
                "Other machines can reach the webhook.", "Add --allow-remote to allow that."
            )


class WebhookReceiver:
    """Receives webhooks and passes each call on, once."""

    def __init__(
        self,
        secret: Secret,
        take: Callable[[IncomingCall], None],
        warn: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """take: receives each call after its webhook was answered. warn: receives sentences.

        now: seconds of a clock that never goes back, for the limits.
        Raises `UsageError` for a wrong secret.
        """
        self._signature = WebhookSignature(secret)
        self._taken = TakenWebhooks(now)
        self._take = take
        self._warn = warn
        self._warnings = Allowance(_WARNINGS, _WARNINGS_PER_SECOND, now)
        what = "webhooks without a valid signature"
        self._failures = ClientLimits(REFUSALS_PER_MINUTE, what, now)

    def app(self) -> Starlette:
        """Return the application (ASGI)."""
        handlers = dict.fromkeys((Refusal, HTTPException, Exception), refused)
        routes = [
            Route("/healthz", _healthy, methods=["GET"]),
            Route(WEBHOOK, self._receive, methods=["POST"]),
        ]
        app = Starlette(routes=routes, exception_handlers=dict(handlers))
        app.router.redirect_slashes = False
        return app

    async def _receive(self, request: Request) -> Response:
        body = await json_body(request, MAX_BYTES)
        headers: dict[str, list[str]] = {}
        for name, value in request.headers.items():
            headers.setdefault(name.lower(), []).append(value)
        try:
            webhook_id = self._signature.verify(headers, body)
        except WebhookRefused as problem:
            self._failures.take(client_of(request))
            self._tell(f"A webhook was refused: {problem}")
            raise Refusal(HTTPStatus.UNAUTHORIZED, "invalid_signature", str(problem)) from None
        try:
            call = incoming_call(body)
        except OtherEvent:
            return json_answer({"status": "ignored"})
        except NoCall as problem:
            self._tell(f"A signed webhook was refused: {problem}")
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_request", str(problem)) from None
        if not self._taken.take(webhook_id):
            return json_answer({"status": "repeated"})
        answer = json_answer({"status": "taken"})
        answer.background = BackgroundTask(self._pass_on, call)
        return answer

    async def _pass_on(self, call: IncomingCall) -> None:
        # A coroutine function: Starlette would call any other one on a thread.
        self._take(call)

    def _tell(self, sentence: str) -> None:
        if self._warnings.take():
            self._warn(sentence)


async def _healthy(request: Request) -> Response:
    return json_answer({"status": "ok"})


# --------------------------------------------------------------------------- the command


class WebhookEndpoint:
    """The receiver and the calls. It has an address while it runs."""

    def __init__(
        self,
        options: ListenOptions,
        profiles: Mapping[str | None, Options],
        settings: CallSettings,
        secret: Secret,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        load: Callable[[str], Options] | None = None,
    ) -> None:
        """profiles: the options of each profile. say, warn: receive lines.

        load: returns the options of a profile that only a function names.
        Raises `VoicechatError` for what cannot work.
        """
        options.check()
        self.desk = CallDesk(profiles, settings, say, warn, load)
        self._options = options
        self._tls = server_context(options.tls_cert, options.tls_key)
        self._receiver = WebhookReceiver(secret, self.desk.take, warn)
        self._server: HttpServer | None = None

    @property
    def url(self) -> str:
        """The address for the webhook; available while it runs."""
        assert self._server is not None
        host = self._options.host
        shown = f"[{host}]" if ":" in host else host
        return f"{'http' if self._tls is None else 'https'}://{shown}:{self._server.port}{WEBHOOK}"

    async def run(self, ready: Callable[[], None], stopped: asyncio.Event) -> None:
        """Serve until `stopped`; call `ready` when it listens. Raises `ServerError`."""
        options = self._options
        app = self._receiver.app()
        server = HttpServer(app, options.host, options.port, self._tls, options.proxies)
        server.reserve()
        self._server = server
        async with TaskGroup() as tasks:
            try:
                await self.desk.load()
                await server.start(tasks)
                ready()
                await self.desk.run(stopped)
            finally:
                await server.stop()


def serve(endpoint: WebhookEndpoint, warn: Callable[[str], None]) -> int:
    """Run the endpoint until a signal; return the exit code."""
    return asyncio.run(_serve(endpoint, warn))


async def _serve(endpoint: WebhookEndpoint, warn: Callable[[str], None]) -> int:
    with stop_requested(parent_watch=False) as stopped, stalls_logged():
        await endpoint.run(lambda: warn(f"Listening for calls at {endpoint.url}"), stopped)
    return 0
