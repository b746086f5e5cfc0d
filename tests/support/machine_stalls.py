"""Stalls of the machine: real-time processes that notice when a core does not run them on time.

The host of a virtual machine may stop its cores for 20-100 ms. Sound with a device buffer of 20 ms
then has a gap that no program can prevent, so a sound test that fails during a stall runs again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

from voicechat.system.child_main import die_with_parent

STALL_S = 0.01
"""Shortest delay of a real-time process that counts as a stall: half of a device buffer."""
_SLEEP_S = 0.004


class MachineStalled(AssertionError):
    """A sound test failed while the machine did not run its cores. pytest runs it again."""


class StallWatch:
    """Watches every core; without permission for real-time priority it sees nothing."""

    def __init__(self) -> None:
        self._output, path = tempfile.mkstemp()
        os.unlink(path)
        cores = os.sched_getaffinity(0) if sys.platform == "linux" else ()
        self._watchers = [
            subprocess.Popen([sys.executable, __file__, str(core)], stdout=self._output)
            for core in cores
        ]
        self._seen = 0

    def longest_ms(self) -> float:
        """Return the longest stall since the last call, in ms; 0.0 if there was none."""
        stalls = [float(line) for line in os.pread(self._output, 1 << 20, 0).split()]
        new, self._seen = stalls[self._seen :], len(stalls)
        return max(new, default=0.0)

    @contextmanager
    def stalls_reported(self) -> Iterator[None]:
        """Turn a failure during a stall into MachineStalled."""
        # The watching processes run this file without pytest.
        import pytest

        self.longest_ms()
        try:
            yield
        except pytest.xfail.Exception:
            raise
        # A timeout of pytest-timeout is a `pytest.fail`, which is not an `Exception`.
        except (Exception, pytest.fail.Exception) as error:
            stall = self.longest_ms()
            if not stall:
                raise
            raise MachineStalled(f"the machine stalled for {stall:.0f} ms") from error

    def close(self) -> None:
        """End the watching processes."""
        for watcher in self._watchers:
            watcher.kill()
            watcher.wait()
        os.close(self._output)


def _watch(core: int) -> None:
    """Print the length of each stall of the core in ms, until the parent ends."""
    die_with_parent()
    try:
        os.sched_setaffinity(0, {core})
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(5))
    except OSError:
        return
    last = time.monotonic()
    while True:
        time.sleep(_SLEEP_S)
        now = time.monotonic()
        if now - last - _SLEEP_S > STALL_S:
            os.write(1, b"%.1f\n" % ((now - last) * 1000))
        last = now


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
