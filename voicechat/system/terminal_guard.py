"""A guardian process that restores the terminal, however the app ends.

A full-screen program that is killed leaves the terminal raw, on the alternate screen, with mouse
reports on. Before anything heavy is imported, `guard()` forks: the parent keeps the terminal's
settings and waits, the child becomes the app. (`child_process` does not fit: it starts programs,
and this fork must keep the terminal and the process group.)

    the child ends or is killed   the parent restores the terminal, exits with the child's code
                                  (128 + signal when it was killed)
    the parent gets a signal      it passes the signal on and continues to wait; a child that a
                                  signal should end is killed after `END_S`
    the terminal closes           the same as SIGHUP
    the parent is killed          the child sees its pipe close, restores and ends
    the child stops (Ctrl-Z)      the parent stops too, so that the shell sees one job

Without `os.fork` and `termios`, `guard()` does nothing.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading

from voicechat.system.child_main import when_closed

if sys.platform != "win32":
    import termios

_RESTORE = (
    b"\x1b[?2026l"  # show what a synchronised update held back
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # mouse reports
    b"\x1b[?1004l\x1b[?2004l\x1b[?2048l"  # focus, bracketed paste, in-band resize
    b"\x1b[<u"  # the keyboard protocol, before leaving the screen that owns it
    b"\x1b[23;2t"  # the title of the window that the app replaced
    b"\x1b[?7h\x1b[?25h\x1b[0m\x1b[?1049l\x1b[?25h"  # wrap, cursor, colors, main screen
)
_FORWARDED_SIGNALS = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT", "SIGTSTP", "SIGUSR1", "SIGUSR2")
_ENDING_SIGNALS = ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGINT")
_ORDINARY_SIGNALS = {"SIGTERM", "SIGHUP", "SIGINT", "SIGPIPE"}
"""Signals that end a program without an explanation."""

END_S = 5.0
"""Seconds for the app to end after a signal that should end it, whatever its threads do."""

_WRITE_S = 1.0
"""Seconds to wait for a terminal that takes no output."""


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
    watched = {getattr(signal, name) for name in (*_FORWARDED_SIGNALS, "SIGCHLD", "SIGALRM")}
    lifeline, lifeline_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # The guardian takes its signals with `sigwait` only.
    previous_mask = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    child = os.fork()
    if child == 0:
        os.close(lifeline_write)
        signal.pthread_sigmask(signal.SIG_SETMASK, previous_mask)
        when_closed(lifeline, lambda: _restore_and_exit(terminal, original_settings))
        return
    code = 1
    try:
        os.close(lifeline)
        # With the default disposition the signal may be discarded even during `sigwait`.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        # Restoring from the background must not stop the guardian.
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        threading.Thread(target=_watch_terminal, args=(terminal,), daemon=True).start()
        status = _wait_for_child(child, terminal, original_settings, watched)
        restore(terminal, original_settings)
        code = _report_exit(status)
    finally:
        os._exit(code)


if sys.platform != "win32":

    def _forward_signal(child: int, number: int, terminal: int) -> None:
        if number == signal.SIGINT and _sends_signals(terminal):
            return  # typed at the keyboard: the terminal gave it to both processes already
        try:
            os.kill(child, number)
        except ProcessLookupError:
            return

    def _watch_terminal(terminal: int) -> None:
        """Send SIGHUP when the terminal closes: a shell that disowned the app sends none."""
        poll = select.poll()
        poll.register(terminal, 0)
        if any(event & select.POLLHUP for _, event in poll.poll()):
            os.kill(os.getpid(), signal.SIGHUP)

    def _sends_signals(terminal: int) -> bool:
        try:
            return bool(termios.tcgetattr(terminal)[3] & termios.ISIG)
        except termios.error:
            return False

    def _wait_for_child(
        child: int, terminal: int, original_settings: list[object], watched: set[int]
    ) -> int:
        """Wait for the child to end; return its `waitpid` status.

        A child that is killed because it did not end has the status of the signal that it got.
        """
        ending = 0
        while True:
            number = signal.sigwait(watched)
            if number == signal.SIGALRM:
                os.kill(child, signal.SIGKILL)
                continue
            if number != signal.SIGCHLD:
                _forward_signal(child, number, terminal)
                if not ending and signal.Signals(number).name in _ENDING_SIGNALS:
                    ending = number
                    signal.setitimer(signal.ITIMER_REAL, END_S)
                continue
            ended, status = os.waitpid(child, os.WUNTRACED | os.WNOHANG)
            if ended and os.WIFSTOPPED(status):
                restore(terminal, original_settings)
                os.kill(os.getpid(), signal.SIGSTOP)
                ended, status = os.waitpid(child, os.WCONTINUED | os.WNOHANG)
                if not ended:
                    os.kill(child, signal.SIGCONT)
            if ended and (os.WIFEXITED(status) or os.WIFSIGNALED(status)):
                is_killed = ending and status == signal.SIGKILL
                return ending if is_killed else status

    def _report_exit(status: int) -> int:
        """Return the exit code for the shell, and report an unusual end."""
        if os.WIFEXITED(status):
            return os.WEXITSTATUS(status)
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if name not in _ORDINARY_SIGNALS:
            os.write(2, f"voicechat: The program was killed by {name}.\n".encode())
        return 128 + number

    def _restore_and_exit(terminal: int, original_settings: list[object]) -> None:
        """Restore the terminal and end, after the guardian was killed."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        restore(terminal, original_settings)
        os._exit(128 + signal.SIGTERM)

    def restore(terminal: int, original_settings: list[object]) -> None:
        """Restore the terminal's settings, if they changed."""
        try:
            if termios.tcgetattr(terminal) == original_settings:
                return
            termios.tcflow(terminal, termios.TCOON)
            termios.tcsetattr(terminal, termios.TCSANOW, original_settings)  # type: ignore[arg-type]
            if select.select((), (terminal,), (), _WRITE_S)[1]:
                os.write(terminal, _RESTORE)
            termios.tcflush(terminal, termios.TCIFLUSH)
        except (OSError, termios.error):
            return  # the terminal itself is gone
