"""The thread that reads the terminal: it sleeps until something arrives."""

from __future__ import annotations

import os
import selectors
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterable
from contextlib import suppress

from textual._parser import ParseError
from textual.message import Message

from voicechat.tui.terminal_parser import TerminalParser

READ_SIZE = 4096
"""Most bytes in one read."""


class TerminalInput:
    """Reads a terminal until `stop`. Textual's own loop wakes ten times a second for that."""

    def __init__(self, terminal: int, deliver: Callable[[Message], object]) -> None:
        """`terminal` is its descriptor; `deliver` takes each event, on the thread of `run`."""
        self._terminal = terminal
        self._deliver = deliver
        self._stopped, self._stop = os.pipe()
        os.set_blocking(self._stopped, False)

    def run(self, parser: TerminalParser) -> None:
        """Read until `stop`, or until the terminal is gone; raises OSError if it cannot be read."""
        decode = getincrementaldecoder("utf-8")("replace").decode
        # Not poll or kqueue: on macOS they do not take a terminal.
        with selectors.SelectSelector() as selector:
            for descriptor in (self._terminal, self._stopped):
                selector.register(descriptor, selectors.EVENT_READ)
            is_over = False
            while not is_over:
                ready = {key.fd for key, _ in selector.select(parser.next_tick_s)}
                is_over = self._stopped in ready
                if self._terminal in ready:
                    data = os.read(self._terminal, READ_SIZE)
                    is_over |= not data
                    if text := decode(data):
                        self._pass_on(parser.feed(text))
                self._pass_on(parser.tick())
        with suppress(EOFError, ParseError):
            for _ in parser.feed(""):
                pass

    def stop(self) -> None:
        """End `run`, or the next one."""
        os.write(self._stop, b"\0")

    def restart(self) -> None:
        """Forget `stop`, after `run` has ended."""
        with suppress(BlockingIOError):
            os.read(self._stopped, READ_SIZE)

    def _pass_on(self, events: Iterable[Message]) -> None:
        for event in events:
            self._deliver(event)
