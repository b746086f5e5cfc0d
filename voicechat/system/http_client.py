"""HTTP clients that leave the event loop free.

The client parses all that one read brings without a pause. A server can fill a read with interim
answers (status 103), each of which costs as much as an answer; so a read is small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import httpx

READ_BYTES: Final = 16_384
"""Largest read from a connection; the interim answers in it take about 25 ms to parse."""


def open_client(**options: Any) -> httpx.AsyncClient:
    """Create an asynchronous client with these options of httpx, and their errors."""
    import httpcore
    import httpx

    limit_reads(httpcore.AsyncHTTP11Connection)
    return httpx.AsyncClient(**options)


def limit_reads(connection: type) -> None:
    """Make each read small for a class of connections: that of httpcore or of httpcore2."""
    connection.READ_NUM_BYTES = READ_BYTES  # type: ignore[attr-defined]
