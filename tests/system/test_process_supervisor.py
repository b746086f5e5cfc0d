"""The process supervisor kills everything that its program leaves running."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest
from processes import gone

from voicechat.system import process_supervisor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")

DEAF = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
inner = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
for apart in (False, True):
    subprocess.Popen([sys.executable, "-c", inner], start_new_session=apart)
print("ready", flush=True)
"""


Kept = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def kept() -> Iterator[Kept]:
    """Starts a Python program of some lines below a supervisor."""
    started = []

    def start(*code: str, through: str = "") -> subprocess.Popen[bytes]:
        program = [sys.executable, "-c", "\n".join(code)]
        command = [sys.executable, "-I", "-S", process_supervisor.__file__, *program]
        if through:
            command = [sys.executable, "-c", through, *command]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        process.wait()


def tree_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Everything below it, once it says that it is ready."""
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_that_of_the_program(kept: Kept, code: int) -> None:
    process = kept(f"raise SystemExit({code})")
    assert process.communicate(timeout=20)[0] == b""
    assert process.returncode == code


def test_input_and_output_are_those_of_the_program(kept: Kept) -> None:
    process = kept("print(input()[::-1])")
    assert process.communicate(b"abc\n", timeout=20)[0] == b"cba\n"


def test_what_cannot_be_started_says_so() -> None:
    process = subprocess.run(
        [sys.executable, "-I", "-S", process_supervisor.__file__, "/no/such/program"],
        input=b"", capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert process.returncode == 127
    assert b"/no/such/program: No such file" in process.stderr


def test_a_program_that_ends_leaves_nothing_and_closes_its_pipes(kept: Kept) -> None:
    process = kept(DEAF, "sys.stdin.readline()", "os._exit(5)")
    tree = tree_of(process)
    assert len(tree) == 3
    assert process.communicate(b"\n", timeout=20)[0] == b""
    assert process.returncode == 5
    assert gone(tree)


def test_closing_the_pipe_ends_what_ignores_everything(kept: Kept) -> None:
    process = kept(DEAF, "time.sleep(600)")
    tree = tree_of(process)
    assert len(tree) == 3
    assert process.stdin is not None
    process.stdin.close()
    assert gone(tree)
    assert process.wait(20) != 0


def test_one_that_ends_by_itself_is_given_the_time(kept: Kept) -> None:
    process = kept("import sys", "sys.stdin.read()", "print('goodbye')", "sys.exit(4)")
    assert process.communicate(b"", timeout=20)[0] == b"goodbye\n"
    assert process.returncode == 4


def test_terminating_the_keeper_ends_the_program(kept: Kept) -> None:
    process = kept("import time", "print('ready', flush=True)", "time.sleep(600)")
    tree = tree_of(process)
    process.terminate()
    assert gone(tree)


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_killing_the_keeper_kills_the_program(kept: Kept) -> None:
    process = kept("import time", "print('ready', flush=True)", "time.sleep(600)")
    tree = tree_of(process)
    process.kill()
    assert gone(tree)


def test_killing_the_one_who_wanted_it_ends_everything(kept: Kept) -> None:
    """A parent in the middle holds the pipe, and is killed by `kill -9`."""
    middle = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(600)"
    )
    process = kept(DEAF, "time.sleep(600)", through=middle)
    tree = tree_of(process)
    assert len(tree) == 4
    process.kill()
    assert gone(tree)
