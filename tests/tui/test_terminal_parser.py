"""Input of the terminal: pastes without brackets, Alt+Enter and answers of the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from textual import events
from textual.color import Color
from textual.message import Message

from voicechat.tui import terminal_parser
from voicechat.tui.terminal_answers import BackgroundReported
from voicechat.tui.terminal_parser import BURST_S, TerminalParser

WHITE = "\x1b]11;rgb:ffff/ffff/ffff\x07"


class Input:
    """A parser whose clock the test moves; `seen` has the keys and the pasted text."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.seen: list[str] = []
        self.colors: list[Color] = []
        monkeypatch.setattr(terminal_parser, "get_time", lambda: self.now)
        self._parser = TerminalParser()

    def read(self, data: str, after: float = 1.0) -> None:
        """Feed the data `after` seconds after the last."""
        self.wait(after)
        self._record(self._parser.feed(data))
        self._record(self._parser.tick())

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._record(self._parser.tick())

    def _record(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if isinstance(message, events.Key):
                self.seen.append(message.key)
            elif isinstance(message, events.Paste):
                self.seen.append(f"<{message.text}>")
            elif isinstance(message, BackgroundReported):
                self.colors.append(message.color)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Input:
    return Input(monkeypatch)


def test_typed_keys_are_keys_at_once(typed: Input) -> None:
    for key in ("h", "i", "\r", "\t", "\x1b[A"):
        typed.read(key, after=0.08)
    assert typed.seen == ["h", "i", "enter", "tab", "up"]


def test_several_lines_at_once_are_a_paste(typed: Input) -> None:
    typed.read("one\rtwo\r")
    typed.wait(1.0)
    assert typed.seen == ["<one\rtwo>"]


def test_a_paste_in_several_reads_keeps_its_line_breaks(typed: Input) -> None:
    typed.read("one\rtwo\r")
    typed.read("three\r", after=BURST_S / 2)
    typed.read("four", after=BURST_S / 2)
    typed.wait(1.0)
    assert "".join(typed.seen) == "<one\rtwo><\rthree><\rfour>"


def test_a_paste_line_by_line_sends_nothing(typed: Input) -> None:
    typed.read("one\r")
    for line in ("two\r", "three\r"):
        typed.read(line, after=BURST_S / 2)
    typed.wait(1.0)
    assert "enter" not in typed.seen
    assert "".join(typed.seen) == "one<\rtwo><\rthree>"


def test_a_paste_key_by_key_sends_nothing(typed: Input) -> None:
    for key in "one\rtwo\rx":
        typed.read(key, after=0.005)
    typed.wait(1.0)
    assert "enter" not in typed.seen


def test_enter_at_the_end_of_one_line_sends_it(typed: Input) -> None:
    typed.read("hello\r")
    typed.wait(BURST_S)
    assert typed.seen == [*"hello", "enter"]


@pytest.mark.parametrize(("first", "keys"), [("hi\n", ["h", "i", "enter"]), ("\n", ["enter"])])
def test_a_line_feed_from_before_raw_mode_is_enter(
    typed: Input, first: str, keys: list[str]
) -> None:
    typed.read(first)
    typed.wait(1.0)
    typed.read("a")
    typed.read("\n")
    assert typed.seen == [*keys, "a", "ctrl+j"]


def test_enter_is_sent_before_a_later_key(typed: Input) -> None:
    typed.read("a\r")
    typed.read("\x1b[A", after=BURST_S / 2)
    assert typed.seen == ["a", "enter", "up"]


def test_enter_after_a_paste_is_enter(typed: Input) -> None:
    typed.read("one\rtwo")
    typed.read("\r", after=0.5)
    assert typed.seen == ["<one\rtwo>", "enter"]


def test_a_bracketed_paste_is_one_paste(typed: Input) -> None:
    typed.read("\x1b[200~one\rtwo\r")
    typed.read("three\r\x1b[20", after=0.001)
    typed.read("1~", after=0.001)
    typed.read("x", after=0.001)
    assert typed.seen == ["<one\rtwo\rthree\r>", "x"]


@pytest.mark.parametrize("line_break", ["\r", "\n"])
def test_alt_enter_without_the_kitty_protocol_is_a_new_line(typed: Input, line_break: str) -> None:
    typed.read(f"\x1b{line_break}")
    assert typed.seen == ["ctrl+j"]


def test_escape_and_alt_keys_remain(typed: Input) -> None:
    typed.read("\x1bx")
    typed.read("\x1b]")
    typed.wait(1.0)
    assert "alt+x" in typed.seen or "x" in typed.seen


@pytest.mark.parametrize(
    ("answer", "color"),
    [
        (WHITE, Color(255, 255, 255)),
        ("\x1b]11;rgb:0000/8080/ffff\x1b\\", Color(0, 128, 255)),
        ("\x1b]11;rgb:f/0/8\x07", Color(255, 0, 136)),
        ("\x1b]11;rgba:1a/2b/3c/ff\x07", Color(26, 43, 60)),
    ],
)
def test_the_background_is_reported(typed: Input, answer: str, color: Color) -> None:
    typed.read(f"a{answer}b")
    assert (typed.colors, typed.seen) == ([color], ["a", "b"])


@pytest.mark.parametrize("split", range(2, len(WHITE)))
def test_an_answer_may_arrive_in_two_reads(typed: Input, split: int) -> None:
    typed.read(WHITE[:split])
    typed.read(f"{WHITE[split:]}x", after=0.01)
    assert (typed.colors, typed.seen) == ([Color(255, 255, 255)], ["x"])


def test_an_answer_to_another_question_is_not_typed(typed: Input) -> None:
    typed.read("\x1b]4;1;rgb:00/00/00\x1b\\\x1b]52;c;AAAA\x07x")
    assert (typed.colors, typed.seen) == ([], ["x"])


def test_the_end_of_the_input_gives_the_last_enter(typed: Input) -> None:
    typed.read("hi\r")
    typed.read("", after=0.001)
    assert typed.seen == ["h", "i", "enter"]
