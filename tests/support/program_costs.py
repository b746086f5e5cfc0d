"""What the processes of a running program cost: CPU time, wake-ups and memory."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
from on_terminal import OnTerminal

MIB = 2**20


def parts(terminal: OnTerminal) -> dict[str, list[psutil.Process]]:
    """Return the processes by their part: guardian, app, sound, and the server if there is one."""
    found: dict[str, list[psutil.Process]] = {"guardian": [], "app": [], "sound": []}
    app = terminal.app
    for process in terminal.family():
        if process == terminal.guardian:
            name = "guardian"
        elif process == app:
            name = "app"
        else:
            is_sound = "voicechat.audio.process" in " ".join(process.cmdline())
            name = "sound" if is_sound else "server"
        found.setdefault(name, []).append(process)
    return found


def cpu_s(processes: Iterable[psutil.Process]) -> float:
    """Return the CPU seconds so far, with those of children that have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in processes)


def wakeups(processes: Iterable[psutil.Process]) -> int:
    """Return how often a thread has gone to sleep so far; a thread that ended does not count."""
    count = 0
    for process in processes:
        for status in Path(f"/proc/{process.pid}/task").glob("*/status"):
            fields = dict(line.split(":\t", 1) for line in status.read_text("ascii").splitlines())
            count += int(fields["voluntary_ctxt_switches"])
    return count


def pss_mib(processes: Iterable[psutil.Process]) -> float:
    """Return the proportional set size in MiB: shared pages count by their share."""
    return sum(process.memory_full_info().pss for process in processes) / MIB


def split(costs: dict[str, float], digits: int = 1) -> str:
    """Return the sum of the costs and each of them: `4.1 (app 2.0, sound 2.1)`."""
    each = ", ".join(f"{name} {cost:.{digits}f}" for name, cost in costs.items() if cost)
    return f"{sum(costs.values()):.{digits}f} ({each})"


def load() -> str:
    """Return the load of the machine in the last minute."""
    return f"load {os.getloadavg()[0]:.1f}"


class Meter:
    """Measures CPU time and wake-ups of the parts of a program from its creation on."""

    def __init__(self, terminal: OnTerminal) -> None:
        self._parts = parts(terminal)
        self._began = time.monotonic()
        self._cpu = {name: cpu_s(each) for name, each in self._parts.items()}
        self._wakeups = {name: wakeups(each) for name, each in self._parts.items()}

    def cpu_percent(self) -> dict[str, float]:
        """Return the CPU time of each part in percent of a core."""
        passed = time.monotonic() - self._began
        return {
            name: 100 * (cpu_s(each) - self._cpu[name]) / passed
            for name, each in self._parts.items()
        }

    def wakeups_per_s(self) -> dict[str, float]:
        """Return the wake-ups of each part per second."""
        passed = time.monotonic() - self._began
        return {
            name: (wakeups(each) - self._wakeups[name]) / passed
            for name, each in self._parts.items()
        }
