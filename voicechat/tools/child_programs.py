"""Programs that tools start; nothing that they start outlives them.

Each runs below the process supervisor, which kills the whole tree when this process closes the pipe
to it or is killed.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from voicechat.system import child_process
from voicechat.tools.registry import ToolError

MAX_PRINTED = 16 * 1024 * 1024
"""Bytes a program may print before it is stopped."""

_CHUNK = 65_536
_DRAIN_S = 0.5
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
    """Return the variables that a program needs, and none that may be a secret."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _KEPT_VARIABLES or name.startswith(("LC_", "XDG_"))
    }
    return {**kept, "TERM": "dumb"}


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """The end of a program: its exit code and its output."""

    code: int
    printed: bytes
    """The first bytes it printed."""
    more: int = 0
    """Bytes printed after those."""
    exceeded_limit: bool = False
    """It was stopped because it printed more than `MAX_PRINTED`."""


async def start(
    command: Sequence[str],
    env: Mapping[str, str],
    cwd: Path | None = None,
    stderr: int = asyncio.subprocess.STDOUT,
    limit: int = _CHUNK,
) -> asyncio.subprocess.Process:
    """Start a program below the process supervisor. Call `stop` at the end.

    Closing its standard input ends it. Raises `ToolError` when it cannot start.
    """
    try:
        command = child_process.supervised_command(command)
        return await child_process.start(command, env, cwd, stderr, limit)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ToolError(f"The program could not start: {reason}.") from None


async def stop(child: asyncio.subprocess.Process) -> None:
    """End the program and all it started, within three seconds, even when cancelled."""
    pipes = [
        asyncio.ensure_future(child_process.drain(pipe)) for pipe in (child.stdout, child.stderr)
    ]
    try:
        await child_process.stop_supervised(child)
        await asyncio.wait(pipes, timeout=_DRAIN_S)
    finally:
        for pipe in pipes:
            pipe.cancel()


async def run(
    command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None, limit: int = _CHUNK
) -> ProgramResult:
    """Run a program to its end and keep the first `limit` bytes of its output.

    Nothing of the program runs afterwards, even when this is cancelled.
    """
    child = await start(command, env, cwd)
    assert child.stdout is not None
    printed, size = bytearray(), 0
    try:
        while size < MAX_PRINTED and (piece := await child.stdout.read(_CHUNK)):
            printed += piece[: max(0, limit - len(printed))]
            size += len(piece)
        if size < MAX_PRINTED:
            await child.wait()
    finally:
        await stop(child)
    code = -1 if child.returncode is None else child.returncode
    return ProgramResult(code, bytes(printed), size - len(printed), size >= MAX_PRINTED)
