"""`voicechat serve` on scripted engines, for clients that attack."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

from scripted import scripted_server


async def serve(measured: Callable[[], Awaitable[object]]) -> None:
    """Serve, print the address, and print the figures for each line of the input."""
    async with scripted_server(max_connections=20) as backend:
        sys.stdout.write(f"{backend.app.url}\n")
        sys.stdout.flush()
        await measured()
        assert len(backend.app.pipelines) <= 20


async def next_line() -> str:
    """Return the next line of the input; empty at its end."""
    return await asyncio.to_thread(sys.stdin.readline)
