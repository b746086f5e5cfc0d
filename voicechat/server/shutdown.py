"""Shutdown requests: signals, the end of standard input, and the death of the parent process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from voicechat.system.child_main import die_with_parent, when_closed
from voicechat.system.exit_deadline import end_within


@contextmanager
def stop_requested(parent_watch: bool) -> Iterator[asyncio.Event]:
    """Yield an event that SIGTERM, SIGINT and SIGHUP set. The process ends soon after it.

    SIGHUP has no effect under `nohup`. parent_watch: also set it when the parent process ends.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    numbers = [signal.SIGTERM, signal.SIGINT]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    before = {number: signal.getsignal(number) for number in numbers}

    def stop_soon(number: int) -> None:
        end_within(number)
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for number in numbers:
        signal.signal(number, lambda number, _: stop_soon(number))
    if parent_watch:
        die_with_parent(signal.SIGTERM)
        when_closed(0, lambda: stop_soon(signal.SIGTERM))
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
