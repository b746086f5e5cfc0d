"""The child's half of `child_process.py`: pipes of its own, and an end with its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Have the kernel send this signal when the parent's thread that started us ends (Linux)."""
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os._exit(0)


def ignore_interrupts() -> None:
    """Leave Ctrl-C at the keyboard to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def take_pipes(prints: int | None = 2) -> tuple[BinaryIO, BinaryIO]:
    """Move the pipes to the parent off the standard streams; returns (input, output).

    Standard input is empty from now on. What libraries print goes to the descriptor `prints`,
    nowhere when it is None. Programs that this process starts do not inherit the pipes.
    """
    pipes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere if prints is None else prints, 1)
    if prints is None:
        os.dup2(nowhere, 2)
    os.close(nowhere)
    return pipes


def when_closed(pipe: BinaryIO | int, act: Callable[[], object] | None = None) -> None:
    """Call `act` on a daemon thread when the other end of a pipe closes; by default exit.

    A parent that holds the pipe closes it by dying, too. Nothing else may read from the pipe.
    """

    def watch() -> None:
        descriptor = pipe if isinstance(pipe, int) else pipe.fileno()
        while os.read(descriptor, 4096):
            continue
        if act is None:
            os._exit(1)
        act()

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
