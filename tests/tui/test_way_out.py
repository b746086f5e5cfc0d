"""Exits of the app: exit code, messages and the restored terminal."""

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
from voicechat.tui.screens.history_screen import HistoryScreen
from voicechat.tui.widgets.notice_line import NoticeLine

SUPPORT = Path(__file__).parents[1] / "support"
SECRET = "sk-planted-1234567890"


async def test_ctrl_q_closes_the_session() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        await pilot.press("ctrl+q")
        await pilot.pause()
    assert ("close",) in session.asked
    assert app.return_code == 0


async def test_the_second_ctrl_c_quits() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        await pilot.press("ctrl+c")
        assert session.asked == []
        await pilot.press("ctrl+c")
        await pilot.pause()
    assert ("close",) in session.asked
    assert app.return_code == 0


@pytest.mark.parametrize("copies", [False, True])
async def test_a_reply_to_a_key_is_seen_on_the_history_too(copies: bool) -> None:
    app = VoicechatApp(ScriptedSession())
    async with app.run_test() as pilot:
        await pilot.press("f7")
        if copies:
            app.copy_to_clipboard("text")
        else:
            await pilot.press("ctrl+c")
        await pilot.pause()
        assert isinstance(app.screen, HistoryScreen)
        (line,) = app.screen.query(NoticeLine)
        text = "Copied 4 characters." if copies else "Press Ctrl+C again to quit."
        assert [each.text for each in line.notices] == [text]
        assert app.screen.get_widget_at(*line.region.offset)[0] is line


async def test_a_session_that_fails_to_start_exits_with_the_code_of_its_error() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        session.fail(ConnectError("No server answers at ws://127.0.0.1:1.", "Is it running?"))
        await pilot.pause()
    assert app.return_code == ConnectError.exit_code
    assert isinstance(app.failure, ConnectError)


async def test_a_lost_session_keeps_the_conversation_on_the_screen() -> None:
    session = ScriptedSession()
    session.you("remember this")
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        session.fail(SessionLost("The connection ended.", "Try again later."))
        screen = app.screen
        assert isinstance(screen, ConversationScreen)
        async with asyncio.timeout(10):
            while not screen.query_one("#banner").display:
                await pilot.pause()
        banner = str(screen.query_one("#banner").render())
        assert banner == "▲ The connection ended.  Try again later. Ctrl+Q leaves."
        await pilot.press("ctrl+q")
        await pilot.pause()
    assert app.return_code == SessionLost.exit_code


async def test_leaving_an_offline_session_tells_why_it_was_offline() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test() as pilot:
        assert session.outlives_connections
        session.offline_error = SessionLost("The connection ended.")
        await pilot.press("ctrl+q")
        await pilot.pause()
    assert app.return_code == SessionLost.exit_code
    assert app.failure is session.offline_error


async def test_a_session_that_does_not_close_delays_the_exit_only_until_the_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicechat.tui.app.CLOSE_TIMEOUT_S", 0.05)
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
            async with asyncio.timeout(10):
                while app.crash is None:
                    await pilot.pause()

    with pytest.raises(WorkerFailed):
        await run()
    assert isinstance(app.crash, ZeroDivisionError)
    assert ("close",) in session.asked


# -------------------------------------------------------------------- in a real terminal

pty_only = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")

