"""The whole program in a pseudo-terminal of its own, with the screen that a user would see."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil
import pyte
from ptyprocess import PtyProcess

_UNKNOWN_TO_PYTE = re.compile(rb"\x1b\[[<>=][0-9;]*u|\x1b\[\?[0-9]+\$p")


class OnTerminal:
    """`voicechat` on a screen of `columns` x `rows`.

    Its settings, history and caches are in `folder`, so the user's own files are neither read nor
    changed. End it with `close`.
    """

    def __init__(
        self,
        folder: Path,
        *words: str,
        columns: int = 80,
        rows: int = 24,
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "voicechat"),
    ) -> None:
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._changed = threading.Condition()
        self.raw = b""
        self.sane = new_terminal_settings()
        self.started = time.monotonic()
        self._pty = PtyProcess.spawn(
            [sys.executable, *program, *words],
            dimensions=(rows, columns),
            env=private_environment(folder) | dict(environ or {}),
        )
        self.guardian = psutil.Process(self._pty.pid)
        self._ended = False
        self._stop, self._stop_writer = os.pipe()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                readable, _, _ = select.select([self._pty.fd, self._stop], [], [])
                if self._stop in readable:
                    return
                piece = os.read(self._pty.fd, 65_536)
            except OSError:
                piece = b""
            with self._changed:
                self.raw += piece
                self._stream.feed(_UNKNOWN_TO_PYTE.sub(b"", piece))
                self._ended = not piece
                self._changed.notify_all()
            if not piece:
                return

    # ----------------------------------------------------------------- actions of the user

    def type(self, text: str) -> None:
        """Type a text; a newline is Enter."""
        os.write(self._pty.fd, text.replace("\n", "\r").encode())

    def resize(self, columns: int, rows: int, *, is_shown: bool = True) -> None:
        """Resize the window; without `is_shown`, only tell the program so."""
        if is_shown:
            with self._changed:
                self._screen.resize(rows, columns)
        self._pty.setwinsize(rows, columns)

    # ----------------------------------------------------------------- the screen of the user

    @property
    def text(self) -> str:
        """The lines of the screen."""
        with self._changed:
            return "\n".join(line.rstrip() for line in self._screen.display)

    def see(self, pattern: str, seconds: float = 20.0) -> re.Match[str]:
        """Wait until the screen matches; raises AssertionError with the screen at the deadline."""
        found = self.until(lambda: re.search(pattern, self.reading), seconds)
        assert found is not None, f"never saw {pattern!r} on\n{self.text}"
        return found  # type: ignore[return-value]

    @property
    def reading(self) -> str:
        """The lines of the screen joined to one text."""
        return " ".join(self.text.split())

    def until(self, condition: Callable[[], object], seconds: float) -> object | None:
        """Wait for the condition, checked at every change of the screen; None at the deadline."""
        give_up = time.monotonic() + seconds
        with self._changed:
            while not (found := condition()):
                left = give_up - time.monotonic()
                if left <= 0 or self._ended:
                    return condition() or None
                self._changed.wait(left)
        return found

    # ----------------------------------------------------------------- processes and the end

    def family(self) -> list[psutil.Process]:
        """Return the guardian and its descendants."""
        return [self.guardian, *self.guardian.children(recursive=True)]

    @property
    def app(self) -> psutil.Process:
        """Return the process of the app."""
        return self.guardian.children()[0]

    def is_sane(self) -> bool:
        """Return True if the terminal has its original settings."""
        return termios.tcgetattr(self._pty.fd) == self.sane

    def code(self, seconds: float = 10.0) -> int:
        """Wait for the end of the program; return its exit code."""
        assert self.until(lambda: self._ended, seconds), f"still runs:\n{self.text}"
        self._pty.wait()
        status: int | None = self._pty.exitstatus
        return 128 + int(self._pty.signalstatus) if status is None else status

    def hang_up(self) -> None:
        """Close the window."""
        # A terminal that another thread reads stays open until that read returns.
        os.write(self._stop_writer, b"x")
        self._reader.join(5)
        assert not self._reader.is_alive()
        self._pty.fileobj.close()
        self._pty.closed = True

    def close(self) -> None:
        """End every process that still runs."""
        family = []
        if self.guardian.is_running():
            family = self.family()
        for process in family:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=5)
        if not self._pty.closed:
            self._reader.join(5)
            self._pty.fileobj.close()
            self._pty.closed = True
        os.close(self._stop)
        os.close(self._stop_writer)


def new_terminal_settings() -> list[object]:
    """Return the settings of a new terminal, before a program changes them."""
    controller, terminal = os.openpty()
    try:
        return termios.tcgetattr(terminal)
    finally:
        os.close(controller)
        os.close(terminal)


def private_environment(folder: Path) -> dict[str, str]:
    """Return this process's environment without keys, with its files in `folder`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("VOICECHAT_", "OPENAI_", "TEXTUAL", "COLUMNS", "LINES"))
        and not name.endswith("_KEY")
    }
    places = {f"XDG_{name}_HOME": str(folder / name) for name in ("CONFIG", "STATE", "DATA")}
    not_first_start(folder / "STATE")
    chat = {"VOICECHAT_LOCAL_CHAT": "no"}
    return kept | places | chat | {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}


def not_first_start(state: Path) -> None:
    """Let programs with this state folder start without the offer to set voicechat up."""
    mark = state / "voicechat" / "setup-offered"
    mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.touch()


def ended(processes: list[psutil.Process], seconds: float = 5.0) -> list[psutil.Process]:
    """Return the processes that still run after the wait; a zombie has ended."""
    _, left = psutil.wait_procs(processes, timeout=seconds)
    return [p for p in left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
