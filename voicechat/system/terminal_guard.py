"""A guardian process that restores the terminal, however the app ends.

A full-screen program that is killed leaves the terminal raw, on the alternate screen, with mouse
reports on. Before anything heavy is imported, `guard()` forks: the parent becomes the guardian
(`terminal_guardian.py`), the child becomes the app. (`child_process` does not fit: it starts
programs, and this fork must keep the terminal and the process group.)

Without `os.fork` and `termios`, `guard()` does nothing.
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
from contextlib import suppress

from voicechat.system import terminal_guardian
from voicechat.system.child_main import when_closed
from voicechat.system.secret_variables import holds_secret

if sys.platform != "win32":
    import termios

END_S = 5.0
"""Seconds for the app to end after a signal that should end it, whatever its threads do."""


def is_dumb() -> bool:
    """Return True when the terminal cannot move its cursor: only line mode works there."""
    return os.name == "posix" and os.environ.get("TERM", "") in {"", "dumb", "unknown"}


def has_job_control() -> bool:
    """Return True when a shell above this process can continue it after a stop."""
    return os.name == "posix" and os.getpgrp() != os.getsid(0)


def guard() -> None:
    """Fork: return in the guarded child process; the calling process never returns.

    Call it once, in the main thread, before other threads run and before the screen opens.
    Standard input and output must be a terminal.
    """
    if sys.platform == "win32":
        return
    terminal = sys.stdout.fileno()
    try:
        original_settings = termios.tcgetattr(terminal)
    except termios.error:
        return
    lifeline, lifeline_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # An ignored SIGCHLD would stay ignored in the program of the guardian, and take the exit code.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    previous_mask = terminal_guardian.block_signals()
    child = os.fork()
    if child == 0:
        os.close(lifeline_write)
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
        when_closed(lifeline, lambda: _restore_and_exit(terminal, original_settings))
        return
    try:
        os.close(lifeline)
        _become_guardian(lifeline_write, child, terminal, original_settings)
    finally:
        os._exit(1)


if sys.platform != "win32":

    def _become_guardian(
        lifeline: int, child: int, terminal: int, original_settings: list[object]
    ) -> None:
        """Go on as the program of the guardian, which needs a third of the memory.

        It gets no secrets: the environment with which a program began can be read.
        """
        program, settings = terminal_guardian.__file__, marshal.dumps(original_settings).hex()
        if sys.executable and os.path.isfile(program):  # both are missing in a frozen program
            words = [sys.executable, "-P", "-s", "-S", program, str(child), str(terminal)]
            for descriptor in (lifeline, terminal):
                os.set_inheritable(descriptor, True)
            with suppress(OSError):
                os.execve(words[0], [*words, str(END_S), settings], _environment())
        terminal_guardian.guard(child, terminal, END_S, original_settings)

    def _environment() -> dict[str, str]:
        """Return what the system and Python need to start a program."""
        return {
            name: value
            for name, value in os.environ.items()
            if not holds_secret(name, value)
            and (name == "PYTHONHOME" or not name.startswith("PYTHON"))
        }

    def _restore_and_exit(terminal: int, original_settings: list[object]) -> None:
        """Restore the terminal and end, after the guardian was killed."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        terminal_guardian.restore(terminal, original_settings)
        os._exit(128 + signal.SIGTERM)
