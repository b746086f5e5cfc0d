"""A signal ends the process within a deadline, whatever its threads do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, os, re, signal, sys, threading, time
from voicechat.system import exit_deadline

def holds_the_interpreter(number):
    re.match(r"(a+)+$", "a" * 60 + "b")

def leaves_a_thread(number):
    threading.Thread(target=time.sleep, args=(600,)).start()
    stopped.set()

async def main():
    global stopped
    stopped = asyncio.Event()
    act = globals().get(sys.argv[1]) or (lambda number: None)
    exit_deadline.on_signals(("SIGTERM", "SIGNONE"), act, seconds=0.1)
    print("ready", flush=True)
    if sys.argv[1] == "blocks_the_loop":
        time.sleep(600)
    await stopped.wait()

asyncio.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("blocks_the_loop", 128 + signal.SIGTERM),
        ("leaves_a_thread", 128 + signal.SIGTERM),
        ("holds_the_interpreter", 1),
    ],
)
def test_a_blocked_process_ends(how: str, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, how], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == code
        finally:
            process.kill()


CLEANING = """
import asyncio, signal, sys
from voicechat.system import exit_deadline

for ignored in sys.argv[1:]:
    signal.signal(getattr(signal, ignored), signal.SIG_IGN)

async def main():
    print("ready", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        for line in sys.stdin:
            await asyncio.sleep(0)
            print(line, end="", flush=True)

exit_deadline.run(main())
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_no_later_signal_interrupts_the_end(name: str) -> None:
    number = getattr(signal, name)
    with subprocess.Popen(
        [sys.executable, "-c", CLEANING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "ready\n"
            for step in range(20):
                process.send_signal(number)
                process.stdin.write(f"{step}\n")
                process.stdin.flush()
                process.send_signal(number)
                assert process.stdout.readline() == f"{step}\n"
            process.stdin.close()
            assert process.wait(30) in {128 + number, -number}
            assert process.stderr.read().count("Traceback") == (name == "SIGINT")
        finally:
            process.kill()


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_a_signal_that_the_parent_ignores_ends_nothing(name: str) -> None:
    """As under `nohup`, and in a job in the background of a script."""
    with subprocess.Popen(
        [sys.executable, "-c", CLEANING, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(getattr(signal, name))
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)
            assert process.returncode == 128 + signal.SIGTERM
        finally:
            process.kill()
