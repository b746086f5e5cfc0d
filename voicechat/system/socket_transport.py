"""Transports of asyncio for WebSockets: short turns of the event loop, and aborts at any time."""

from __future__ import annotations

import asyncio
from contextlib import suppress

READ_BYTES = 32 * 1024
"""Most bytes that are received in one turn: a peer may fill them with thousands of tiny frames."""


def prepare(transport: asyncio.BaseTransport) -> None:
    """Limit what one turn receives, and let `abort` do nothing when nothing is left to abort.

    A transport that was closed with data to write, and has written it since, has no event loop any
    more, so that `abort` fails (CPython 3.11 to 3.14, `selector_events.py`).
    """
    abort = getattr(transport, "abort", None)

    def abort_what_is_left() -> None:
        with suppress(AttributeError):
            abort()  # type: ignore[misc]

    with suppress(AttributeError):  # a transport written in C keeps its own
        if abort is not None:
            transport.abort = abort_what_is_left  # type: ignore[attr-defined]
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BYTES
