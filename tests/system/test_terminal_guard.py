"""The guardian restores the terminal, keeps the exit code and leaves no process behind."""

from __future__ import annotations

import os
import pty
import signal
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pexpect
import psutil
import pytest
from on_terminal import new_terminal_settings

from voicechat.system import terminal_guard, terminal_guardian

APP = """
import os, sys, termios, tty
from voicechat.system import terminal_guard
mode = sys.argv[1]
if mode == "blocked":
    import signal
    terminal_guard.END_S = 0.2
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
if mode == "frozen":
    sys.executable = "/no/python"
if mode == "silent":
    os.close(2)
print("guardian", os.getpid(), flush=True)
terminal_guard.guard()
if mode == "killed":
    os.kill(os.getpid(), 9)
tty.setraw(0, termios.TCSANOW)
os.write(1, b"\\x1b[?1049h\\x1b[?1003h\\x1b[?25lapp %d.\\r\\n" % os.getpid())
if mode in {"wait", "blocked", "frozen", "silent"}:
    import time
    time.sleep(600)
elif mode == "raise":
    raise RuntimeError("planted")
elif mode == "clean":
    termios.tcsetattr(0, termios.TCSANOW, termios.tcgetattr(0))
    sys.exit(42)
elif mode == "stop":
    import signal, time
    os.kill(os.getpid(), signal.SIGSTOP)
    os.write(1, b"resumed\\r\\n")
    time.sleep(600)
"""


class Run:
    """The app under its guardian, as a child of a shell on a new terminal."""

    def __init__(self, folder: Path, mode: str, shell: str = "") -> None:
        script = folder / "app.py"
        script.write_text(APP, encoding="utf-8")
        words = [sys.executable, str(script), mode]
        if shell:
            words = ["sh", "-c", shell.format(" ".join(words))]
        self.original_settings = new_terminal_settings()
        self.child = pexpect.spawn(words[0], words[1:], timeout=20)
        self.child.expect(rb"guardian (\d+)")
        self.guardian = int(self.child.match[1])
        self.child.expect(rb"app (\d+)\.")
        self.app = int(self.child.match[1])

    def end(self) -> int:
        """Return the output until the end, and the exit code."""
        self.child.expect(pexpect.EOF)
        self.output = self.child.before
        self.child.wait()
        return self.child.exitstatus if self.child.signalstatus is None else -1

    def is_restored(self) -> bool:
        return termios.tcgetattr(self.child.child_fd) == self.original_settings


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[object]:
    runs: list[Run] = []

    def make(mode: str, shell: str = "") -> Run:
        runs.append(Run(tmp_path, mode, shell))
        return runs[-1]

    yield make
    for run in runs:
        run.child.close(force=True)


