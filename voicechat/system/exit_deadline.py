"""A deadline for the end of this process after a signal, which no blocked thread delays."""

from __future__ import annotations

import _thread
import asyncio
import faulthandler
import os
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")

END_S = 5.0
"""Seconds from a signal that should end the process to its end."""

ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that ask a program to end."""

_ended_by: list[int] = []


def end_within(number: int, seconds: float = END_S) -> None:
    """End this process `seconds` after the first call, unless it ends earlier.

    Its exit code is then that of the signal `number`. Safe in a signal handler: it takes no lock
    that the interrupted code may hold, as a `threading.Thread` would.
    """
    if _ended_by:
        return
    _ended_by.append(number)
    # Needs no interpreter: a thread may hold its lock, and the other deadline ends before the
    # last flush.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    faulthandler.dump_traceback_later(seconds + 1, exit=True, file=nowhere)
    _thread.start_new_thread(_end_after, (128 + number, seconds))


def _end_after(code: int, seconds: float) -> None:
    time.sleep(seconds)
    os._exit(code)


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
        if signal.getsignal(number) is signal.SIG_IGN:
            continue  # nohup, a job in the background of a script, or an end that has begun
        wakes_loop = True
        with suppress(RuntimeError, ValueError):
            try:
                loop.add_signal_handler(number, act, number)
            except NotImplementedError:
                wakes_loop = False
            # In place of the loop's own function, which waits for the loop. It may be blocked.
            signal.signal(number, interrupted)


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run `work` as `asyncio.run` does; the first signal of `ENDING` cancels it.

    No later signal interrupts the end of the work, which `END_S` bounds: the second Ctrl-C of
    `asyncio.run` raises `KeyboardInterrupt` in whatever runs then. `work` may replace the handlers
    with `on_signals`. Raises `KeyboardInterrupt` after SIGINT, and `SystemExit` with 128 + the
    number of any other signal.
    """
    ended_by: list[int] = []

    async def cancelled_by_signals() -> Result:
        working = asyncio.ensure_future(work)

        def cancel(number: int) -> None:
            if not ended_by:
                working.cancel()
            ended_by.append(number)

        on_signals(ENDING, cancel)
        return await working

    try:
        result = asyncio.run(cancelled_by_signals())
        if not ended_by:
            return result
    except asyncio.CancelledError:
        if not ended_by:
            raise
    finally:
        work.close()  # a signal may come before its task begins
        if _ended_by:
            _ignore_signals()
    if ended_by[0] == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + ended_by[0])


def _ignore_signals() -> None:
    for name in ENDING:
        if number := getattr(signal, name, None):
            with suppress(ValueError):  # not the main thread
                signal.signal(number, signal.SIG_IGN)
