"""The longest stall of an event loop and the peak memory of its process.

Other programs delay this one, too. A gap between two beats counts only as far as the process
itself used CPU time in it. They also slow it down, because they share caches and the units of a
core: after a long gap, a fixed piece of work shows how much slower than at its best the process
runs, and the gap counts by that much less.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from pathlib import Path
from types import FrameType

STEP_S = 0.005
_LOOK_S = 0.02
_LONG_S = 0.05
"""Gap after which the pace is measured."""
_WORK = 30_000
"""Additions in a piece of work, which takes about a millisecond."""
_FRAMES = 7


class LoopBeat:
    """Measures the running loop. Use as an async context manager."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self.place = ""
        """The stack in the worst stall, innermost function first."""
        self._now = (0.0, 0.0)
        self._seen = ""
        self._ended = threading.Event()

    async def __aenter__(self) -> LoopBeat:
        self._now = (time.monotonic(), time.process_time())
        self._beating = asyncio.create_task(self._beat())
        threading.Thread(target=self._look, args=(threading.get_ident(),), daemon=True).start()
        return self

    async def __aexit__(self, *failure: object) -> None:
        self._ended.set()
        self._beating.cancel()

    async def _beat(self) -> None:
        while True:
            began, used = self._now = (time.monotonic(), time.process_time())
            self._seen = ""
            await asyncio.sleep(STEP_S)
            gap, cpu = time.monotonic() - began - STEP_S, time.process_time() - used
            stall = min(gap, cpu)
            if stall > max(self.worst_s, _LONG_S):
                stall /= PACE.slowdown()
            if stall > self.worst_s:
                self.worst_s, self.place = stall, self._seen

    def _look(self, thread: int) -> None:
        while not self._ended.wait(_LOOK_S):
            if time.monotonic() - self._now[0] > 2 * _LOOK_S:
                self._seen = self._seen or _stack(sys._current_frames().get(thread))


class Pace:
    """How fast this process runs a fixed piece of work, compared with the best so far."""

    def __init__(self) -> None:
        self._best_s = min(_work_s() for _ in range(50))

    def slowdown(self) -> float:
        """Return how many times slower than at its best the process runs now; at least 1."""
        now_s = sorted(_work_s() for _ in range(9))[4]
        self._best_s = min(self._best_s, now_s)
        return now_s / self._best_s


def _work_s() -> float:
    began = time.thread_time()
    total = 0
    for each in range(_WORK):
        total += each
    return time.thread_time() - began


PACE = Pace()


def _stack(frame: FrameType | None) -> str:
    places: list[str] = []
    while frame is not None and len(places) < _FRAMES:
        code = frame.f_code
        places.append(f"{code.co_name} ({os.path.basename(code.co_filename)}:{frame.f_lineno})")
        frame = frame.f_back
    return " < ".join(places)


class MemoryPeak:
    """The peak of the resident memory of this process since its creation (Linux)."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()  # as the app does once it has started
        Path("/proc/self/clear_refs").write_text("5", "ascii")  # proc(5): resets VmHWM
        self._before = _status("VmRSS")

    @property
    def mb(self) -> float:
        """Megabytes above the memory at the start."""
        return (_status("VmHWM") - self._before) / 1_000_000


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1_024
    return 0
