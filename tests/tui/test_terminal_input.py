"""Reading the terminal: at once, and without waking up while nothing arrives."""

from __future__ import annotations

import os
import queue
import selectors
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from textual import events
from textual.message import Message

from voicechat.tui.terminal_input import TerminalInput
from voicechat.tui.terminal_parser import BURST_S, TerminalParser


class Reading:
    """A terminal that a thread reads; `waits` has the timeouts of its waits so far."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits: list[float | None] = []
        select = selectors.SelectSelector.select

        def counted(selector: selectors.SelectSelector, timeout: float | None = None) -> object:
            self.waits.append(timeout)
            return select(selector, timeout)

        monkeypatch.setattr(selectors.SelectSelector, "select", counted)
        self._read, self._write = os.pipe()
        self._events: queue.Queue[Message] = queue.Queue()
        self.input = TerminalInput(self._read, self._events.put)
        self.start()

    def start(self) -> None:
        self.thread = threading.Thread(target=self.input.run, args=(TerminalParser(),))
        self.thread.start()

    def type(self, data: bytes) -> None:
        os.write(self._write, data)

    def key(self) -> str:
        """Return the next key."""
        event = self._events.get(timeout=20)
        assert isinstance(event, events.Key)
        return event.key

    def hang_up(self) -> None:
        with suppress(OSError):
            os.close(self._write)

    def end(self) -> None:
        self.input.stop()
        self.thread.join(20)
        assert not self.thread.is_alive()
        self.input.restart()


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reading]:
    reading = Reading(monkeypatch)
    yield reading
    reading.end()
    reading.hang_up()


def test_keys_arrive_at_once_and_nothing_wakes_the_thread_between_them(reading: Reading) -> None:
    for key in "abc":
        reading.type(key.encode())
        assert reading.key() == key
    assert set(reading.waits) == {None}
    assert len(reading.waits) <= 4


def test_escape_alone_is_a_key_once_nothing_follows(reading: Reading) -> None:
    reading.type(b"\x1b")
    assert reading.key() == "escape"
    reading.type(b"x")
    assert reading.key() == "x"
    assert set(reading.waits) == {None, BURST_S}
    assert reading.waits[-1] is None, "it sleeps again"


def test_enter_at_the_end_of_a_burst_is_a_key(reading: Reading) -> None:
    reading.type(b"hi\r")
    assert [reading.key() for _ in "hi\r"] == ["h", "i", "enter"]


def test_a_character_may_arrive_in_two_reads_and_bytes_that_are_none_do_no_harm(
    reading: Reading,
) -> None:
    reading.type("é".encode()[:1])
    reading.type("é".encode()[1:] + b"\xff")
    reading.type(b"x")
    assert reading.key() in {"é", "latin_small_letter_e_with_acute"}
    assert any(reading.key() == "x" for _ in range(2))


def test_it_stops_at_once_and_can_read_again(reading: Reading) -> None:
    reading.end()
    reading.start()
    reading.type(b"y")
    assert reading.key() == "y"


def test_it_ends_when_the_terminal_is_gone(reading: Reading) -> None:
    reading.hang_up()
    reading.thread.join(20)
    assert not reading.thread.is_alive()