RESTORED = (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?2004l", b"\x1b[?25h", b"\x1b[23;2t")


class Terminal:
    """The app in a pseudo terminal, with its output."""

    def __init__(self, scene: str) -> None:
        import pexpect

        self._eof = pexpect.EOF
        self.child = pexpect.spawn(
            sys.executable,
            [str(SUPPORT / "demo.py"), scene],
            dimensions=(24, 80),
            timeout=20,
            env={**os.environ, "TERM": "xterm-256color", "SECRET_OF_TEST": SECRET},
        )
        self.output = b""

    def until(self, word: bytes) -> None:
        self.child.expect_exact(word)
        self.output += self.child.before + self.child.after

    def end(self) -> int:
        self.child.expect(self._eof)
        self.output += self.child.before
        self.child.close()
        if self.child.exitstatus is None:
            return 128 + int(self.child.signalstatus)
        return int(self.child.exitstatus)

    def is_restored(self) -> bool:
        return all(sequence in self.output for sequence in RESTORED)


@pty_only
def test_quitting_restores_the_terminal() -> None:
    terminal = Terminal("talk")
    terminal.until(b"lighthouse")
    terminal.child.send(b"\x11")
    assert terminal.end() == 0
    assert terminal.is_restored()


@pty_only
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT])
def test_a_signal_restores_the_terminal(number: signal.Signals) -> None:
    terminal = Terminal("talk")
    terminal.until(b"lighthouse")
    terminal.child.kill(number)
    assert terminal.end() == 128 + number
    assert terminal.is_restored()


EDITOR = """import sys, pathlib
path = pathlib.Path(sys.argv[1])
assert sys.stdin.isatty() and oct(path.stat().st_mode)[-2:] in {"44", "00"}
assert oct(path.parent.stat().st_mode)[-3:] == "700"
print("editing", path.read_text(), flush=True)
line = input()
path.write_text(path.read_text() + line + chr(27) + "[2J in the editor")
"""


@pty_only
def test_the_editor_has_the_terminal_and_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "editor.py"
    script.write_text(EDITOR, encoding="utf-8")
    monkeypatch.setenv("VISUAL", f"{sys.executable} '{script}'")
    terminal = Terminal("talk")
    terminal.until(b"lighthouse")
    terminal.child.send(b"draft\x07")
    terminal.until(b"editing draft")
    assert b"\x1b[?1049l" in terminal.output
    terminal.child.send(b" and more\r")
    terminal.until(b"draft and more\xef\xbf\xbd[2J in the editor")
    assert terminal.output.count(b"voicechat\x07") >= 2, "the title is written again"
    terminal.child.send(b"\x07")
    terminal.until(b"editing draft and more")
    terminal.child.send(b"\x03")  # ends the editor, not the app
    terminal.until(b"ended with the code")
    terminal.child.send(b"\x11")
    assert terminal.end() == 0
    assert terminal.is_restored()


@pty_only
def test_a_crash_prints_no_local_variables() -> None:
    terminal = Terminal("crashing")
    assert terminal.end() == 1
    assert terminal.is_restored()
    assert SECRET.encode() not in terminal.output
    assert b"RuntimeError" in terminal.output


@pty_only
def test_escape_sequences_do_not_reach_the_terminal() -> None:
    terminal = Terminal("hostile")
    terminal.until(b"the end of it")
    terminal.child.send(b"\x11")
    assert terminal.end() == 0
    before_exit = terminal.output.partition(b"the end of it")[0]
    known = rb"\x1b\](?!22;|11;\?\x07|2;[\w ]+ \xc2\xb7 voicechat\x07)"
    assert not re.search(known, terminal.output), "an OSC other than pointer, background and title"
    assert not re.search(rb"\x1bP(?!\+q)|\x1bP\+q544e", terminal.output), "a DCS sequence"
    assert b"\x1b[?1049l" not in before_exit
    assert "\u202e".encode() not in terminal.output
    assert b"\xc2\x9b" not in terminal.output
    assert len(ESCAPES) > 10


async def test_no_task_runs_after_the_app_exits() -> None:
    session = ScriptedSession()
    app = VoicechatApp(session)
    before = asyncio.all_tasks()
    async with app.run_test() as pilot:
        session.you("hello")
        async with asyncio.timeout(10):
            while not {"paint", "session"} <= {worker.group for worker in app.workers}:
                await pilot.pause()
        during = asyncio.all_tasks()
    assert len(during) > len(before)
    assert asyncio.all_tasks() <= before
