"""Checks that processes have ended."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable

import psutil


def gone(processes: Iterable[psutil.Process], seconds: float = 3.0) -> bool:
    """Return True when all of them end in time; a zombie has ended."""
    until = time.monotonic() + seconds
    left = [process for process in processes if lives(process)]
    while left and time.monotonic() < until:
        psutil.wait_procs(left, timeout=0.05)
        left = [process for process in left if lives(process)]
    return not left


def descendants() -> set[psutil.Process]:
    """Return the processes below this one that run, except the watch on stalls of the machine."""
    found = psutil.Process().children(recursive=True)
    return {process for process in found if lives(process) and not _watches_stalls(process)}


def _watches_stalls(process: psutil.Process) -> bool:
    try:
        return any(word.endswith("machine_stalls.py") for word in process.cmdline())
    except psutil.Error:
        return False


def known(numbers: Iterable[int]) -> list[psutil.Process]:
    """Return the processes with these ids that exist."""
    found = []
    for number in numbers:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(number))
    return found


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
