"""Runs one program and kills everything that it leaves running.

    python -I -S process_supervisor.py COMMAND [ARGUMENT...]

Standard input is a pipe (or socket) from the process that wants the program. The program inherits
it and both outputs. When the program ends, the supervisor kills what it left running and ends with
its exit code. When the other end of the pipe closes, also by `kill -9`, the program has time to end
by itself, then gets SIGTERM, then is killed with its whole tree. On Linux the tree includes
processes that moved to sessions of their own; elsewhere it is the program's process group. SIGTERM
to the supervisor skips the first wait.

On Linux the supervisor is two processes, so that the tree also ends when one of them is killed: the
inner one, which is the parent of the program, and the outer one, to which orphans fall. Other
programs can read the memory and the environment of neither.

Standard library only, and no import of voicechat: it starts by its path, in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

GRACE_S = 0.6
"""Seconds for the program to end by itself after the pipe closes."""

TERM_S = 0.4
"""Seconds for the program to end after SIGTERM."""

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36


def main(command: list[str]) -> int:
    """Run the command; returns its exit code, 128 + signal, or 127 when it cannot start."""
    control = _control()
    control(_PR_SET_DUMPABLE, 0)
    if not sys.platform.startswith("linux"):
        return _supervise(command, control)
    control(_PR_SET_CHILD_SUBREAPER, 1)
    outer = os.getpid()
    inner = os.fork()
    if inner:
        return _guard(inner)
    control(_PR_SET_PDEATHSIG, signal.SIGTERM)
    return _supervise(command, control) if os.getppid() == outer else 1


def _guard(inner: int) -> int:
    """Wait for the inner process, then kill what is left; returns its exit code."""

    def forward(number: int, _: object) -> None:
        with contextlib.suppress(OSError):
            os.kill(inner, number)

    signal.signal(signal.SIGTERM, forward)
    for descriptor in range(3):
        os.close(descriptor)
    code = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
    _kill_descendants()
    return code if code >= 0 else 128 - code


def _supervise(command: list[str], control: Callable[[int, int], None]) -> int:
    """Run the command, and kill its tree when it or this process has to end."""
    wakeup_read, wakeup_write = os.pipe()
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    control(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        child = subprocess.Popen(
            command,
            start_new_session=True,
            close_fds=True,
            # Only the supervisor's own end may kill it: there is one thread, so this is its parent.
            preexec_fn=lambda: control(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{command[0]}: {getattr(error, 'strerror', None) or error}\n")
        return 127
    for descriptor in (1, 2):
        os.close(descriptor)  # the last writer of both is the program
    with contextlib.suppress(KeyboardInterrupt):
        _wait_for_end(child, wakeup_read)
    _kill_descendants(child)
    code = child.wait()
    return code if code >= 0 else 128 - code


def _control() -> Callable[[int, int], None]:
    """`prctl` where there is one. Looked up before the fork: no lock is taken in the child."""
    if not sys.platform.startswith("linux"):
        return lambda option, value: None
    import ctypes

    prctl = ctypes.CDLL(None).prctl

    def control(option: int, value: int) -> None:
        prctl(option, value)

    return control


def _wait_for_end(child: subprocess.Popen[bytes], wakeup_read: int) -> None:
    """Wait for the program to end, or for its grace periods to pass."""
    poll = select.poll()
    poll.register(wakeup_read, select.POLLIN)
    poll.register(0, getattr(select, "POLLRDHUP", 0))
    terminated = False
    while child.poll() is None:
        ready = dict(poll.poll(1000))
        if wakeup_read in ready:
            terminated = signal.SIGTERM in os.read(wakeup_read, 4096)
        if terminated or 0 in ready:
            break
    if not terminated:
        _wait(child, GRACE_S)
    if child.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGTERM)
        _wait(child, TERM_S)


def _wait(child: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(seconds)


def _kill_descendants(program: subprocess.Popen[bytes] | None = None) -> None:
    """Kill the program's group, and on Linux every descendant wherever it went."""
    deadline = time.monotonic() + 1.0
    while True:
        if program is not None:
            with contextlib.suppress(OSError):
                os.killpg(program.pid, signal.SIGKILL)
        descendants = list(_descendants(os.getpid()))
        for number in descendants:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        if program is not None:
            program.poll()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not descendants or time.monotonic() > deadline:
            return
        time.sleep(0.005)


def _descendants(ancestor: int) -> Iterator[int]:
    """Yield live descendants; orphans become children of this process, which is a subreaper.

    A process whose first thread has ended is a zombie, but keeps its children until the last ends.
    """
    processes = list(_processes())
    found = {ancestor}
    while children := [each for each in processes if each[1] in found and each[0] not in found]:
        yield from (child for child, _, is_live in children if is_live)
        found.update(child for child, _, _ in children)


def _processes() -> Iterator[tuple[int, int, bool]]:
    """Yield (process, parent, is live) of each process in /proc; nothing on other systems."""
    if not sys.platform.startswith("linux"):
        return
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{name}/stat", "rb") as file:
            state, parent = file.read().rpartition(b")")[2].split()[:2]
            yield int(name), int(parent), state not in {b"Z", b"X"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
