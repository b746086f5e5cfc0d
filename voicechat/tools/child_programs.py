"""Programs that tools start: each below `process_keeper.py`, so that nothing of it stays behind.

The keeper's standard input is a pipe that is never written by `run`; when it closes, also because
this process was killed, the keeper kills the program and everything that it started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicechat.tools.registry import ToolError

FLOOD = 16 * 1024 * 1024
"""Bytes a program may print; then it is stopped."""

_PIECE = 65_536
_STOP_S = 2.5
_KEPT_VARIABLES = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "TEMP",
        "TMP",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "DBUS_SESSION_BUS_ADDRESS",
        "SYSTEMROOT",
        "SYSTEMDRIVE",
        "COMSPEC",
        "PATHEXT",
        "WINDIR",
        "APPDATA",
        "LOCALAPPDATA",
        "USERPROFILE",
        "PROGRAMFILES",
        "PROGRAMDATA",
    ]
)


def plain_environment() -> dict[str, str]:
    """What a program needs to find its way, and nothing that may be a secret."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _KEPT_VARIABLES or name.startswith(("LC_", "XDG_"))
    }
    return {**kept, "TERM": "dumb"}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code, the first of what it printed, and how much more."""

    code: int
    printed: bytes
    more: int = 0
    flooded: bool = False


async def start(
    command: Sequence[str],
    env: Mapping[str, str],
    cwd: Path | None = None,
    stderr: int = asyncio.subprocess.STDOUT,
    limit: int = _PIECE,
) -> asyncio.subprocess.Process:
    """Start a program; call `stop` when it is not wanted any more.

    Its standard input is the pipe that keeps it alive. Raises `ToolError` when it cannot start.
    """
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        apart = {"creationflags": flags}
    else:
        keeper = str(Path(__file__).with_name("process_keeper.py"))
        command = (sys.executable, "-I", "-S", keeper, *command)
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env=dict(env),
            cwd=cwd,
            limit=limit,
            **apart,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ToolError(f"It could not be started: {reason}.") from None


async def stop(child: asyncio.subprocess.Process) -> None:
    """End the program and all it started, within two seconds. Goes on when it is cancelled."""
    ending = asyncio.ensure_future(_end(child))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await asyncio.wait({ending}, timeout=_STOP_S)
        raise


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        await _ask_to_end(child)
    if child.stdin is not None:
        child.stdin.close()
    try:
        async with asyncio.timeout(_STOP_S):
            await asyncio.gather(*map(_drain, (child.stdout, child.stderr)))
            await child.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            child.kill()


async def _drain(pipe: asyncio.StreamReader | None) -> None:
    """Read to the end, which a pipe that nobody reads never comes to."""
    while pipe is not None and await pipe.read(_PIECE):
        pass


async def _ask_to_end(child: asyncio.subprocess.Process) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        return
    killer = await asyncio.create_subprocess_exec(
        "taskkill", "/F", "/T", "/PID", str(child.pid),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    await killer.wait()


async def run(
    command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None, limit: int = _PIECE
) -> Ended:
    """Run a program to its end, keeping the first `limit` bytes of what it prints.

    However this is left, also cancelled, nothing of the program runs afterwards.
    """
    child = await start(command, env, cwd)
    assert child.stdout is not None
    printed, size = bytearray(), 0
    try:
        while size < FLOOD and (piece := await child.stdout.read(_PIECE)):
            printed += piece[: max(0, limit - len(printed))]
            size += len(piece)
        if size < FLOOD:
            await child.wait()
    finally:
        await stop(child)
    code = -1 if child.returncode is None else child.returncode
    return Ended(code, bytes(printed), size - len(printed), size >= FLOOD)
