"""A watch over an event loop: each stall of it becomes one line with a stack in a log file.

Four times a second, a thread looks whether the loop waits for something to happen; if not, it asks
for an answer, so that an idle loop is not woken. Without an answer for `STALL_S`, it takes
the stack of the loop's thread; the line is written when the loop answers again, or after
`ENDLESS_S` for a loop that may never answer. A call that holds the interpreter lock delays the
thread itself, which shows in the CPU time of the process. A computer that sleeps or a process that
is stopped uses no CPU time and is no stall.

A line contains names of functions, files and line numbers, and neither values nor texts.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

POLL_S = 0.25
"""Seconds between an answer of the loop and the next question."""

STALL_S = 0.1
"""Seconds without an answer that count as a stall."""

ENDLESS_S = 5.0
"""Seconds after which a stall is reported although it lasts."""

LOG_LIMIT = 64 << 10
"""Size of the log in bytes from which the next line starts a new one; one old log is kept."""

_MAX_FRAMES = 8
"""Most functions in a line, the innermost ones."""
_CPU_SHARE = 0.5
"""Least share of CPU time in a delay of the watching thread that means a held interpreter lock."""


class LoopWatch:
    """Reports the stalls of the running event loop. Use as a context manager on that loop."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """`report` is called on the watching thread with one line for each stall."""
        self._report = report
        self._stopped = threading.Event()

    def __enter__(self) -> LoopWatch:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        threading.Thread(target=self._watch, name="loop watch", daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stopped.set()

    def _watch(self) -> None:
        while True:
            delay = _Delay(POLL_S)
            if self._stopped.wait(POLL_S):
                return
            if delay.of_the_interpreter():
                self._report(_line(delay.seconds(), self._stack()))
            if self._stack():
                with suppress(RuntimeError):  # the loop is closed
                    self._ask()

    def _ask(self) -> None:
        answered = threading.Event()
        delay = _Delay(STALL_S)
        self._loop.call_soon_threadsafe(answered.set)
        if answered.wait(STALL_S) or delay.of_the_machine():
            return
        stack = self._stack()
        has_ended = answered.wait(ENDLESS_S - STALL_S)
        if stack and not self._stopped.is_set():
            self._report(_line(delay.seconds() + STALL_S, stack))
        while not has_ended and not self._stopped.is_set():
            has_ended = answered.wait(1.0)

    def _stack(self) -> str:
        """Return where the loop's thread is, innermost function first; empty if it only waits."""
        frame = sys._current_frames().get(self._thread)
        if frame is None or frame.f_code.co_filename == _SELECTORS:
            return ""
        return " < ".join(_places(frame))


class _Delay:
    """How much longer than planned the watching thread waits, and which part is CPU time."""

    def __init__(self, planned_s: float) -> None:
        self._planned_at = time.monotonic() + planned_s
        self._cpu_s = time.process_time()

    def seconds(self) -> float:
        return time.monotonic() - self._planned_at

    def of_the_interpreter(self) -> bool:
        """Return True if a call held the interpreter lock."""
        return self.seconds() > STALL_S and self._is_busy()

    def of_the_machine(self) -> bool:
        """Return True if the machine did not run the process."""
        return self.seconds() > STALL_S and not self._is_busy()

    def _is_busy(self) -> bool:
        return time.process_time() - self._cpu_s > _CPU_SHARE * self.seconds()


_SELECTORS = sys.modules["selectors"].__file__
_EVENTS = asyncio.events.__file__


def _places(frame: FrameType | None) -> Iterator[str]:
    for _ in range(_MAX_FRAMES):
        if frame is None or frame.f_code.co_filename == _EVENTS:
            return
        code = frame.f_code
        yield f"{code.co_name} ({os.path.basename(code.co_filename)}:{frame.f_lineno})"
        frame = frame.f_back


def _line(seconds: float, stack: str) -> str:
    place = stack or "another thread ran"
    return f"The event loop was blocked for at least {seconds:.1f} s: {place}"


def log_path() -> Path:
    """Return the path of the log of stalls, in the user's folder for states."""
    from platformdirs import user_state_path

    return user_state_path("voicechat", appauthor=False) / "stalls.log"


def write_line(line: str) -> None:
    """Append a line with the time and the process to the log, which only the user can read.

    A log that cannot be written is no error: the program works without it.
    """
    path = log_path()
    text = f"{time.strftime('%Y-%m-%d %H:%M:%S')} [{os.getpid()}] {line}\n"
    with suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags, 0o600)
        try:
            os.write(descriptor, text.encode("utf-8", "replace"))
            is_full = os.fstat(descriptor).st_size > LOG_LIMIT
        finally:
            os.close(descriptor)
        if is_full:
            os.replace(path, path.with_suffix(".log.old"))


@contextmanager
def stalls_logged() -> Iterator[None]:
    """Log each stall of the running event loop until the block ends."""
    with LoopWatch(write_line):
        yield
