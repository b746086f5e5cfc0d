"""Scheduling of the threads of the audio process (Linux).

Sound callbacks and the loop run at real-time priority if the system allows it. Everything else,
most of all opening and closing devices, must not: a sound library that polls would take a whole
core from the rest of the machine.
"""

from __future__ import annotations

import contextlib
import os


def use_real_time() -> None:
    """Run the calling thread, and threads that it starts, at the lowest real-time priority."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))


def use_ordinary() -> None:
    """Run the calling thread, and threads that it starts, at ordinary priority."""
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
