"""A terminal that takes no output delays neither the app nor its end."""

from __future__ import annotations

import asyncio
import os
import pty
import threading
import tty
from collections.abc import Iterator
from contextlib import suppress

import pytest
from scripted_session import ScriptedSession
from textual.app import App
from textual.drivers import linux_driver

from voicechat.tui.app import VoicechatApp
from voicechat.tui.terminal_driver import TerminalDriver
from voicechat.tui.terminal_writer import MAX_PIECES, TerminalWriter

Terminal = tuple[int, TerminalWriter]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """The controller of a terminal that nothing reads, and a writer to the terminal."""
    controller, descriptor = pty.openpty()
    tty.setraw(descriptor)
    with open(descriptor, "w", encoding="utf-8") as file:
        writer = TerminalWriter(file)
        writer.start()
        yield controller, writer
        os.close(controller)
        writer.stop()
        writer.join(10)
    assert not writer.is_alive()


def test_output_that_nothing_reads_is_bounded_and_waited_for_by_nothing(terminal: Terminal) -> None:
    controller, writer = terminal
    for _ in range(2 * MAX_PIECES):
        writer.write("é" * 100)
    assert writer.is_behind
    assert writer._queue.qsize() <= MAX_PIECES
    reader = threading.Thread(target=_read, args=(controller, 200 * MAX_PIECES // 2), daemon=True)
    reader.start()
    reader.join(10)
    assert not reader.is_alive()


def _read(controller: int, count: int) -> None:
    while count > 0:
        count -= len(os.read(controller, 65_536))


def test_output_keeps_its_order(terminal: Terminal) -> None:
    controller, writer = terminal
    for number in range(300):
        writer.write(f"{number} é\n")
    writer_stop = threading.Thread(target=writer.stop)
    writer_stop.start()
    expected = "".join(f"{number} é\n" for number in range(300)).encode()
    found = b""
    while len(found) < len(expected):
        found += os.read(controller, 65_536)
    writer_stop.join(10)
    assert found == expected


def test_the_end_does_not_wait_for_a_stuck_terminal(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicechat.tui.terminal_writer.STOP_S", 0.01)
    _, writer = terminal
    _fill(writer._file.fileno())
    for _ in range(MAX_PIECES):
        writer.write("x" * 100)
    writer.stop()
    assert writer.is_alive()


def _fill(descriptor: int) -> None:
    """Write until the terminal takes no more."""
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while True:
            os.write(descriptor, b"unread" * 1000)
    os.set_blocking(descriptor, True)


def test_the_driver_uses_the_writer() -> None:
    """The writer of Textual is private: check that it is replaced."""
    assert linux_driver.WriterThread is TerminalWriter  # type: ignore[comparison-overlap]
    names = linux_driver.LinuxDriver.start_application_mode.__code__.co_names
    assert "WriterThread" in names
    assert issubclass(TerminalDriver, linux_driver.LinuxDriver)


async def test_the_newest_screen_is_drawn_once_the_terminal_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicechat.tui.terminal_app.REDRAW_S", 0.001)
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        drawn: list[object] = []
        monkeypatch.setattr(App, "_display", lambda app, screen, what: drawn.append(what))
        driver = type(app._driver)
        monkeypatch.setattr(driver, "is_behind", True, raising=False)
        monkeypatch.setattr(driver, "is_idle", False, raising=False)
        for number in range(30):
            session.you(f"line {number}")
            await app.screen.flush()  # type: ignore[attr-defined]
        await pilot.pause()
        assert drawn == []
        monkeypatch.setattr(driver, "is_behind", False)
        await pilot.pause()
        assert drawn == [], "some output still waits"
        monkeypatch.setattr(driver, "is_idle", True)
        async with asyncio.timeout(20):
            while not drawn:
                await pilot.pause()
        assert app._redraw_timer is None
