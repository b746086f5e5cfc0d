"""One connection to one MCP server, through the official SDK.

The connection lives in the task that awaits `McpConnection.live`, because the SDK's task groups
require it; calls may come from any task. The first connection loads the SDK on a thread.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.text import clean
from voicechat.errors import ConnectError
from voicechat.system.http_client import limit_reads
from voicechat.system.output_tail import OutputTail
from voicechat.system.task_group import TaskGroup
from voicechat.tools.mcp.mcp_answers import TolerantStream
from voicechat.tools.mcp.mcp_elicitation import elicit
from voicechat.tools.mcp.mcp_http import NO_SUCH_METHOD, OLD_TRANSPORT, http, is_sse_only
from voicechat.tools.mcp.mcp_oauth import SignIn, has_key
from voicechat.tools.mcp.mcp_page_visits import PageVisits
from voicechat.tools.mcp.mcp_stdio import stdio
from voicechat.tools.mcp.mcp_text import pictures, progress_text, result_text
from voicechat.tools.registry import RunningCall, ToolError, current_call

if TYPE_CHECKING:
    import mcp_types as types
    from mcp import Client
    from mcp.client import ClientRequestContext
    from mcp.client._transport import TransportStreams

    from voicechat.tools.question import Questions

LIST_S = 10.0
"""Seconds to read the list again."""

UNDECLARED_LIST_S = 2.0
"""Seconds to read the list of a server that does not say that it has tools."""

LIST_INTERVAL_S = 1.0
"""Seconds between two readings of the list, however often the server says it changed."""

LISTEN_INTERVAL_S = 60.0
"""Seconds between two subscriptions at most, when a server keeps ending them."""

UNUSED = ("prompts", "resources")
"""Capabilities of servers that voicechat does not use."""

MAX_PAGES = 20
"""Pages of a list that are read."""

_MODULES = ("httpx2", "mcp", "mcp.client.streamable_http", "mcp.client.subscriptions")

_OF_A_SESSION = {400, 401, 404, 410}
"""Statuses with which servers refuse a message of a session that they do not know any more."""

_OF_A_KEY = {401, 403}

NOT_INSTALLED = ConnectError(
    "MCP servers need a part that is not installed.", "Type: pip install 'voicechat[mcp]'"
)


class NotReady(ConnectError):
    """The server does not answer; it may do so later."""


class KeyRefused(ConnectError):
    """The server does not accept the key; another attempt with the same key cannot succeed."""


class SessionGone(ToolError):
    """The server forgot the session, for example because it restarted; the call did not run."""


class _EndedEarly(ConnectError):
    """The server ended before it sent anything."""


class McpConnection:
    """One connection; make a new object to connect again."""

    def __init__(
        self,
        config: ServerConfig,
        on_tools: Callable[[Sequence[types.Tool]], None],
        questions: Questions | None = None,
        on_sampling: Callable[[], None] = lambda: None,
        sign_in: SignIn | None = None,
    ) -> None:
        """Prepare a connection.

        on_tools: called with the server's tools once connected, and whenever they change.
        questions: shows the server's questions to the user; None if no user is present.
        on_sampling: called when the server requests a response of the model, which is refused.
        sign_in: opens the browser when the server wants a sign-in.
        """
        self._sign_in = sign_in
        self._questions = questions
        self._on_sampling = on_sampling
        self._calls: set[RunningCall] = set()
        self._config = config
        self._on_tools = on_tools
        self._client: Client | None = None
        self._list_changed = asyncio.Event()
        self._visits = PageVisits(config.source, questions)
        self._ended = False
        self._status = 0
        self.printed = OutputTail()
        """Standard error of the server, and lines of its standard output that are no messages."""
        self.is_session_gone = False
        """The connection ended because the server forgot its session."""
        self.protocol = ""
        """The negotiated version of MCP, once connected."""
        self.unused: tuple[str, ...] = ()
        """Capabilities of the server that voicechat does not use: prompts, resources."""

    async def live(self) -> None:
        """Connect, and return when the connection has ended.

        Raises `ConnectError` when it fails or breaks, `NotReady` when a later attempt may succeed.
        """
        await asyncio.to_thread(load_sdk)
        try:
            await self._connect("auto")
        except _EndedEarly:
            # Many older servers exit when the first message is not `initialize`.
            self._ended, self.printed = False, OutputTail()
            self._list_changed.clear()
            await self._connect("legacy")

    async def _connect(self, mode: str) -> None:
        try:
            async with asyncio.timeout(self._config.start_timeout_s) as deadline:
                await self._live(deadline, mode)
        except TimeoutError:
            raise NotReady(
                f"It did not answer within {self._config.start_timeout_s:g} seconds.",
                "If it needs longer, set its start_timeout.",
            ) from None
        except Exception as problem:  # the SDK raises errors of many kinds
            if self._status in NO_SUCH_METHOD and await is_sse_only(self._config):
                raise OLD_TRANSPORT from None
            raise self._connect_error(problem) from None
        finally:
            self._client = None

    async def _live(self, deadline: asyncio.Timeout, mode: str) -> None:
        from mcp import Client
        from mcp_types import Implementation

        from voicechat import __version__

        async with Client(
            self._transport(),
            mode=mode,
            message_handler=self._on_message,
            client_info=Implementation(name="voicechat", version=__version__),
            elicitation_callback=None if self._questions is None else self._elicit,
            cache=None,
        ) as client:
            offered = client.server_capabilities
            self.unused = tuple(name for name in UNUSED if getattr(offered, name) is not None)
            self._on_tools(await self._list(client))
            deadline.reschedule(None)
            self._client, self.protocol = client, client.protocol_version
            try:
                await self._refresh_on_change(client)
            finally:
                self._client = None

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[TransportStreams]:
        if self._config.url:
            streams = http(self._config, self._on_error_status, self._sign_in)
        else:
            streams = stdio(self._config, self.printed, self.end)
        async with streams as (read, write):
            yield TolerantStream(read, self._on_request), write

    def _on_request(self, method: str) -> None:
        if method == "sampling/createMessage":
            self._on_sampling()

    def _on_error_status(self, status: int) -> None:
        self._status = status

    def end(self) -> None:
        """End the connection; `live` returns soon."""
        self._ended = True
        self._list_changed.set()

    # ------------------------------------------------------------------ the list of tools

    async def _list(self, client: Client) -> list[types.Tool]:
        from mcp.shared.exceptions import MCPError
        from mcp_types import METHOD_NOT_FOUND

        found: list[types.Tool] = []
        cursor = None
        seen: set[str] = set()
        has_tools = client.server_capabilities.tools is not None
        for _ in range(MAX_PAGES):
            try:
                async with asyncio.timeout(None if has_tools else UNDECLARED_LIST_S):
                    page = await client.list_tools(cursor=cursor)
            except MCPError as problem:
                if has_tools and problem.code != METHOD_NOT_FOUND and not seen:
                    raise
                break  # tools are optional; a server may offer only prompts or resources
            except TimeoutError:
                break
            names = {tool.name for tool in found}
            # A server that knows no cursors sends its first page again.
            found += page.tools if not seen else [t for t in page.tools if t.name not in names]
            cursor = page.next_cursor
            if cursor is None or cursor in seen:
                break
            seen.add(cursor)
        return found

    async def _on_message(self, message: object) -> None:
        from mcp_types import ElicitCompleteNotification, ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._list_changed.set()
        elif isinstance(message, ElicitCompleteNotification):
            self._visits.ended(message.params.elicitation_id)

    async def _refresh_on_change(self, client: Client) -> None:
        """Read the list again whenever it changed, until the connection is over."""
        async with TaskGroup() as tasks:
            subscription = tasks.create_task(self._subscribe(client))
            while not self._ended:
                await self._list_changed.wait()
                self._list_changed.clear()
                if self._ended:
                    break
                async with asyncio.timeout(LIST_S):
                    self._on_tools(await self._list(client))
                await asyncio.sleep(LIST_INTERVAL_S)
            subscription.cancel()

    async def _subscribe(self, client: Client) -> None:
        """Subscribe to changes, as newer servers require, and again whenever that ends.

        No event tells of a change from before the server's acknowledgment: the list is read again.
        """
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
        from mcp.shared.exceptions import MCPError

        capability = client.server_capabilities.tools
        if capability is None or not capability.list_changed:
            return
        was_accepted, pause_s = False, LIST_INTERVAL_S
        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    if not changes.honored.tools_list_changed:
                        return
                    was_accepted = True
                    self._list_changed.set()
                    async for _ in changes:
                        self._list_changed.set()
                        pause_s = LIST_INTERVAL_S
            except ListenNotSupportedError:
                return  # older servers notify without a subscription
            except (SubscriptionLost, MCPError, TimeoutError):
                if not was_accepted:
                    return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LISTEN_INTERVAL_S)

    # ------------------------------------------------------------------------------ calls

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Run a tool on the server; returns its result as text.

        Raises `ToolError`. Cancelling sends a cancellation to the server.
        """
        client, call = self._client, current_call()
        if client is None:
            raise ToolError(f"The {self._config.source} is not running at the moment.")
        with self._waiting(call):
            result = await self._result(client, name, arguments, call)
        text, found = await asyncio.to_thread(lambda: (result_text(result), pictures(result)))
        if result.is_error:
            raise ToolError(text or "The tool failed without a reason.")
        if call is not None:
            call.show(found)
        return text

    @contextmanager
    def _waiting(self, call: RunningCall | None) -> Iterator[None]:
        """Keep a call among those whose deadlines stop while the user is asked."""
        added = {call} if call is not None else set()
        self._calls |= added
        try:
            yield
        except asyncio.CancelledError:
            if self._questions is not None and self._calls == added:
                self._questions.withdraw(self._config.source)  # nothing waits for the answer
            raise
        finally:
            self._calls -= added

    async def _result(
        self, client: Client, name: str, arguments: dict[str, Any], call: RunningCall | None
    ) -> types.CallToolResult:
        """Send a call and wait for its result. Raises `ToolError`."""
        from mcp.client import InputRequiredRoundsExceededError
        from mcp.shared.exceptions import MCPError
        from pydantic import ValidationError

        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            if call is not None:
                call.progressed(progress_text(progress, total, message))

        async def send() -> types.CallToolResult:
            self._status = 0
            # `mcp_answers` removes the schemas of results: the server's own patterns do not run.
            return await client.call_tool(name, arguments, progress_callback=on_progress)

        try:
            try:
                return await send()
            except MCPError as problem:
                with self._user_deciding():
                    if not await self._visits.visit(problem):
                        raise
            return await send()
        except MCPError as problem:
            if self._forgot_session(problem):
                self.is_session_gone = True
                self.end()  # the next connection starts a new session
                raise SessionGone(self._reason(problem)) from None
            raise ToolError(self._reason(problem)) from None
        except ValidationError:
            raise ToolError(f"The answer of the {self._config.source} is not valid.") from None
        except InputRequiredRoundsExceededError:
            raise ToolError(f"The {self._config.source} asked too many questions.") from None

    async def _elicit(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult:
        """Ask the user."""
        assert self._questions is not None
        with self._user_deciding():
            return await elicit(self._questions, self._config.source, params)

    @contextmanager
    def _user_deciding(self) -> Iterator[None]:
        """Suspend the deadlines of the running calls."""
        with ExitStack() as waits:
            for call in self._calls:
                waits.enter_context(call.waiting_for_user())
            yield

    def _connect_error(self, problem: Exception) -> ConnectError:
        """Return the reason as a sentence, unwrapped from the SDK's exception groups."""
        cause = next(_leaf_exceptions(problem))
        kind = type(cause).__name__
        said = str(cause).replace(self._config.target() or "\0", self._config.shown)
        words = clean(said).strip().rstrip(".")[:300]
        if isinstance(cause, ConnectError):
            return cause
        if kind in {"OAuthFlowError", "OAuthTokenError", "OAuthRegistrationError"}:
            return ConnectError(f"The sign-in failed: {words.split(': ')[0]}.")
        if isinstance(cause, TimeoutError):
            return NotReady("It did not answer in time.")
        if kind in {"ConnectError", "ConnectTimeout"}:  # those of the HTTP client
            return NotReady(f"Nothing answers at {self._config.shown} ({words or 'timed out'}).")
        if self._status in _OF_A_KEY:
            return self._key_refused("connection")
        if self._status:
            busy = self._status in {408, 429} or self._status >= 500
            return (NotReady if busy else ConnectError)(f"It answered {self._status}: {words}.")
        if self._is_closed(cause):
            if self.protocol:
                return ConnectError("It ended.")
            detail = "".join(f"It said: {line}" for line in self.printed.lines[-1:])
            return _EndedEarly("It ended before it answered.", detail)
        if not words or kind == "ValidationError":
            return ConnectError(f"It does not follow the MCP protocol ({kind}).")
        return ConnectError(f"{words[:1].upper()}{words[1:]}.")

    def _key_refused(self, part: str) -> KeyRefused:
        """Return the error for a connection or a call that the server refuses without a key."""
        login = f"Type: voicechat mcp login {self._config.name}, or add"
        return KeyRefused(
            f"It refused the {part} ({self._status}): the key is missing or wrong.",
            f"{'Add' if has_key(self._config) else login} the key to its headers.",
        )

    def _is_closed(self, problem: BaseException) -> bool:
        from mcp_types import CONNECTION_CLOSED

        return getattr(problem, "code", None) == CONNECTION_CLOSED

    def _forgot_session(self, problem: Exception) -> bool:
        is_bare = self._is_bare(problem) and self._status == 401
        return self._status in _OF_A_SESSION and (is_bare or "session" in str(problem).lower())

    def _is_bare(self, problem: Exception) -> bool:
        """Return True for the SDK's own error about an answer without a message."""
        from mcp_types import INTERNAL_ERROR

        return getattr(problem, "code", None) == INTERNAL_ERROR

    def _reason(self, problem: Exception) -> str:
        source = self._config.source
        if self._status in _OF_A_KEY and self._is_bare(problem):
            return f"The {source} does not accept the key. {self._key_refused('call')}"
        if self._is_closed(problem) and not self._config.url:
            return f"The {source} ended before it answered; the call may or may not have run."
        verb = "gave no answer" if self._is_closed(problem) else "refused"
        return f"The {source} {verb}: {clean(str(problem))}"


def load_sdk() -> None:
    """Load the SDK, which takes half a second: call it on a thread.

    Raises `ConnectError` when it is not installed.
    """
    try:
        for name in _MODULES:
            importlib.import_module(name)
        limit_reads(importlib.import_module("httpcore2").AsyncHTTP11Connection)
    except ModuleNotFoundError:
        raise NOT_INSTALLED from None
    # The SDK logs what servers send; that must not reach the terminal. One of its modules logs as
    # "client", a name that others may use.
    module = importlib.import_module("mcp.client.session")
    setattr(module, "logger", logging.getLogger("mcp.client.session"))  # noqa: B010
    for name in ("mcp", "mcp_types", "httpx2", "httpcore2"):
        logger = logging.getLogger(name)
        logger.propagate = False
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())


def _leaf_exceptions(problem: BaseException) -> Iterator[BaseException]:
    if isinstance(problem, BaseExceptionGroup):
        for each in problem.exceptions:
            yield from _leaf_exceptions(each)
    else:
        yield problem
