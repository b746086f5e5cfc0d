"""Shutdown requests: signals, the end of standard input, and the death of the parent process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from voicechat.system.child_main import die_with_parent, when_closed


@contextmanager
def stop_requested(parent_watch: bool) -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM and SIGINT set.

    parent_watch: also set it when the parent process ends.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    if parent_watch:
        _watch_parent(loop, stop)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _watch_parent(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    def stop_soon() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    die_with_parent(signal.SIGTERM)
    when_closed(0, stop_soon)
