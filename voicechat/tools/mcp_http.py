"""An MCP server at an address, over the streamable HTTP transport of the SDK.

Its headers, with the keys in them, go to the address' own origin and nowhere else; an answer above
`BODY_LIMIT` is not read to its end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from voicechat.tools.mcp_config import ServerConfig
from voicechat.tools.mcp_stdio import TOO_LARGE

if TYPE_CHECKING:
    import httpx2
    from mcp.client._transport import TransportStreams

BODY_LIMIT = 1 << 20
"""Bytes of one JSON answer, and of one event of a stream."""

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
    async with (
        httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(DIAL_S, read=SILENCE_S),
            event_hooks={"response": [look]},
        ) as client,
        streamable_http_client(
            config.url, http_client=client, max_sse_event_size=BODY_LIMIT
        ) as streams,
    ):
        try:
            yield streams
        finally:
            client.timeout = GOODBYE_S


def _cap(response: httpx2.Response) -> None:
    """Bound what is read of an answer; the events of a stream are bounded one by one."""
    import httpx2

    if response.headers.get("content-type", "").startswith("text/event-stream"):
        return
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    whole: httpx2.AsyncByteStream = response.stream

    class Capped(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            left = BODY_LIMIT
            async for piece in whole:
                left -= len(piece)
                if left < 0:
                    raise httpx2.StreamError(TOO_LARGE)
                yield piece

        async def aclose(self) -> None:
            await whole.aclose()

    response.stream = Capped()
