"""Every way out of the app: exit code, what is told, and a terminal given back."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import pytest
from corpus import ESCAPES
from scripted_session import ScriptedSession
from textual.worker import WorkerFailed

from voicechat.errors import ConnectError, SessionLost
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen

HERE = Path(__file__).parents[1] / "support"
SECRET = "sk-planted-1234567890"


async def test_quitting_closes_the_session() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        await pilot.press("ctrl+q")
        await pilot.pause()
    assert ("close",) in session.asked
    assert app.return_code == 0


async def test_one_ctrl_c_stays_and_two_leave() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        await pilot.press("ctrl+c")
        assert session.asked == []
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert ("close",) in session.asked
    assert app.return_code == 0


async def test_a_session_that_cannot_begin_ends_the_app_with_its_code() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        session.fail(ConnectError("No server answers at ws://127.0.0.1:1.", "Is it running?"))
        await pilot.pause()
    assert app.return_code == ConnectError.exit_code
    assert isinstance(app.failure, ConnectError)


async def test_a_session_lost_in_the_middle_leaves_the_talk_to_read() -> None:
    session = ScriptedSession()
    session.you("remember this")
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        session.fail(SessionLost("The connection ended.", "Try again later."))
        await pilot.pause(0.1)
        screen = app.screen
        assert isinstance(screen, ConversationScreen)
        banner = str(screen.query_one("#banner").render())
        assert banner == "▲ The connection ended.  Try again later. Ctrl+Q leaves."
        await pilot.press("ctrl+q")
        await pilot.pause()
    assert app.return_code == SessionLost.exit_code


async def test_a_session_that_does_not_end_cannot_keep_anyone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicechat.tui.app.GOODBYE", 0.05)
    session = ScriptedSession()
    session.close = lambda: None  # type: ignore[method-assign]
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        await pilot.press("ctrl+q")
        await pilot.pause()
    assert app.return_code == 0


async def test_an_unexpected_error_is_kept_for_the_caller() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)

    async def run() -> None:
        async with app.run_test() as pilot:
            session.fail(ZeroDivisionError("1 / 0"))
            await pilot.pause(0.1)

    with pytest.raises(WorkerFailed):
        await run()
    assert isinstance(app.crash, ZeroDivisionError)
    assert ("close",) in session.asked


# -------------------------------------------------------------------- in a real terminal

pty_only = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")

RESTORED = (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?2004l", b"\x1b[?25h")


class Terminal:
    """The app in a pseudo terminal; everything it wrote."""

    def __init__(self, scene: str) -> None:
        import pexpect

        self._eof = pexpect.EOF
        self.child = pexpect.spawn(
            sys.executable,
            [str(HERE / "demo.py"), scene],
            dimensions=(24, 80),
            timeout=20,
            env={**os.environ, "TERM": "xterm-256color", "SECRET_OF_TEST": SECRET},
        )
        self.written = b""

    def until(self, word: bytes) -> None:
        self.child.expect_exact(word)
        self.written += self.child.before + self.child.after

    def end(self) -> int:
        self.child.expect(self._eof)
        self.written += self.child.before
        self.child.close()
        if self.child.exitstatus is None:
            return 128 + int(self.child.signalstatus)
        return int(self.child.exitstatus)

    def restored(self) -> bool:
        return all(sequence in self.written for sequence in RESTORED)


@pty_only
def test_leaving_gives_the_terminal_back() -> None:
    terminal = Terminal("talk")
    terminal.until(b"lighthouse")
    terminal.child.send(b"\x11")
    assert terminal.end() == 0
    assert terminal.restored()


@pty_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_gives_the_terminal_back(number: signal.Signals) -> None:
    terminal = Terminal("talk")
    terminal.until(b"lighthouse")
    terminal.child.kill(number)
    assert terminal.end() == 128 + number
    assert terminal.restored()


@pty_only
def test_a_crash_tells_no_local_variable() -> None:
    terminal = Terminal("crashing")
    assert terminal.end() == 1
    assert terminal.restored()
    assert SECRET.encode() not in terminal.written
    assert b"RuntimeError" in terminal.written


@pty_only
def test_hostile_text_reaches_no_terminal() -> None:
    terminal = Terminal("hostile")
    terminal.until(b"the end of it")
    terminal.child.send(b"\x11")
    assert terminal.end() == 0
    before_leaving = terminal.written.partition(b"the end of it")[0]
    assert not re.search(rb"\x1b\](?!22;)", terminal.written), "an OSC but for the pointer's shape"
    assert not re.search(rb"\x1bP(?!\+q)|\x1bP\+q544e", terminal.written), "a DCS sequence"
    assert b"\x1b[?1049l" not in before_leaving
    assert "\u202e".encode() not in terminal.written
    assert b"\xc2\x9b" not in terminal.written
    assert len(ESCAPES) > 10


async def test_nothing_keeps_running_after_the_app() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        session.you("hello")
        await pilot.pause()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert [task for task in left if "_paint" in repr(task) or "_run_session" in repr(task)] == []
