"""The program that guards a terminal: it waits for the app and restores the terminal at its end.

    the child ends or is killed   the guardian restores the terminal, exits with the child's code
                                  (128 + signal when it was killed)
    the guardian gets a signal    it passes the signal on and continues to wait; a child that a
                                  signal should end is killed after some seconds
    the terminal closes           the same as SIGHUP
    the guardian is killed        the child sees its pipe close, restores and ends
    the child stops (Ctrl-Z)      the guardian stops too, so that the shell sees one job

It runs without packages and imports only a few modules, because it lives as long as the app.

    python -P -s -S terminal_guardian.py CHILD TERMINAL END_S SETTINGS

TERMINAL is a descriptor, SETTINGS its settings before the app: `marshal`, in hexadecimal.
"""

from __future__ import annotations

import _thread
import marshal
import os
import select
import signal
import sys

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

_WRITE_S = 1.0
"""Seconds to wait for a terminal that takes no output."""


if sys.platform != "win32":
    _WATCHED = {getattr(signal, name) for name in (*_FORWARDED_SIGNALS, "SIGCHLD", "SIGALRM")}

    def block_signals() -> set[signal.Signals]:
        """Block what the guardian takes with `sigwait` only; return what was blocked before."""
        return signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)  # type: ignore[return-value]

    def guard(child: int, terminal: int, end_s: float, original_settings: list[object]) -> None:
        """Wait for the child, restore the terminal and exit.

        end_s: seconds for the child to end after a signal that should end it.
        """
        code, status = 1, 0
        try:
            # With the default disposition the signal may be discarded even during `sigwait`.
            signal.signal(signal.SIGCHLD, lambda number, frame: None)
            # The child may have ended before, and its signal may be lost.
            os.kill(os.getpid(), signal.SIGCHLD)
            # Restoring from the background must not stop the guardian.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            _thread.start_new_thread(_watch_terminal, (terminal,))
            status = _wait_for_child(child, terminal, end_s, original_settings)
            is_killed = os.WIFSIGNALED(status)
            code = 128 + os.WTERMSIG(status) if is_killed else os.WEXITSTATUS(status)
        finally:
            restore(terminal, original_settings)
            _report(status)
            os._exit(code)

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
        child: int, terminal: int, end_s: float, original_settings: list[object]
    ) -> int:
        """Wait for the child to end; return its `waitpid` status.

        A child that is killed because it did not end has the status of the signal that it got.
        """
        ending = 0
        while True:
            number = signal.sigwait(_WATCHED)
            if number == signal.SIGALRM:
                os.kill(child, signal.SIGKILL)
                continue
            if number != signal.SIGCHLD:
                _forward_signal(child, number, terminal)
                if not ending and signal.Signals(number).name in _ENDING_SIGNALS:
                    ending = number
                    signal.setitimer(signal.ITIMER_REAL, end_s)
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

    def _report(status: int) -> None:
        """Report an unusual end, if standard error takes it."""
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        if os.WIFSIGNALED(status) and name not in _ORDINARY_SIGNALS:
            try:
                os.write(2, f"voicechat: The program was killed by {name}.\n".encode())
            except OSError:
                return

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

    if __name__ == "__main__":
        _child, _terminal, _end_s, _settings = sys.argv[1:]
        guard(int(_child), int(_terminal), float(_end_s), marshal.loads(bytes.fromhex(_settings)))
