"""A program of the user that takes the terminal for a while, such as an editor.

(`child_process` does not fit: its children have neither the terminal nor its keys.) On POSIX, the
program runs in a process group of its own in the foreground, so that Ctrl-C in it does not reach
the app and its guardian. It cannot be suspended, because there is no shell to return to.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence

END_S = 1.0
"""Seconds for the program to end after a signal, before it is killed."""


class ForegroundProgram:
    """A program that runs with the terminal. Call `start`, then `wait` on a thread."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = list(command)
        self._environment = dict(environment)
        self._child: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._code = 0

    def run(self) -> int:
        """Run to the end; return the exit code, or minus the number of the signal that ended it.

        Raises `OSError` if the program cannot start.
        """
        with _foreground_kept():
            group = {} if sys.platform == "win32" else {"process_group": 0}
            self._child = subprocess.Popen(self._command, env=self._environment, **group)  # type: ignore[call-overload]
            try:
                return _wait(self._child)
            finally:
                self._ended.set()

    def stop(self) -> None:
        """End the program within about `END_S`; safe to call at any time, on any thread."""
        child = self._child
        if child is None or self._ended.is_set():
            return
        with contextlib.suppress(OSError):
            child.terminate()
        if not self._ended.wait(END_S):
            with contextlib.suppress(OSError):
                child.kill()


if sys.platform == "win32":

    @contextlib.contextmanager
    def _foreground_kept() -> Iterator[None]:
        yield

    def _wait(child: subprocess.Popen[bytes]) -> int:
        return child.wait()

else:

    @contextlib.contextmanager
    def _foreground_kept() -> Iterator[None]:
        """Give the foreground of the terminal back to this process group at the end."""
        # A background process that changes the foreground is stopped by SIGTTOU otherwise.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            yield
        finally:
            _set_foreground(os.getpgrp())
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _wait(child: subprocess.Popen[bytes]) -> int:
        """Wait for the end; a program that stops, such as before it has the terminal, goes on."""
        _set_foreground(child.pid)
        while True:
            _, status = os.waitpid(child.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                child.returncode = os.waitstatus_to_exitcode(status)
                return child.returncode
            _set_foreground(child.pid)
            os.killpg(child.pid, signal.SIGCONT)

    def _set_foreground(group: int) -> None:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(0, group)
