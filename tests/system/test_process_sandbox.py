"""The sandbox of Linux: no network, no signals to other programs, and none of their memory."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest
from unprivileged import running, unprivileged

from voicechat.system import process_sandbox
from voicechat.system.child_process import sandboxed_command
from voicechat.system.process_sandbox import Access

needs_sandbox = pytest.mark.skipif(
    not process_sandbox.is_available(), reason="the kernel lacks Landlock 6 or seccomp"
)


def run(access: Access, command: str) -> subprocess.CompletedProcess[str]:
    """Run a shell command in the sandbox."""
    return subprocess.run(
        unprivileged(*sandboxed_command(("/bin/sh", "-c", command), access)),
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


SOCKETS = """
import socket
def kind(family):
    try:
        socket.socket(family).close()
    except OSError as error:
        return type(error).__name__
    return "open"
print(kind(socket.AF_UNIX), kind(socket.AF_INET), kind(socket.AF_INET6))
socket.socketpair()
"""


@needs_sandbox
@pytest.mark.parametrize(
    ("access", "said"),
    [
        ("files", "open PermissionError PermissionError"),
        ("network", "open open open"),
        ("all", "open open open"),
    ],
)
def test_sockets_of_the_network_need_access(access: Access, said: str) -> None:
    ended = subprocess.run(
        sandboxed_command((sys.executable, "-I", "-S", "-c", SOCKETS), access),
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert ended.stdout.strip() == said
    assert ended.returncode == 0


@needs_sandbox
@pytest.mark.parametrize("access", ["files", "network"])
def test_other_programs_are_out_of_reach(access: Access) -> None:
    with running("/bin/sleep", "600", env={"A_KEY": "hush"}) as other:
        found = run(access, f"kill {other.pid}; cat /proc/{other.pid}/environ")
        assert "hush" not in found.stdout
        assert found.stderr.count("ermi") == 2  # operation not permitted, permission denied
        assert other.poll() is None
        assert "hush" in run("all", f"cat /proc/{other.pid}/environ").stdout


@needs_sandbox
def test_a_command_may_signal_its_own_programs_and_write_files(tmp_path: Path) -> None:
    found = run("files", f"sleep 600 & kill $!; wait; echo done > {tmp_path}/file; exit 3")
    assert found.returncode == 3
    assert (tmp_path / "file").read_text("utf-8") == "done\n"


@needs_sandbox
def test_a_program_that_cannot_start_gives_an_error() -> None:
    ended = subprocess.run(
        sandboxed_command(("/no/such/program",)), capture_output=True, check=False, timeout=20
    )
    assert ended.returncode == process_sandbox.FAILED
    assert ended.stderr == b"/no/such/program: No such file or directory\n"


@needs_sandbox
def test_a_program_does_not_run_when_the_sandbox_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Library:
        def prctl(self, *arguments: int) -> int:
            ctypes.set_errno(1)
            return -1

    monkeypatch.setattr("ctypes.CDLL", lambda *arguments, **options: Library())
    assert process_sandbox.main("files", ["/bin/true"]) == process_sandbox.FAILED
    assert capsys.readouterr().err == "The sandbox cannot start: Operation not permitted.\n"


def test_the_description_says_which_sandbox_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_sandbox, "is_available", lambda: True)
    assert "Landlock and seccomp) without network" in process_sandbox.description("files")
    assert "Landlock and seccomp) with network" in process_sandbox.description("network")
    assert process_sandbox.description("all").startswith("It runs outside the sandbox")
    monkeypatch.setattr(process_sandbox, "is_available", lambda: False)
    assert process_sandbox.description("files").startswith("There is no sandbox on this system")
    assert sandboxed_command(("/bin/true",)) == ("/bin/true",)
