"""A blocked event loop leaves one line with the place; an idle or stopped one leaves none."""

from __future__ import annotations

import asyncio
import os
import re
import stat
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from voicechat.system import loop_watch
from voicechat.system.loop_watch import LoopWatch


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_watch, "POLL_S", 0.005)
    monkeypatch.setattr(loop_watch, "STALL_S", 0.01)
    monkeypatch.setattr(loop_watch, "ENDLESS_S", 0.02)
    monkeypatch.setattr(loop_watch, "_CPU_SHARE", 0.0)


def wait_until_reported(lines: list[str]) -> None:
    """Block the loop."""
    give_up = time.monotonic() + 20
    while not lines and time.monotonic() < give_up:
        time.sleep(0.001)


@pytest.mark.usefixtures("quick")
async def test_a_stall_is_reported_with_its_place() -> None:
    lines: list[str] = []
    with LoopWatch(lines.append):
        wait_until_reported(lines)
        assert len(lines) == 1
        await asyncio.sleep(0)
    assert re.match(r"The event loop was blocked for at least \d+\.\d s: ", lines[0])
    assert re.search(r"wait_until_reported \(test_loop_watch\.py:\d+\) < test_a_stall_is", lines[0])
    assert "\n" not in lines[0]
    assert "_run_once" not in lines[0]


@pytest.mark.usefixtures("quick")
async def test_a_call_that_holds_the_interpreter_is_reported() -> None:
    lines: list[str] = []
    with LoopWatch(lines.append):
        async with asyncio.timeout(20):
            while not any("match (" in line for line in lines):
                re.match(r"(a+)+$", "a" * 19 + "b")
                await asyncio.sleep(0)


@pytest.mark.usefixtures("quick")
async def test_a_loop_that_waits_is_not_blocked() -> None:
    with LoopWatch(lambda line: None) as watch:

        def waits() -> bool:
            give_up = time.monotonic() + 20
            while watch._stack() and time.monotonic() < give_up:
                time.sleep(0.001)
            return watch._stack() == ""

        assert await asyncio.to_thread(waits)


@pytest.mark.usefixtures("quick")
async def test_a_loop_that_waits_is_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = threading.Event()
    looks: list[str] = []
    asked_after: list[str] = []
    stack = LoopWatch._stack

    def look(watch: LoopWatch) -> str:
        looks.append(stack(watch))
        if looks.count("") >= 50:
            looked.set()
        return looks[-1]

    monkeypatch.setattr(LoopWatch, "_stack", look)
    monkeypatch.setattr(LoopWatch, "_ask", lambda watch: asked_after.append(looks[-1]))
    with LoopWatch(lambda line: None):
        assert await asyncio.to_thread(looked.wait, 20)
    assert all(asked_after)


def test_a_process_that_is_stopped_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0, cpu=0.0)
    times = SimpleNamespace(monotonic=lambda: clock.now, process_time=lambda: clock.cpu)
    monkeypatch.setattr(loop_watch, "time", times)
    delay = loop_watch._Delay(0.1)
    clock.now, clock.cpu = 0.15, 0.1
    assert not delay.of_the_machine()
    assert not delay.of_the_interpreter(), "on time"
    clock.now = 10.0
    assert delay.of_the_machine()
    assert not delay.of_the_interpreter()
    clock.cpu = 9.0
    assert not delay.of_the_machine()
    assert delay.of_the_interpreter()


async def test_the_thread_ends_with_the_block() -> None:
    with loop_watch.stalls_logged():
        (thread,) = [one for one in threading.enumerate() if one.name == "loop watch"]
        assert thread.daemon
    await asyncio.to_thread(thread.join, 20)
    assert not thread.is_alive()


def test_the_log_is_private_and_bounded(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(loop_watch, "log_path", lambda: tmp_path / "new" / "stalls.log")
    monkeypatch.setattr(loop_watch, "LOG_LIMIT", 300)
    for number in range(20):
        loop_watch.write_line(f"line {number}")
    files = sorted((tmp_path / "new").iterdir())
    assert [path.name for path in files] == ["stalls.log", "stalls.log.old"]
    assert all(path.stat().st_size < 400 for path in files)
    assert files[0].read_text("utf-8").endswith(f"[{os.getpid()}] line 19\n")
    if os.name == "posix":
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


@pytest.mark.skipif(os.name != "posix", reason="a FIFO")
def test_a_log_that_cannot_be_written_is_no_error(monkeypatch, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, tmp_path / "fifo" / "below"):
        monkeypatch.setattr(loop_watch, "log_path", lambda path=path: path)
        loop_watch.write_line("a line")