def wait_for(condition, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


SIGNALS = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT", "SIGABRT", "SIGSEGV", "SIGKILL"]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_killed_app_restores_the_terminal(spawn, name: str) -> None:
    run = spawn("wait")
    assert not run.is_restored()
    os.kill(run.app, getattr(signal, name))
    assert wait_for(run.is_restored)
    code = run.end()
    assert code == 128 + getattr(signal, name)
    assert b"\x1b[?1049l" in run.output
    assert b"\x1b[?1003l" in run.output
    is_reported = b"was killed by " + name.encode() in run.output
    assert is_reported == (name in {"SIGQUIT", "SIGABRT", "SIGSEGV", "SIGKILL"})


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT"])
def test_a_terminated_guardian_ends_the_app(spawn, name: str) -> None:
    run = spawn("wait")
    os.kill(run.guardian, getattr(signal, name))
    assert run.end() == 128 + getattr(signal, name)
    assert b"\x1b[?1049l" in run.output
    assert run.is_restored()
    assert not psutil.pid_exists(run.app)


def test_the_guardian_is_a_program_without_packages_and_keys(
    spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_SDK_KEY", "sk-planted")
    monkeypatch.setenv("PLANTED", "1")
    guardian = psutil.Process(spawn("wait").guardian)
    assert wait_for(lambda: terminal_guardian.__file__ in guardian.cmdline())
    assert "-S" in guardian.cmdline()
    environment = guardian.environ()
    assert environment["PLANTED"] == "1"
    assert "LD_SDK_KEY" not in environment


def test_it_finds_the_python_that_the_program_found(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "PYTHONPATH", "NIX_LD", "OPENAI_API_KEY", "PROXY"):
        monkeypatch.setenv(name, "http://me:pass@host" if name == "PROXY" else "/planted")
    environment = terminal_guard._environment()
    assert environment["PYTHONHOME"] == environment["NIX_LD"] == "/planted"
    assert not {"PYTHONPATH", "OPENAI_API_KEY", "PROXY"} & set(environment)


def test_an_app_that_is_killed_at_once_is_reported_whatever_its_parent_ignores(
    tmp_path: Path,
) -> None:
    script = tmp_path / "app.py"
    script.write_text(APP, encoding="utf-8")
    child = pexpect.spawn(
        sys.executable,
        [str(script), "killed"],
        timeout=20,
        preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN),
    )
    child.expect(rb"was killed by SIGKILL")
    child.expect(pexpect.EOF)
    child.wait()
    assert child.exitstatus == 137


def test_a_killed_app_has_its_exit_code_without_standard_error(spawn) -> None:
    run = spawn("silent")
    os.kill(run.app, signal.SIGKILL)
    assert run.end() == 137
    assert run.is_restored()


def test_a_terminal_is_guarded_where_that_program_is_missing(spawn) -> None:
    run = spawn("frozen")
    os.kill(run.app, signal.SIGTERM)
    assert run.end() == 128 + signal.SIGTERM
    assert run.is_restored()


def test_an_app_that_ignores_the_signal_is_killed(spawn) -> None:
    run = spawn("blocked")
    os.kill(run.guardian, signal.SIGTERM)
    assert run.end() == 128 + signal.SIGTERM
    assert run.is_restored()
    assert b"was killed" not in run.output


def test_a_killed_guardian_ends_the_app(spawn) -> None:
    run = spawn("wait", shell="{}; exec sleep 600")
    os.kill(run.guardian, signal.SIGKILL)
    assert wait_for(lambda: not psutil.pid_exists(run.app) or _is_zombie(run.app))
    assert wait_for(run.is_restored)
    run.child.expect(rb"\x1b\[\?1049l")


def _is_zombie(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_an_exception_and_an_exit_code_pass_through(spawn) -> None:
    run = spawn("raise")
    assert run.end() == 1
    assert b"RuntimeError: planted" in run.output
    assert b"\x1b[?1049l" in run.output
    assert spawn("clean").end() == 42


@pytest.mark.parametrize(
    ("mode", "shell"),
    [("wait", ""), ("blocked", ""), ("wait", "setsid {}; exit"), ("blocked", "setsid {}; exit")],
    ids=["idle", "blocked", "idle-without-hangup-signal", "blocked-without-hangup-signal"],
)
def test_closing_the_terminal_ends_both_processes(spawn, mode: str, shell: str) -> None:
    run = spawn(mode, shell)
    processes = [psutil.Process(pid) for pid in {run.app, run.guardian, run.child.pid}]
    run.child.ptyproc.fileobj.close()
    run.child.ptyproc.closed = run.child.closed = True
    _, left = psutil.wait_procs(processes, timeout=10)
    assert not left
    run.child.ptyproc.terminated = run.child.terminated = True


def test_stopping_gives_the_shell_one_job(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(APP, encoding="utf-8")
    shell = pexpect.spawn("bash", ["--norc", "--noprofile", "-i"], timeout=20, echo=False)
    shell.sendline(f"PS1=prompt'> '; {sys.executable} {script} stop")
    shell.expect(rb"app (\d+)\.")
    app = int(shell.match[1])
    shell.expect_exact("\x1b[?1049l")
    shell.expect(rb"Stopped")
    shell.expect("prompt> ")
    shell.sendline("fg")
    shell.expect("resumed")
    os.kill(app, signal.SIGTERM)
    shell.expect("prompt> ")
    shell.sendline("echo code $?")
    shell.expect(r"code (\d+)")
    assert int(shell.match[1]) == 128 + signal.SIGTERM
    shell.close(force=True)


def test_nothing_is_written_to_an_unchanged_terminal() -> None:
    controller, terminal = pty.openpty()
    try:
        original_settings = termios.tcgetattr(terminal)
        terminal_guardian.restore(terminal, original_settings)
        os.set_blocking(controller, False)
        with pytest.raises(BlockingIOError):
            os.read(controller, 100)
    finally:
        os.close(controller)
        os.close(terminal)
    terminal_guardian.restore(terminal, original_settings)  # a closed terminal is not an error


def test_a_terminal_that_takes_no_output_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_guardian, "_WRITE_S", 0.01)
    controller, terminal = pty.openpty()
    original_settings = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        os.set_blocking(terminal, False)
        with suppress(BlockingIOError):
            while True:
                os.write(terminal, b"unread" * 1000)
        os.set_blocking(terminal, True)
        call = threading.Thread(
            target=terminal_guardian.restore, args=(terminal, original_settings), daemon=True
        )
        call.start()
        call.join(10)
        assert not call.is_alive()
        assert termios.tcgetattr(terminal) == original_settings
    finally:
        os.close(controller)
        os.close(terminal)
