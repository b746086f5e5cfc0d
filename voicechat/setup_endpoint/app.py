"""`voicechat setup-endpoint`: its routes, and the command.

    POST /api/realtime/setup   {"sessionConfig"?: {…}}  ->  {token, url, expiresAt?, tools?}
    POST /tools/NAME           the arguments of that tool  ->  its result; one address for each
    GET  /healthz

Source: AI SDK 7, `ai`: docs "Realtime", "Setup Endpoint" and "Server-Backed Tool Endpoint";
`src/realtime/validate-realtime-setup.ts` for the shape of the answer.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, TextIO

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from voicechat.core.settings import ToolSpec
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError, VoicechatError
from voicechat.server.asgi.client_limits import ClientLimits, client_of
from voicechat.server.asgi.http_server import HttpServer
from voicechat.server.asgi.refusals import Refusal, json_answer, refused
from voicechat.server.asgi.request_body import json_body
from voicechat.server.fair_share import Allowance
from voicechat.server.shutdown import stop_requested
from voicechat.server.tls import CLEAR_TEXT, server_context
from voicechat.session.budget_watch import Ledger, kept_ledger
from voicechat.session.session_config import settings_in
from voicechat.setup_endpoint.client_check import ClientCheck
from voicechat.setup_endpoint.endpoint_options import EndpointOptions
from voicechat.setup_endpoint.exposed_tools import ExposedTools
from voicechat.setup_endpoint.page_guard import PageGuard
from voicechat.setup_endpoint.token_issuer import TokenIssuer
from voicechat.system.loop_watch import stalls_logged
from voicechat.system.task_group import TaskGroup

if TYPE_CHECKING:
    from voicechat.config.options import Options

SETUP = "/api/realtime/setup"
_ARGUMENT_BYTES = 64 * 1024
_WARNINGS = 20.0
"""Warnings at once; then one every `1 / _WARNINGS_PER_SECOND` seconds."""
_WARNINGS_PER_SECOND = 0.2

Act = Callable[[Request], Awaitable[object]]


class SetupEndpoint:
    """The endpoint. It has addresses while it runs."""

    def __init__(
        self,
        settings: Options,
        options: EndpointOptions,
        warn: Callable[[str], None],
        ledger: Callable[[], Ledger] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """settings: of the user, with the model and the keys. now: seconds, for the rate limits.

        warn: receives sentences for the log. ledger: opens the usage of all sessions. Raises
        `UsageError` and `KeyMissing` for what cannot work.
        """
        options.check()
        self.token = options.token or Secret(secrets.token_urlsafe(32))
        self.tools = ExposedTools(settings, options.tools, warn)
        self._options = options
        self._now = now
        self._issuer = TokenIssuer(settings, options, warn, ledger)
        self._check = ClientCheck(options, self.token, now)
        self._tls = server_context(options.tls_cert, options.tls_key)
        self._server: HttpServer | None = None

    @property
    def model(self) -> str:
        """PROVIDER/MODEL of the tokens."""
        return self._issuer.model

    @property
    def url(self) -> str:
        """The address for tokens; available while it runs."""
        return self._root + SETUP

    @property
    def tool_urls(self) -> dict[str, str]:
        """The address of each tool; available while it runs."""
        return {spec.name: f"{self._root}{_tool_path(spec)}" for spec in self.tools.specs}

    @property
    def _root(self) -> str:
        assert self._server is not None
        host = self._options.host
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._server.port}"

    async def run(self, ready: Callable[[], None], stopped: asyncio.Event) -> None:
        """Serve until `stopped`; call `ready` when it listens.

        Raises `UsageError` for a tool that cannot be exposed, `ServerError` for an address that is
        not available.
        """
        failure: VoicechatError | None = None
        async with TaskGroup() as tasks:
            tools = tasks.create_task(self.tools.run())
            try:
                await self.tools.choose()
                await self._listen(tasks)
                ready()
                await stopped.wait()
            except VoicechatError as error:
                failure = error  # as itself, not in a group
            finally:
                await self._stop()
                tools.cancel()
        if failure is not None:
            raise failure

    async def _listen(self, tasks: TaskGroup) -> None:
        options = self._options
        guard = PageGuard(self._routes(), options.origins)
        self._server = HttpServer(guard, options.host, options.port, self._tls, options.proxies)
        await self._server.start(tasks)

    async def _stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
        await self._check.close()
        await self._issuer.close()

    # ----------------------------------------------------------------- routes

    def _routes(self) -> Starlette:
        options = self._options
        per_token = ClientLimits(options.tokens_per_minute, "tokens", self._now)
        routes = [
            Route("/healthz", _healthy, methods=["GET"]),
            self._route(SETUP, per_token, self._set_up),
        ]
        for spec in self.tools.specs:
            limits = ClientLimits(options.calls_per_minute, f"calls of {spec.name}", self._now)
            routes.append(self._route(_tool_path(spec), limits, partial(self._call, spec.name)))
        kinds: Mapping[type[Exception], Callable[..., Awaitable[Response]]]
        kinds = dict.fromkeys((Refusal, HTTPException, Exception), refused)
        app = Starlette(routes=routes, exception_handlers=dict(kinds))
        app.router.redirect_slashes = False
        return app

    def _route(self, path: str, limits: ClientLimits, act: Act) -> Route:
        """Return a route whose clients are known, and not too frequent."""

        async def answer(request: Request) -> Response:
            await self._check.admit(request)
            limits.take(client_of(request))
            return json_answer(await act(request))

        return Route(path, answer, methods=["POST"])

    async def _set_up(self, request: Request) -> object:
        try:
            asked = settings_in(await json_body(request))
        except UsageError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_request", error.message) from None
        token, session = await self._issuer.issue(asked, self.tools.specs)
        found = token.as_json()
        if self.tools.specs:
            found["tools"] = [_definition(spec) for spec in session.tools]
        return found

    async def _call(self, name: str, request: Request) -> object:
        return await self.tools.call(name, await json_body(request, _ARGUMENT_BYTES))


async def _healthy(request: Request) -> Response:
    return json_answer({"status": "ok"})


def _tool_path(spec: ToolSpec) -> str:
    return f"/tools/{spec.name}"


def _definition(spec: ToolSpec) -> dict[str, object]:
    """Return a tool as clients offer it to the model."""
    return {
        "type": "function",
        "name": spec.name,
        "description": spec.description,
        "parameters": spec.parameters,
    }


# --------------------------------------------------------------------------- the command


def serve(settings: Options, options: EndpointOptions) -> int:
    """Run the endpoint until a signal; return the exit code.

    Prints one JSON line on stdout when ready: `url`, `tools`, `model` and, if it is new, `token`.
    Prints warnings as JSON lines on stderr. Raises `VoicechatError` when it cannot start.
    """
    allowance = Allowance(_WARNINGS, _WARNINGS_PER_SECOND)

    def warn(sentence: str) -> None:
        if allowance.take():
            _print_json(sys.stderr, {"warning": clean(sentence)})

    endpoint = SetupEndpoint(settings, options, warn, kept_ledger())
    if options.allow_remote and options.tls_cert is None:
        warn(CLEAR_TEXT)
    return asyncio.run(_serve(endpoint, options))


async def _serve(endpoint: SetupEndpoint, options: EndpointOptions) -> int:
    def show_ready() -> None:
        shown = {"url": endpoint.url, "tools": endpoint.tool_urls, "model": endpoint.model}
        if options.token is None and not options.is_open:
            shown["token"] = endpoint.token.reveal()
        _print_json(sys.stdout, shown)

    with stop_requested(parent_watch=False) as stopped, stalls_logged():
        await endpoint.run(show_ready, stopped)
    return 0


def _print_json(stream: TextIO, content: Mapping[str, object]) -> None:
    with suppress(BrokenPipeError):
        stream.write(json.dumps(content) + "\n")
        stream.flush()
