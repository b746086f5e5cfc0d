"""Child processes: their command, environment and session, and how they end.

The child's half is `child_main.py`. Every child has a session of its own, so that Ctrl-C at the
keyboard reaches only the app. A module of this package (`module_command`) ends when its input
closes, which also happens when this process is killed. Any other program (`supervised_command`)
runs below `process_supervisor.py`, which kills everything that it started.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicechat.system import process_sandbox
from voicechat.system.secret_variables import is_secret, open_environment

if TYPE_CHECKING:
    import asyncio  # loaded by the coroutines only: the audio process has no use for it

GRACE_S = (0.5, 0.3, 0.2)
"""Seconds to end after the closing of standard input, after `terminate`, after `kill`."""

_TREE_END_S = 2.5
"""Seconds for a process supervisor to kill a tree; it needs at most about 1.2."""

_PIECE = 65_536


def module_command(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module; nothing is imported from the working directory."""
    return (sys.executable, "-P", "-m", module, *arguments)


def supervised_command(command: Sequence[str]) -> tuple[str, ...]:
    """The command that runs a program below the process supervisor, where there is one."""
    if sys.platform == "win32":
        return tuple(command)
    supervisor = str(Path(__file__).with_name("process_supervisor.py"))
    return (sys.executable, "-I", "-S", supervisor, *command)


def sandboxed_command(
    command: Sequence[str], access: process_sandbox.Access = "files"
) -> tuple[str, ...]:
    """The command that runs a program in the sandbox, where there is one."""
    if access == "all" or not process_sandbox.is_available():
        return tuple(command)
    return (sys.executable, "-I", "-S", process_sandbox.__file__, access, *command)


def module_environment(omit: Callable[[str], bool] = is_secret) -> dict[str, str]:
    """This environment without secrets, with this package on the import path.

    omit: returns True for a variable to leave out. Passwords of proxies are left out, too, and the
    import path does not contain the working directory.
    """
    kept = open_environment(omit)
    found = without_working_directory(kept.get("PYTHONPATH", "").split(os.pathsep))
    kept["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), *found])
    return kept


def without_working_directory(folders: Iterable[str]) -> list[str]:
    """Return these import folders without the working directory, which may be deleted."""
    found = [each for each in folders if each]
    try:
        here = Path.cwd().resolve()
    except OSError:
        return [each for each in found if Path(each).is_absolute()]
    return [each for each in found if Path(each).resolve() != here]


def own_session() -> dict[str, Any]:
    """Arguments for `subprocess` that give the child a session (on Windows a group) of its own."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return {"creationflags": flags}
    return {"start_new_session": True}


# ------------------------------------------------------------------------- with threads


def start_blocking(
    command: Sequence[str], env: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a module of this package with pipes for input and output; discard its errors.

    env: `module_environment()` by default. Raises OSError.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=module_environment() if env is None else env,
        **own_session(),
    )


def stop_blocking(child: subprocess.Popen[bytes], deadline: float) -> None:
    """Wait half of `deadline` seconds for the child to end, then terminate it, then kill it."""
    for share, act in ((0.5, child.terminate), (0.25, child.kill), (0.25, child.kill)):
        try:
            child.wait(deadline * share)
        except subprocess.TimeoutExpired:
            act()
        else:
            return


# ------------------------------------------------------------------------- with asyncio


async def start(
    command: Sequence[str],
    env: Mapping[str, str],
    cwd: Path | None = None,
    stderr: int = subprocess.PIPE,
    limit: int = _PIECE,
) -> asyncio.subprocess.Process:
    """Start a child with pipes for input and output.

    limit: bytes of one line of output. Raises OSError or ValueError.
    """
    import asyncio

    return await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=dict(env),
        cwd=cwd,
        limit=limit,
        **own_session(),
    )


async def stop(
    child: asyncio.subprocess.Process, grace: tuple[float, float, float] = GRACE_S
) -> None:
    """Close standard input, then terminate, then kill, waiting in between."""
    if child.stdin is not None:
        child.stdin.close()
    for ask, patience in zip((None, child.terminate, child.kill), grace, strict=True):
        with contextlib.suppress(ProcessLookupError):
            # A signal to a child that has ended takes its exit status away from asyncio.
            if ask is not None and runs(child):
                ask()
        if await ended(child, patience):
            return


async def stop_supervised(child: asyncio.subprocess.Process, patient: bool = False) -> None:
    """End a `supervised_command` and everything it started, within 2.5 s, even when cancelled.

    patient: the program first has 0.6 s to end by itself after its standard input closes.
    """
    import asyncio

    ending = asyncio.ensure_future(_end_supervised(child, patient))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await asyncio.wait({ending}, timeout=_TREE_END_S)
        raise


async def _end_supervised(child: asyncio.subprocess.Process, patient: bool) -> None:
    if not patient and child.returncode is None and sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
    if child.stdin is not None:
        child.stdin.close()
    if sys.platform == "win32" and not (patient and await ended(child, 0.6)):
        await _kill_tree_on_windows(child)
    if not await ended(child, _TREE_END_S):
        with contextlib.suppress(ProcessLookupError):
            child.kill()


async def _kill_tree_on_windows(child: asyncio.subprocess.Process) -> None:
    import asyncio

    nothing = subprocess.DEVNULL
    killer = await asyncio.create_subprocess_exec(
        "taskkill", "/F", "/T", "/PID", str(child.pid), stdout=nothing, stderr=nothing
    )
    await ended(killer, _TREE_END_S)


def runs(child: asyncio.subprocess.Process) -> bool:
    """Return True while a child runs, also before asyncio has noticed its end."""
    if child.returncode is not None:
        return False
    if sys.platform == "win32":
        return True
    try:
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, child.pid, how) is None
    except ChildProcessError:  # asyncio has taken its exit status
        return False


async def ended(child: asyncio.subprocess.Process, seconds: float) -> bool:
    """Wait for the child to end; False when it has not ended after that many seconds."""
    import asyncio

    try:
        async with asyncio.timeout(seconds):
            await child.wait()
    except TimeoutError:
        return False
    return True


async def drain(pipe: asyncio.StreamReader | None) -> None:
    """Read a pipe to its end and discard the data: a full pipe would never reach its end."""
    while pipe is not None and await pipe.read(_PIECE):
        pass


async def run_with_input(
    command: Sequence[str],
    input_bytes: bytes,
    env: Mapping[str, str],
    deadline: float,
    *,
    keep_output: bool = False,
) -> tuple[int, bytes]:
    """Run a program on some input; returns its exit code and its output.

    Without `keep_output` the output is discarded, and a process that it leaves running may stay.
    Raises OSError when it cannot start, TimeoutError after `deadline` seconds; it is killed then.
    """
    import asyncio

    nothing = subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE if keep_output else nothing,
        stderr=nothing,
        env=dict(env),
        **own_session(),
    )
    try:
        async with asyncio.timeout(deadline):
            output, _ = await child.communicate(input_bytes)
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    assert child.returncode is not None
    return child.returncode, output or b""
