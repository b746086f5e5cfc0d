"""The parser of the terminal's input: what Textual's parser reads as single keys.

Three kinds of input arrive without a mark of their own: text pasted into a terminal without
bracketed paste, the terminal's answers to questions, and Alt+Enter without the kitty protocol.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual._time import get_time
from textual._xterm_parser import BRACKETED_PASTE_END, BRACKETED_PASTE_START, XTermParser
from textual.color import Color
from textual.events import Paste
from textual.keys import Keys
from textual.message import Message

from voicechat.tui.terminal_answers import BackgroundReported

BURST_S = 0.03
"""Most time in seconds between two reads of one paste; fingers are slower."""
PARTIAL_S = 0.1
"""Time in seconds to wait for the rest of an answer of the terminal."""

_ESC = "\x1b"
_BREAKS = "\r\n"
_ANSWER = re.compile(r"\x1b\](\d+);([^\x07\x1b]{0,200})(?:\x07|\x1b\\)")
_PARTIAL_ANSWER = re.compile(r"\x1b\](?:\d+(?:;[^\x07\x1b]{0,200}\x1b?)?)?\Z")
_BACKGROUND = "11"
_COLOR = re.compile(r"rgba?:([0-9a-f]{1,4})/([0-9a-f]{1,4})/([0-9a-f]{1,4})", re.IGNORECASE)
_OTHER_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

# Without the kitty protocol, Alt+Enter is Escape and a line break; Ctrl+J inserts a new line.
ANSI_SEQUENCES_KEYS["\x1b\r"] = (Keys.ControlJ,)  # type: ignore[index]
ANSI_SEQUENCES_KEYS["\x1b\n"] = (Keys.ControlJ,)  # type: ignore[index]


class TerminalParser(XTermParser):
    """Textual's parser, which also recognizes unbracketed pastes and answers of the terminal.

    Several lines that arrive at once are a paste. A line break at the end of a burst of text is
    held back for `BURST_S`: if more text follows, it belongs to a paste; if not, it is Enter.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._read_at = float("-inf")
        self._partial = ""
        """The beginning of an answer of the terminal."""
        self._held = ""
        """A line break at the end of the last read."""
        self._in_paste = False
        """True if the current burst is a paste without brackets."""
        self._bracketed = False
        self._end_of_read = ""
        self._has_read_nothing = True
        self._is_first = True
        """True during the first burst, which may be from before raw mode."""

    @property
    def next_tick_s(self) -> float | None:
        """Seconds until the next `tick`; None if nothing is held back."""
        is_waiting = self._held or self._partial or self._timeout_time is not None
        return BURST_S if is_waiting else None

    def feed(self, data: str) -> Iterator[Message]:
        """Yield the events of the data; empty data ends the input."""
        now = get_time()
        continues, self._read_at = now - self._read_at < BURST_S, now
        if not continues:
            yield from self._release_held()
            self._in_paste = False
            self._is_first = self._has_read_nothing
            self._has_read_nothing = False
        if not data:
            yield from self._release_held()
            yield from super().feed(data)
            return
        data, self._partial = self._partial + data, ""
        if not self._bracketed:
            data = yield from self._answers(data)
        self._find_brackets(data)
        if not data:
            return
        if self._bracketed or _ESC in data or _OTHER_CONTROLS.search(data):
            yield from self._release_held()
            yield from super().feed(data)
        else:
            yield from self._feed_text(data, continues)

    def tick(self) -> Iterator[Message]:
        """Yield the events of what was held back long enough."""
        age = get_time() - self._read_at
        if age >= BURST_S:
            yield from self._release_held()
        if age >= PARTIAL_S and self._partial:
            partial, self._partial = self._partial, ""
            yield from super().feed(partial)
        yield from super().tick()

    def _feed_text(self, data: str, continues: bool) -> Iterator[Message]:
        """Yield the events of text without control characters other than tabs and line breaks."""
        is_burst = continues or len(data) > 1
        text, self._held = self._held + data, ""
        if is_burst and text[-1] in _BREAKS:
            body = text.removesuffix("\n").removesuffix("\r") or text[:-1]
            text, self._held = body, text[-1]
        if is_burst and (self._in_paste or any(each in text for each in _BREAKS)):
            self._in_paste = True
            if text:
                yield Paste(text)
        elif text:
            yield from super().feed("\r" if self._is_first and text == "\n" else text)

    def _release_held(self) -> Iterator[Message]:
        """Yield Enter for a line break that ended a burst, unless it ended a paste."""
        held, self._held = self._held, ""
        if held and not self._in_paste:
            # Before raw mode, a terminal sends a line feed for Enter.
            yield from super().feed("\r" if self._is_first else held)

    def _answers(self, data: str) -> Generator[Message, None, str]:
        """Yield the answers of the terminal in the data; return the other data."""
        if _ESC not in data:
            return data
        for code, body in _ANSWER.findall(data):
            color = _COLOR.match(body)
            if code == _BACKGROUND and color is not None:
                red, green, blue = map(_to_byte, color.groups())
                yield BackgroundReported(Color(red, green, blue))
        data = _ANSWER.sub("", data)
        if partial := _PARTIAL_ANSWER.search(data):
            self._partial = partial[0]
            data = data[: partial.start()]
        return data

    def _find_brackets(self, data: str) -> None:
        """Note whether the data ends inside of a bracketed paste."""
        recent = self._end_of_read + data
        start, end = recent.rfind(BRACKETED_PASTE_START), recent.rfind(BRACKETED_PASTE_END)
        if start != end:
            self._bracketed = start > end
        self._end_of_read = recent[-(len(BRACKETED_PASTE_END) - 1) :]


def _to_byte(digits: str) -> int:
    """Scale one to four hexadecimal digits to 0-255."""
    return int(digits, 16) * 255 // (int("f" * len(digits), 16))
