"""Esc on the terminal, for a command that reads no keys otherwise (Linux and macOS)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

if sys.platform != "win32":
    import termios

_ESCAPE = b"\x1b"
_WAIT_S = 0.05
"""Seconds after Esc in which the rest of a key's sequence would arrive."""


@contextmanager
def escape_pressed(act: Callable[[], object], *, watches: bool = True) -> Iterator[None]:
    """Call `act` on the running loop when Esc is pressed in the block, once.

    Keys are not shown meanwhile. Does nothing without a terminal, or if `watches` is false.
    """
    if not watches or sys.platform == "win32" or not _is_foreground():
        yield
        return
    before = termios.tcgetattr(0)
    quiet = [*before]
    quiet[3] &= ~(termios.ICANON | termios.ECHO)
    loop = asyncio.get_running_loop()

    def press() -> None:
        keys = os.read(0, 64)
        if keys == _ESCAPE:
            pending.append(loop.call_later(_WAIT_S, act))
        elif pending:
            pending.pop().cancel()  # Esc began the sequence of another key
        if not keys:
            loop.remove_reader(0)

    pending: list[asyncio.TimerHandle] = []
    termios.tcsetattr(0, termios.TCSANOW, quiet)
    loop.add_reader(0, press)
    try:
        yield
    finally:
        loop.remove_reader(0)
        with suppress(termios.error):
            termios.tcsetattr(0, termios.TCSANOW, before)


def _is_foreground() -> bool:
    """Return True if standard input is a terminal that this process may change."""
    try:
        return sys.stdin.isatty() and os.tcgetpgrp(0) == os.getpgrp()
    except (OSError, ValueError):
        return False
