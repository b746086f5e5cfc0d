"""The event console of the line mode: every frame of the connection is a line.

A sound is two lines: one when it begins, and one with its length when it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from voicechat.line_mode.line_writer import LineWriter
from voicechat.session.frame_filter import FILTER_SYNTAX, FrameFilter, frame_line, parse_filter
from voicechat.session.frame_log import FrameLog, FrameRow, FrameTap
from voicechat.session.view import SessionView


class ConsoleLines:
    """Prints the frames of a session while it is open; closed, it takes none."""

    def __init__(self, session: SessionView, out: LineWriter) -> None:
        self._session = session
        self._out = out
        self._log = FrameLog()
        self._tap: FrameTap | None = None
        self._filter = FrameFilter()
        self._printed = -1
        """Number of the latest row that was printed."""

    def request(self, text: str) -> None:
        """Open with a filter, close with "off", and open or close with an empty text."""
        is_open = self._tap is not None
        if text == "off" or (is_open and not text):
            self._close()
            return
        self._filter = parse_filter("" if text == "on" else text)
        shown = self._filter.text
        what = f"Frames that match {shown} are lines" if shown else "Every frame is a line"
        self._write(f"{what}. Filters: {FILTER_SYNTAX}. /console off ends it.")
        if not is_open:
            self._tap = FrameTap(self._session, self._log)
            self._tap.subscription.wake = self._wake
            self._print_rows(self._log.rows)

    def _close(self) -> None:
        self.print_waiting()
        if self._tap is None:
            self._write("The console is not open.")
            return
        self._tap.close()
        self._tap = None
        self._write("Frames are no longer printed.")

    def _wake(self) -> None:
        asyncio.get_running_loop().call_soon(self.print_waiting)

    def print_waiting(self) -> None:
        """Print what came since the last time."""
        if self._tap is not None:
            self._print_rows(self._tap.take())

    def _print_rows(self, changed: list[FrameRow]) -> None:
        lines = [f"{frame_line(row)}\n" for row in self._due(changed) if self._filter.matches(row)]
        self._out.write("".join(lines))

    def _due(self, changed: list[FrameRow]) -> Iterator[FrameRow]:
        """Return the new rows, and each sound again when it has ended."""
        for row in changed:
            if row.number <= self._printed:
                if row.is_sound and not row.is_open:
                    yield row
                continue
            self._printed = row.number
            yield row

    def _write(self, line: str) -> None:
        self._out.write(f"{line}\n")
