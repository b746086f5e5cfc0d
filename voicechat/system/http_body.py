"""Bodies of HTTP answers without compression.

A few kilobytes of compressed content can expand to gigabytes within one piece.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx

UNCOMPRESSED = {"Accept-Encoding": "identity"}
"""Header of a request whose answer `uncompressed` reads."""


async def uncompressed(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield the body in pieces. Raises `httpx.DecodingError` when it is compressed."""
    import httpx

    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        raise httpx.DecodingError("The body is compressed.", request=response.request)
    async for piece in response.aiter_raw():
        yield piece
