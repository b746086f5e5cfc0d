"""An MCP server at an address, over the streamable HTTP transport of the SDK.

Its headers, with the keys in them, go to the address' own origin and nowhere else; an answer that
is too large (`mcp_limits`) is not read to its end.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from voicechat.config.mcp_server import ServerConfig
from voicechat.errors import ConnectError
from voicechat.tools.mcp.mcp_limits import MESSAGE_LIMIT, TOO_LARGE, is_too_large

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams

DIAL_S = 8.0
"""Seconds to reach the address."""

SILENCE_S = 300.0
"""Seconds a stream may be silent; calls have shorter deadlines of their own."""

GOODBYE_S = 0.5
"""Seconds for telling the server that the session ends."""


@asynccontextmanager
async def http(
    config: ServerConfig, refused: Callable[[int], None]
) -> AsyncIterator[TransportStreams]:
    """Speak with the server; to be entered and left in one task.

    `refused` is called with the status of every answer that is an error.
    """
    import httpx2
    from mcp.client.streamable_http import streamable_http_client

    async def look(response: httpx2.Response) -> None:
        if response.status_code >= 400:
            refused(response.status_code)
        _cap(response)

    headers = {name: value.reveal() for name, value in config.headers.items()}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):
            # What refuses to send it would repeat it in its complaint.
            raise ConnectError(f"The header {name} holds what cannot be sent.")
    async with (
        httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(DIAL_S, read=SILENCE_S),
            event_hooks={"response": [look]},
        ) as client,
        streamable_http_client(
            config.url, http_client=client, max_sse_event_size=MESSAGE_LIMIT
        ) as streams,
    ):
        try:
            yield streams
        finally:
            client.timeout = GOODBYE_S


_EVENT_END = re.compile(rb"\r?\n\r?\n")


def _cap(response: httpx2.Response) -> None:
    """Let through what may be read: a body as a whole, a stream event by event."""
    import httpx2

    assert isinstance(response.stream, httpx2.AsyncByteStream)
    whole: httpx2.AsyncByteStream = response.stream
    in_events = response.headers.get("content-type", "").startswith("text/event-stream")

    class Capped(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            held = b""
            async for piece in whole:
                held += piece
                *events, rest = _EVENT_END.split(held) if in_events else [held]
                if any(map(is_too_large, events)) or len(rest) > MESSAGE_LIMIT:
                    raise httpx2.StreamError(TOO_LARGE)
                if events:
                    yield held[: len(held) - len(rest)]
                    held = rest
            if is_too_large(held):
                raise httpx2.StreamError(TOO_LARGE)
            yield held

        async def aclose(self) -> None:
            await whole.aclose()

    response.stream = Capped()
