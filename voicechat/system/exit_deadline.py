"""A deadline for the end of this process after a signal, which no blocked thread delays."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress

END_S = 5.0
"""Seconds from a signal that should end the process to its end."""


def end_within(number: int, seconds: float = END_S) -> None:
    """End this process after `seconds` with the exit code of a signal, unless it ends earlier."""
    timer = threading.Timer(seconds, os._exit, (128 + number,))
    timer.daemon = True
    timer.start()
    # Needs no interpreter: a thread may hold its lock, and the timer ends before the last flush.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    faulthandler.dump_traceback_later(seconds + 1, exit=True, file=nowhere)


def on_signals(
    names: tuple[str, ...], act: Callable[[int], object], seconds: float = END_S
) -> None:
    """Call `act` on the running event loop at a signal, and end the process `seconds` later.

    names: such as "SIGTERM"; one that the system lacks is ignored. Does nothing in a thread that
    is not the main thread.
    """
    loop = asyncio.get_running_loop()

    def interrupted(number: int, _frame: object) -> None:
        end_within(number, seconds)
        if not wakes_loop:
            loop.call_soon_threadsafe(act, number)

    for number in (getattr(signal, name) for name in names if hasattr(signal, name)):
        wakes_loop = True
        with suppress(RuntimeError, ValueError):
            try:
                loop.add_signal_handler(number, act, number)
            except NotImplementedError:
                wakes_loop = False
            # In place of the loop's own function, which waits for the loop. It may be blocked.
            signal.signal(number, interrupted)
