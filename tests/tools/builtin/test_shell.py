"""Commands and the clipboard: real programs that leave nothing running."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from processes import descendants, gone, known

from voicechat.system import process_sandbox
from voicechat.tools.builtin import clipboard, shell
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import ToolContext

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are of a POSIX shell")


async def run(command: str, deadline: float = 20.0, **more: str) -> str:
    (tool,) = shell.tools(ToolContext())
    registry = Registry(replace(tool, deadline_s=deadline))
    return (await registry.run("run_command", json.dumps({"command": command, **more}))).output


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("uname", os.uname().sysname if sys.platform != "win32" else ""),
        ("echo 'a\"b' | tr a-z A-Z; echo c >&2", 'A"B\nc'),
        ("cat", "It finished and printed nothing."),
        ("exit 3", "[it ended with exit code 3]"),
        ("echo half; false", "half\n[it ended with exit code 1]"),
        ("no-such-program", "not found"),
        ("tty; : < /dev/tty", "not a tty"),
        ("printf '\\033[31mred\\377'", "\N{REPLACEMENT CHARACTER}[31mred"),
    ],
)
async def test_the_output_of_a_command_is_returned(command: str, said: str) -> None:
    assert said in await run(command)


async def test_a_command_gets_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "GITHUB_TOKEN", "DB_PASSWORD", "VOICECHAT_SERVE_TOKEN"):
        monkeypatch.setenv(name, "hush-hush")
    reported = await run("env; cat /proc/$PPID/environ 2>/dev/null | tr '\\0' '\\n'")
    assert "PATH=" in reported
    assert "hush" not in reported


needs_sandbox = pytest.mark.skipif(
    not process_sandbox.is_available(), reason="the kernel lacks Landlock 6 or seccomp"
)
SOCKET = f"{sys.executable} -c 'import socket; socket.socket(); print(1)'"


@needs_sandbox
async def test_a_command_has_the_network_and_other_programs_only_with_access() -> None:
    assert "PermissionError" in await run(SOCKET)
    assert await run(SOCKET, access="network") == "1"
    assert "ermitted" in await run(f"kill -0 {os.getpid()}")
    assert await run(f"kill -0 {os.getpid()} && echo yes", access="all") == "yes"
    assert "do not fit" in await run("true", access="everything")
    (tool,) = shell.tools(ToolContext())
    assert tool.remark.startswith("It runs in a sandbox (Landlock and seccomp) without network")


def test_a_system_without_the_sandbox_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_sandbox, "is_available", lambda: False)
    (tool,) = shell.tools(ToolContext())
    assert tool.remark == "There is no sandbox on this system: it may do what you may do."


@pytest.mark.skipif(sys.platform != "linux", reason="needs a child subreaper")
async def test_a_command_that_kills_its_supervisor_leaves_nothing(tmp_path: Path) -> None:
    before = descendants()
    marks = tmp_path / "marks"
    command = f"setsid sh -c 'echo $$ >> {marks}; kill -9 '$PPID'; exec sleep 600' & wait"
    assert "[it ended with exit code 137]" in await run(command, access="all")
    assert marks.exists()
    _none_left(before, marks)


async def test_long_output_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    reported = await run("head -c 300000 /dev/zero | tr '\\0' x")
    assert "[252000 more bytes were left out]" in reported
    monkeypatch.setattr("voicechat.tools.child_programs.MAX_PRINTED", 1_000_000)
    assert "printed too much and was stopped" in await run("yes")


@pytest.mark.parametrize(
    "command",
    [
        "sleep 600",
        "trap '' TERM HUP INT; echo $$ >> MARKS; sleep 600; sleep 600; sleep 600",
        "(setsid sh -c 'echo $$ >> MARKS; sleep 600' &) ; sleep 600",
        "for i in 1 2 3 4; do sh -c 'trap \"\" TERM; echo $$ >> MARKS; sleep 600' & done; wait",
    ],
)
async def test_the_process_tree_ends_at_the_deadline(command: str, tmp_path: Path) -> None:
    before = descendants()
    marks = tmp_path / "marks"
    reported = await run(command.replace("MARKS", str(marks)), deadline=3.0)
    assert "was stopped" in reported
    assert marks.exists() == ("MARKS" in command)
    _none_left(before, marks)


async def test_background_processes_end_with_the_command(tmp_path: Path) -> None:
    before = descendants()
    marks = tmp_path / "marks"
    reported = await run(f"sleep 600 & echo $! > {marks}; setsid sleep 600 & echo started")
    assert reported == "started"
    _none_left(before, marks)


async def test_a_cancelled_command_ends(tmp_path: Path) -> None:
    before = descendants()
    pipe, marks = tmp_path / "pipe", tmp_path / "marks"
    os.mkfifo(pipe)
    call = asyncio.create_task(run(f"trap '' TERM; echo $$ > {pipe}; sleep 600; sleep 600"))
    async with asyncio.timeout(20):
        marks.write_text(await asyncio.to_thread(pipe.read_text), "utf-8")
    assert psutil.pid_exists(int(marks.read_text("utf-8")))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    _none_left(before, marks)


def _none_left(before: set[psutil.Process], marks: Path) -> None:
    found = descendants() - before
    numbers = marks.read_text("utf-8").split() if marks.exists() else []
    assert gone(found | set(known(map(int, numbers))))


Write = Callable[[str, str], None]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write programs that come first on the search path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    def write(name: str, body: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{body}\n", "utf-8")
        (folder / name).chmod(0o700)

    return write


async def copy(tool: str, **arguments: object) -> str:
    registry = Registry(*clipboard.tools(ToolContext()))
    return (await registry.run(tool, json.dumps(arguments))).output


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the programs are those of Linux")
async def test_the_clipboard_is_written_and_read(programs: Write, tmp_path: Path) -> None:
    kept = tmp_path / "clipboard"
    # Like the real one it stays behind to serve what is pasted, holding its outputs open.
    programs("xclip", f'case "$*" in *-o*) cat {kept} ;; *) cat > {kept}; sleep 600 & ;; esac')
    before = descendants()
    assert await copy("write_clipboard", text="Grüße\n$(x)") == "It is on the clipboard."
    assert await copy("read_clipboard") == "Grüße\n$(x)"
    assert "too much" in await copy("write_clipboard", text="x" * 300_000)
    for left in descendants() - before:
        left.kill()
    await asyncio.to_thread(kept.write_bytes, b"x" * 5_000_000)
    assert "too much" in await copy("read_clipboard")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the programs are those of Linux")
async def test_a_missing_and_a_hanging_clipboard_are_reported(
    programs: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs("xclip", "exec sleep 600")
    with monkeypatch.context() as patch:
        patch.setattr(clipboard, "_WAIT_S", 0.3)
        assert "does not answer" in await copy("read_clipboard")
    programs("xclip", "exit 1")
    assert "could not be written" in await copy("write_clipboard", text="x")
    monkeypatch.setenv("PATH", "/nowhere")
    assert "There is no clipboard here" in await copy("read_clipboard")
