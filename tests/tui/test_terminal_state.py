"""The app on its terminal: suspension, redrawing, held keys and the place of the cursor."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from scripted_session import ScriptedSession
from textual import events
from textual.geometry import Offset
from textual.pilot import Pilot

from voicechat.core.items import ToolState
from voicechat.tui.app import VoicechatApp
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.entry_widgets import ToolPanel
from voicechat.tui.widgets.notice_line import NoticeLine

if TYPE_CHECKING:
    import pexpect

DEMO = Path(__file__).parents[1] / "support" / "demo.py"

pty_only = pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo terminal")


def job_shell() -> pexpect.spawn:
    """Return a shell with job control, at its prompt."""
    import pexpect

    shell = pexpect.spawn(
        "bash",
        ["--norc", "--noprofile", "-i"],
        dimensions=(24, 80),
        timeout=20,
        echo=False,
        env={**os.environ, "TERM": "xterm-256color", "PS1": "prompt> "},
    )
    shell.expect_exact("prompt> ")
    return shell


@pty_only
def test_ctrl_z_suspends_and_fg_draws_the_whole_screen() -> None:
    shell = job_shell()
    shell.sendline(f"{sys.executable} {DEMO} talk")
    for stop_as_the_user in (True, False):
        shell.expect_exact("lighthouse")
        if stop_as_the_user:
            shell.send(b"\x1a")
            shell.expect_exact("\x1b[?1049l")
        else:
            [app] = psutil.Process(shell.pid).children()
            app.send_signal(signal.SIGSTOP)
        shell.expect_exact("Stopped")
        shell.expect_exact("prompt> ")
        shell.sendline("fg")
        shell.expect_exact("\x1b[2J")
    shell.expect_exact("lighthouse")
    shell.send(b"\x0c")
    shell.expect_exact("\x1b[2J")
    shell.expect_exact("lighthouse")
    shell.send(b"\x11")
    shell.expect_exact("prompt> ")
    shell.close(force=True)


@pty_only
def test_a_program_that_was_started_in_the_background_comes_to_the_front() -> None:
    shell = job_shell()
    shell.sendline(f"{sys.executable} {DEMO} talk &")
    shell.expect_exact("prompt> ")
    [app] = psutil.Process(shell.pid).children()
    deadline = time.monotonic() + 20
    while app.status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    shell.sendline("fg")
    shell.expect_exact("lighthouse")
    shell.send(b"\x11")
    shell.expect_exact("prompt> ")
    shell.close(force=True)


@pty_only
async def test_ctrl_z_without_a_shell_explains_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.tui.terminal_app.has_job_control", lambda: False)
    async with VoicechatApp(ScriptedSession(with_sound=False)).run_test() as pilot:
        monkeypatch.setattr(type(pilot.app._driver), "can_suspend", True)
        await pilot.press("a", "ctrl+z")
        assert pilot.app.screen.query_one(Composer).text == "a"
        [notice] = pilot.app.screen.query_one(NoticeLine).notices
        assert notice.text == "No shell started voicechat, so it cannot be suspended."


async def test_typing_is_undone_and_redone() -> None:
    async with VoicechatApp(ScriptedSession(with_sound=False)).run_test() as pilot:
        composer = pilot.app.screen.query_one(Composer)
        await pilot.press("a", "ctrl+underscore")
        assert composer.text == ""
        await pilot.press("ctrl+y")
        assert composer.text == "a"


# -------------------------------------------------------------------- held keys


async def press_at(pilot: Pilot[None], key: str, *times: float) -> None:
    """Press the key at these times in seconds."""
    for at in times:
        event = events.Key(key, None)
        event.time = at
        pilot.app.post_message(event)
    await pilot.pause()


HELD = [50.0, 50.66, *(50.69 + 0.03 * number for number in range(20))]


@pytest.mark.parametrize("keys", [("f2", "ctrl+t"), ("f3", "f3"), ("f4", "f4")])
@pytest.mark.parametrize("which", [0, 1])
async def test_a_held_toggle_acts_once(
    keys: tuple[str, str], which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicechat.tui.terminal_app.NEXT_REPEAT_S", 60.0)
    session = ScriptedSession(hands_free=False)
    async with VoicechatApp(session).run_test() as pilot:
        await press_at(pilot, keys[which], *HELD)
        assert len(session.asked) == 1
        await press_at(pilot, keys[1 - which], 55.0)
        assert len(session.asked) == 2


async def test_a_held_new_conversation_key_starts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.tui.terminal_app.NEXT_REPEAT_S", 60.0)
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        await press_at(pilot, "f5", *HELD)
        assert session.asked == [("new_conversation",)]


async def test_a_held_key_that_expands_results_expands_them_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicechat.tui.terminal_app.NEXT_REPEAT_S", 60.0)
    session = ScriptedSession()
    session.call("look", "{}", ToolState.DONE, output="word " * 200)
    async with VoicechatApp(session).run_test() as pilot:
        await press_at(pilot, "ctrl+o", *HELD)
        panel = pilot.app.screen.query_one(ToolPanel)
        assert "more characters" not in panel.entry_text.body.plain


async def test_a_second_press_soon_after_the_first_acts_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("voicechat.tui.terminal_app.NEXT_REPEAT_S", 0.001)
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        await press_at(pilot, "f3", 50.0, 50.6)
        async with asyncio.timeout(10):
            while len(session.asked) < 2:
                await pilot.pause()
        assert session.asked == [("set_muted", True), ("set_muted", False)]


async def test_a_held_arrow_key_repeats() -> None:
    async with VoicechatApp(ScriptedSession(with_sound=False)).run_test() as pilot:
        composer = pilot.app.screen.query_one(Composer)
        await pilot.press(*"hello")
        await press_at(pilot, "left", 50.0, 50.66, 50.69, 50.72)
        assert composer.cursor_location == (0, 1)


# -------------------------------------------------------------------- the cursor


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (20, 9)])
async def test_the_cursor_is_in_the_composer_from_the_start(size: tuple[int, int]) -> None:
    async with VoicechatApp(ScriptedSession()).run_test(size=size) as pilot:
        composer = pilot.app.screen.query_one(Composer)
        place = composer.content_region.offset
        assert pilot.app.cursor_position == place
        await pilot.press("漢", "x")
        assert pilot.app.cursor_position == composer.content_region.offset + Offset(3, 0)
        await pilot.press("ctrl+j")
        assert pilot.app.cursor_position == composer.content_region.offset + Offset(0, 1)
        await pilot.resize_terminal(60, 18)
        async with asyncio.timeout(10):
            while pilot.app.screen._compositor.size != (60, 18):
                await pilot.pause()
        await pilot.pause()
        assert pilot.app.cursor_position == composer.content_region.offset + Offset(0, 1)
        assert composer.content_region.offset != place


async def test_the_cursor_follows_into_the_palette() -> None:
    async with VoicechatApp(ScriptedSession()).run_test() as pilot:
        await pilot.press("ctrl+p", "a")
        assert pilot.app.focused is not None
        region = pilot.app.focused.content_region
        assert pilot.app.cursor_position in region
        assert pilot.app.cursor_position != Offset(0, 0)
