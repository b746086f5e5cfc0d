"""The process supervisor kills everything that its program leaves running."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest
from processes import gone
from sound_rig import poll

from voicechat.system import process_supervisor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")

IGNORES_SIGTERM = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
inner = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
for apart in (False, True):
    subprocess.Popen([sys.executable, "-c", inner], start_new_session=apart)
print("ready", flush=True)
"""


OWN = 1 if sys.platform == "linux" else 0
"""Processes of the supervisor below the first one."""

StartSupervised = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def supervised() -> Iterator[StartSupervised]:
    """A function that starts a Python program under a supervisor."""
    started = []

    def start(*code: str, parent_code: str = "") -> subprocess.Popen[bytes]:
        program = [sys.executable, "-c", "\n".join(code)]
        command = [sys.executable, "-I", "-S", process_supervisor.__file__, *program]
        if parent_code:
            command = [sys.executable, "-c", parent_code, *command]
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


def process_tree(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """All descendants of the process, when it has printed that it is ready."""
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_is_that_of_the_program(supervised: StartSupervised, code: int) -> None:
    process = supervised(f"raise SystemExit({code})")
    assert process.communicate(timeout=20)[0] == b""
    assert process.returncode == code


def test_input_and_output_are_those_of_the_program(supervised: StartSupervised) -> None:
    process = supervised("print(input()[::-1])")
    assert process.communicate(b"abc\n", timeout=20)[0] == b"cba\n"


def test_a_program_that_cannot_start_gives_an_error() -> None:
    process = subprocess.run(
        [sys.executable, "-I", "-S", process_supervisor.__file__, "/no/such/program"],
        input=b"", capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    assert process.returncode == 127
    assert b"/no/such/program: No such file" in process.stderr


def test_a_program_that_ends_leaves_nothing_and_closes_its_pipes(
    supervised: StartSupervised,
) -> None:
    process = supervised(IGNORES_SIGTERM, "sys.stdin.readline()", "os._exit(5)")
    tree = process_tree(process)
    assert len(tree) == 3 + OWN
    assert process.communicate(b"\n", timeout=20)[0] == b""
    assert process.returncode == 5
    assert gone(tree)


def test_closing_the_pipe_kills_programs_that_ignore_sigterm(supervised: StartSupervised) -> None:
    process = supervised(IGNORES_SIGTERM, "time.sleep(600)")
    tree = process_tree(process)
    assert len(tree) == 3 + OWN
    assert process.stdin is not None
    process.stdin.close()
    assert gone(tree)
    assert process.wait(20) != 0


def test_a_program_may_end_by_itself_after_the_pipe_closes(supervised: StartSupervised) -> None:
    process = supervised("import sys", "sys.stdin.read()", "print('goodbye')", "sys.exit(4)")
    assert process.communicate(b"", timeout=20)[0] == b"goodbye\n"
    assert process.returncode == 4


def test_terminating_the_supervisor_ends_the_program(supervised: StartSupervised) -> None:
    process = supervised("import time", "print('ready', flush=True)", "time.sleep(600)")
    tree = process_tree(process)
    assert len(tree) == 1 + OWN
    process.terminate()
    assert gone(tree)


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_killing_the_supervisor_kills_the_program(supervised: StartSupervised) -> None:
    process = supervised("import time", "print('ready', flush=True)", "time.sleep(600)")
    tree = process_tree(process)
    assert len(tree) == 1 + OWN
    process.kill()
    assert gone(tree)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
@pytest.mark.parametrize("killed", ["outer", "inner"])
def test_killing_a_process_of_the_supervisor_leaves_nothing(
    supervised: StartSupervised, killed: str
) -> None:
    """Also programs in sessions of their own, which ignore SIGTERM, end."""
    process = supervised(IGNORES_SIGTERM, "time.sleep(600)")
    tree = process_tree(process)
    assert len(tree) == 3 + OWN
    if killed == "outer":
        process.kill()
    else:
        psutil.Process(process.pid).children()[0].kill()
    assert gone(tree)
    assert process.wait(20) != 0


FIRST_THREAD_ENDS = """
import ctypes, subprocess, sys, threading, time
threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_process_whose_first_thread_ended_still_has_children() -> None:
    """A killed process of several threads passes through this state."""
    program = [sys.executable, "-c", FIRST_THREAD_ENDS]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        try:
            poll(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
            assert child.pid in process_supervisor._descendants(os.getpid())
        finally:
            child.kill()
            process.kill()


def test_killing_the_parent_of_the_supervisor_kills_everything(supervised: StartSupervised) -> None:
    """The parent of the supervisor holds the pipe and is killed by SIGKILL."""
    parent_code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)\n"
        "time.sleep(600)"
    )
    process = supervised(IGNORES_SIGTERM, "time.sleep(600)", parent_code=parent_code)
    tree = process_tree(process)
    assert len(tree) == 4 + OWN
    process.kill()
    assert gone(tree)
