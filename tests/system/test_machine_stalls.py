"""The watch that lets a sound test run again after a stall of the machine."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from machine_stalls import MachineStalled, StallWatch
from processes import lives

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="real-time priority of Linux")


@pytest.fixture
def watch() -> Iterator[StallWatch]:
    made = StallWatch()
    yield made
    made.close()


def watcher() -> psutil.Process:
    """Return a watching process that has real-time priority."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for child in filter(lives, psutil.Process().children()):
            is_watcher = "machine_stalls.py" in " ".join(child.cmdline())
            if is_watcher and os.sched_getscheduler(child.pid) == os.SCHED_RR:
                return child
        time.sleep(0.01)
    pytest.skip("this user may not have real-time priority")


def stop_for_a_moment(process: psutil.Process) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGCONT)


def until_stalled(watch: StallWatch) -> float:
    """Wait for a stall as long as that of `stop_for_a_moment`; return the longest one in ms."""
    # Another core may stall for a shorter time first.
    deadline, longest = time.monotonic() + 10, 0.0
    while longest <= 150 and time.monotonic() < deadline:
        time.sleep(0.01)
        longest = max(longest, watch.longest_ms())
    return longest


def test_a_process_that_is_not_run_for_a_while_is_a_stall(watch: StallWatch) -> None:
    stopped = watcher()
    watch.longest_ms()
    stop_for_a_moment(stopped)
    assert until_stalled(watch) > 150


def test_a_failure_is_of_the_machine_only_during_a_stall(
    watch: StallWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = watcher()
    stop_for_a_moment(stopped)
    seen = until_stalled(watch)
    monkeypatch.setattr(watch, "longest_ms", lambda: seen)
    with pytest.raises(MachineStalled, match=r"stalled for \d+ ms"), watch.stalls_reported():
        raise ValueError("a gap")
    monkeypatch.setattr(watch, "longest_ms", lambda: 0.0)
    with pytest.raises(ValueError, match="a gap"), watch.stalls_reported():
        raise ValueError("a gap")


def test_a_timeout_is_of_the_machine_only_during_a_stall(
    watch: StallWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "longest_ms", lambda: 80.0)
    with pytest.raises(MachineStalled, match="stalled for 80 ms"), watch.stalls_reported():
        pytest.fail("Timeout (>60.0s) from pytest-timeout.")
    monkeypatch.setattr(watch, "longest_ms", lambda: 0.0)
    with pytest.raises(pytest.fail.Exception, match="Timeout"), watch.stalls_reported():
        pytest.fail("Timeout (>60.0s) from pytest-timeout.")


@pytest.mark.parametrize("outcome", [pytest.skip.Exception, pytest.xfail.Exception])
def test_a_skip_or_an_expected_failure_during_a_stall_is_kept(
    watch: StallWatch, monkeypatch: pytest.MonkeyPatch, outcome: type[BaseException]
) -> None:
    monkeypatch.setattr(watch, "longest_ms", lambda: 80.0)
    with pytest.raises(outcome), watch.stalls_reported():
        raise outcome("no device")
