"""The driver of a real terminal: Textual's with a few corrections.

It reads with `TerminalParser`, writes with `TerminalWriter`, survives being stopped and continued
in every order, and keeps text in its column after emoji that the terminal draws at another width.
"""

from __future__ import annotations

import os
import re

from rich.cells import cell_len, split_graphemes
from textual.drivers import linux_driver

from voicechat.tui.terminal_answers import ASK_BACKGROUND
from voicechat.tui.terminal_input import TerminalInput
from voicechat.tui.terminal_parser import TerminalParser
from voicechat.tui.terminal_writer import TerminalWriter

# `LinuxDriver` has no other place to set its writer.
linux_driver.WriterThread = TerminalWriter  # type: ignore[attr-defined]

KEEP_TITLE = "\x1b[22;2t"
"""The command that puts the title of the window on the terminal's stack of titles."""
RESTORE_TITLE = "\x1b[23;2t"

_UNSURE_WIDTH = re.compile(
    "[\u200d\ufe0e\ufe0f\u20e3\u231a-\u231b\u23e9-\u23ff\u2600-\u27bf\u2b05-\u2b55"
    "\U0001f000-\U0001faff]"
)
"""Characters of clusters that terminals draw one, two or more cells wide."""
_PIECES = re.compile(
    r"\x1b\[(?P<row>\d+);(?P<column>\d+)H"
    r"|(?P<style>\x1b\[[\d;:]*m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\))"
    r"|\x1b\[[\d;:?<>=$]*[A-Za-z]|\n"
)
"""Commands that move the cursor to a place, that do not move it, and others."""


class TerminalDriver(linux_driver.LinuxDriver):
    """The driver for Linux and macOS terminals."""

    _input: TerminalInput | None = None

    def start_application_mode(self) -> None:
        """Take the terminal, and ask for the color of its background."""
        if self._input is None:
            self._input = TerminalInput(self.fileno, self.process_message)
        super().start_application_mode()  # type: ignore[no-untyped-call]
        # The Linux console would draw the question; with `bg`, there is no writer thread.
        is_console = os.environ.get("TERM") == "linux"
        if self.input_tty and self._writer_thread is not None and not is_console:
            self.write(KEEP_TITLE)
            self.write(ASK_BACKGROUND)

    def stop_application_mode(self) -> None:
        """Give the terminal back with the title that it had."""
        if self._writer_thread is not None:
            self.write(RESTORE_TITLE)
        super().stop_application_mode()

    def run_input_thread(self) -> None:
        """Read the terminal until `disable_input`."""
        if self._input is not None:
            self._input.run(TerminalParser(self._debug))

    def disable_input(self) -> None:
        """End the thread that reads the terminal."""
        if self._input is None:
            return
        self._input.stop()
        super().disable_input()
        self._input.restart()

    def write(self, data: str) -> None:
        """Write to the terminal; text after an emoji keeps its column."""
        super().write(pin_columns(data) if _UNSURE_WIDTH.search(data) else data)

    @property
    def is_behind(self) -> bool:
        """True while the terminal takes less output than is drawn."""
        writer = self._writer_thread
        return isinstance(writer, TerminalWriter) and writer.is_behind

    @property
    def is_idle(self) -> bool:
        """True if the terminal has taken all output."""
        writer = self._writer_thread
        return not isinstance(writer, TerminalWriter) or writer.is_idle

    def _sigcont_application(self, *_: object) -> None:
        """Take the terminal back after a stop, also after one that could not be announced.

        A program that was started in the background stops before it has the terminal.
        """
        is_running = self._writer_thread is not None
        if is_running and not self._must_signal_resume and self._auto_restart:
            self.suspend_application_mode()
            self._must_signal_resume = True
        super()._sigcont_application()


def pin_columns(data: str) -> str:
    """Return drawing commands that name the column after each cluster of unsure width.

    Its cells are cleared first, so that a terminal that draws it narrower leaves nothing behind.
    Text whose position is unknown is not changed.
    """
    drawn: list[str] = []
    row = column = 0
    at = 0
    for piece in _PIECES.finditer(data):
        text, column = _pinned(data[at : piece.start()], row, column)
        drawn += text, piece[0]
        at = piece.end()
        if piece["row"]:
            row, column = int(piece["row"]), int(piece["column"])
        elif not piece["style"]:
            row = 0
    drawn.append(_pinned(data[at:], row, column)[0])
    return "".join(drawn)


def _pinned(text: str, row: int, column: int) -> tuple[str, int]:
    """Return the text that is drawn at this place, and the column after it; row 0 is unknown."""
    if not row or not _UNSURE_WIDTH.search(text):
        return text, column + cell_len(text)
    drawn: list[str] = []
    for start, end, width in split_graphemes(text)[0]:
        cluster = text[start:end]
        if _UNSURE_WIDTH.search(cluster) and width:
            drawn.append(f"{' ' * width}\x1b[{row};{column}H{cluster}\x1b[{row};{column + width}H")
        else:
            drawn.append(cluster)
        column += width
    return "".join(drawn), column
