"""An MCP server at an address, over the streamable HTTP transport of the SDK.

Its headers, which may hold keys, go only to the address's own origin; an answer that is too large
(`mcp_limits`) is not read to its end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from voicechat.config.mcp_server import ServerConfig
from voicechat.errors import ConnectError
from voicechat.system.http_body import UNCOMPRESSED, BodyError, decoded
from voicechat.tools.mcp.mcp_limits import MESSAGE_LIMIT, TOO_LARGE, is_too_large
from voicechat.tools.mcp.mcp_oauth import authorization

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams

    from voicechat.tools.mcp.mcp_oauth import SignIn

CONNECT_S = 8.0
"""Seconds to reach the address."""

SILENCE_S = 300.0
"""Seconds without data on a stream; calls have shorter deadlines."""

CLOSE_S = 0.5
"""Seconds to tell the server that the session ends."""


NO_SUCH_METHOD = {400, 404, 405, 406, 415, 501}
"""Statuses with which a server of the old SSE transport answers a message."""

OLD_TRANSPORT = ConnectError(
    "It offers only SSE, an old transport that voicechat does not support.",
    "Use its streamable HTTP address, which often ends in /mcp.",
)

_PROBE_BYTES = 4096
_EVENTS = {"Accept": "text/event-stream"}

_PROBE_S = 3.0
"""Seconds to find out whether an address offers the old SSE transport."""


async def is_sse_only(config: ServerConfig) -> bool:
    """Return True when the address opens a stream as the old SSE transport does.

    Such a stream begins with the event `endpoint` (MCP 2024-11-05, section Transports).
    """
    import httpx2

    headers = {name: value.reveal() for name, value in config.headers.items()}
    beginning = b""
    try:
        async with (
            asyncio.timeout(_PROBE_S),
            httpx2.AsyncClient(headers=UNCOMPRESSED | headers | _EVENTS) as client,
            client.stream("GET", config.target()) as response,
        ):
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                return False
            async for piece in decoded(response.aiter_raw(), _encoding(response)):
                beginning += piece
                if len(beginning) > _PROBE_BYTES or _EVENT_END.search(beginning):
                    break
    except (httpx2.HTTPError, BodyError, TimeoutError):
        pass
    return b"endpoint" in beginning[:_PROBE_BYTES]


@asynccontextmanager
async def http(
    config: ServerConfig,
    on_error_status: Callable[[int], None],
    sign_in: SignIn | None = None,
) -> AsyncIterator[TransportStreams]:
    """Connect to the server. Enter and leave in one task.

    on_error_status: called with the status code of every error response to a message.
    sign_in: opens the browser when the server wants a sign-in.
    """
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async def on_response(response: httpx2.Response) -> None:
        request = response.request
        # Not the optional stream of events, which many servers refuse.
        is_message = request.method == "POST" and str(request.url) == address
        if response.status_code >= 400 and is_message:
            on_error_status(response.status_code)
        _limit_size(response)

    address = str(httpx2.URL(config.target()))
    headers = {name: value.reveal() for name, value in config.headers.items()}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            # The HTTP client would repeat the value in its error message.
            raise ConnectError(f"The header {name} holds characters that cannot be sent.")
    async with (
        authorization(config, sign_in) as auth,
        httpx2.AsyncClient(
            auth=auth,
            headers=UNCOMPRESSED | headers,
            timeout=httpx2.Timeout(CONNECT_S, read=SILENCE_S),
            event_hooks={"response": [on_response]},
        ) as client,
        streamable_http_client(
            config.target(), http_client=client, max_sse_event_size=MESSAGE_LIMIT
        ) as streams,
    ):
        try:
            yield streams
        finally:
            client.timeout = CLOSE_S


_EVENT_END = re.compile(rb"\r?\n\r?\n")


def _limit_size(response: httpx2.Response) -> None:
    """Decompress a response and limit its size: of the body as a whole, of a stream per event."""
    import httpx2

    assert isinstance(response.stream, httpx2.AsyncByteStream)
    stream: httpx2.AsyncByteStream = response.stream
    encoding = _encoding(response)
    # The client decompresses without a limit.
    response.headers.pop("content-encoding", None)
    in_events = response.headers.get("content-type", "").startswith("text/event-stream")

    class LimitedStream(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            buffer = b""
            async for piece in _decoded(stream, encoding):
                buffer += piece
                *events, rest = _EVENT_END.split(buffer) if in_events else [buffer]
                if any(map(is_too_large, events)) or len(rest) > MESSAGE_LIMIT:
                    raise httpx2.StreamError(TOO_LARGE)
                if events:
                    yield buffer[: len(buffer) - len(rest)]
                    buffer = rest
            if is_too_large(buffer):
                raise httpx2.StreamError(TOO_LARGE)
            yield buffer

        async def aclose(self) -> None:
            await stream.aclose()

    response.stream = LimitedStream()


async def _decoded(stream: AsyncIterable[bytes], encoding: str) -> AsyncIterator[bytes]:
    import httpx2

    try:
        async for piece in decoded(stream, encoding):
            yield piece
    except BodyError as error:
        raise httpx2.StreamError(str(error)) from None


def _encoding(response: httpx2.Response) -> str:
    return str(response.headers.get("content-encoding", ""))
