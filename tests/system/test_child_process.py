"""Child processes: they end with their parent, get no secrets and are stopped in time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from processes import gone

from voicechat.system import child_process
from voicechat.system.child_process import module_environment

IGNORES_SIGTERM = (
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True)"
)


def test_the_child_ends_when_its_parent_closes_the_pipe() -> None:
    code = (
        "import os, subprocess, sys\n"
        "held = os.pipe()\n"
        "inner = 'import time; from voicechat.system.child_main import when_closed;'"
        "' when_closed(0); time.sleep(60)'\n"
        "child = subprocess.Popen([sys.executable, '-c', inner], stdin=held[0])\n"
        "print(child.pid)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=True)
    # The output's end comes when the grandchild, which holds it too, is gone.
    assert int(done.stdout) > 0


def test_the_pipes_are_moved_off_the_standard_streams() -> None:
    code = (
        "import os, subprocess, sys\n"
        "from voicechat.system.child_main import take_pipes\n"
        "given, out = take_pipes()\n"
        "print('printed')\n"
        "subprocess.run(['cat'])\n"
        "out.write(given.readline().upper()); out.flush()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=b"hello\n", capture_output=True, timeout=30, check=True
    )
    assert done.stdout == b"HELLO\n"
    assert done.stderr.strip() == b"printed"


def test_children_receive_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = ("OPENAI_API_KEY", "HF_TOKEN", "TOKEN", "db_password", "AWS_SECRET_ACCESS_KEY")
    for name in secrets:
        monkeypatch.setenv(name, "hush")
    found = module_environment()
    assert not set(secrets) & found.keys()
    assert "hush" not in found.values()
    assert "PATH" in found


def test_the_working_directory_is_not_on_the_import_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), "", str(tmp_path / "more")]))
    paths = module_environment()["PYTHONPATH"].split(os.pathsep)
    assert paths[1:] == [str(tmp_path / "more")]
    assert (Path(paths[0]) / "voicechat").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
async def test_a_child_that_ignores_sigterm_is_killed() -> None:
    command = (sys.executable, "-c", f"{IGNORES_SIGTERM}\nwhile True: time.sleep(600)")
    child = await child_process.start(command, os.environ)
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    await child_process.stop(child, (0.05, 0.05, 5.0))
    assert child.returncode == -9


class Unnoticed:
    """A child whose end asyncio has not noticed yet."""

    returncode, stdin = None, None

    def __init__(self, pid: int) -> None:
        self.pid = pid

    async def wait(self) -> None:
        await asyncio.Event().wait()

    def terminate(self) -> None:
        pytest.fail("It has ended.")

    kill = terminate


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX processes")
def test_a_child_that_has_ended_gets_no_signal() -> None:
    """`Popen.send_signal` would take its exit status, which asyncio then misses and logs."""
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        asyncio.run(child_process.stop(Unnoticed(ended.pid), (0.0, 0.0, 0.0)))  # type: ignore[arg-type]


async def test_a_program_with_input_returns_code_and_output() -> None:
    code = "import sys; print(sys.stdin.read()[::-1]); sys.exit(3)"
    found = await child_process.run_with_input(
        (sys.executable, "-c", code), b"abc", os.environ, 20.0, keep_output=True
    )
    assert found == (3, b"cba\n")


async def test_a_program_that_exceeds_its_deadline_is_killed() -> None:
    before = set(psutil.Process().children())
    with pytest.raises(TimeoutError):
        await child_process.run_with_input(
            (sys.executable, "-c", "import time; time.sleep(600)"), b"", os.environ, 0.05
        )
    assert gone(set(psutil.Process().children()) - before)


@pytest.mark.skipif(sys.platform == "win32", reason="no process supervisor")
async def test_cancelling_the_stop_of_a_supervised_program_still_stops_it() -> None:
    command = child_process.supervised_command(
        (sys.executable, "-c", f"{IGNORES_SIGTERM}\ntime.sleep(600)")
    )
    child = await child_process.start(command, os.environ)
    assert child.stdout is not None
    assert await child.stdout.readline() == b"ready\n"
    tree = psutil.Process(child.pid).children(recursive=True)
    stopping = asyncio.create_task(child_process.stop_supervised(child, patient=True))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert tree
    assert gone(tree)
