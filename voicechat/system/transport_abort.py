"""Connections of asyncio that can be aborted at any time."""

from __future__ import annotations

import asyncio
from contextlib import suppress


def make_abortable(transport: asyncio.BaseTransport) -> None:
    """Let `abort` of this transport do nothing when there is nothing left to abort.

    A transport that was closed with data to write, and has written it since, has no event loop any
    more, so that `abort` fails (CPython 3.11 to 3.14, `selector_events.py`).
    """
    abort = getattr(transport, "abort", None)
    if abort is None:
        return

    def abort_what_is_left() -> None:
        with suppress(AttributeError):
            abort()

    with suppress(AttributeError):  # a transport written in C keeps its own
        transport.abort = abort_what_is_left  # type: ignore[attr-defined]
