"""Reading earlier text while more arrives; links; long messages."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from scripted_session import ScriptedSession
from textual.pilot import Pilot
from textual.widget import Widget

from voicechat.core.items import Role
from voicechat.tui import link_opener
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.entry_widgets import EntryLine
from voicechat.tui.widgets.notice_line import NoticeLine
from voicechat.tui.widgets.transcript_view import NewBelowHint, TranscriptView


async def refresh(pilot: Pilot[None]) -> None:
    screen = pilot.app.screen
    assert isinstance(screen, ConversationScreen)
    await screen.flush()
    await pilot.pause()


def is_shown(pilot: Pilot[None], kind: type[Widget]) -> bool:
    return bool(pilot.app.query_one(kind).display)


def is_at_end(pilot: Pilot[None]) -> bool:
    return pilot.app.query_one(TranscriptView).follows


@pytest.mark.parametrize("back", ["f9", "pagedown", "click", "reply"])
async def test_new_text_below_is_announced_and_can_be_reached(back: str) -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        for number in range(40):
            session.you(f"message {number}")
        await refresh(pilot)
        assert is_at_end(pilot)
        await pilot.press("pageup")
        await refresh(pilot)
        assert not is_at_end(pilot)
        assert not is_shown(pilot, NewBelowHint)
        last = session.voiced("a new answer")
        await refresh(pilot)
        assert is_shown(pilot, NewBelowHint)
        assert not is_at_end(pilot)
        if back == "click":
            await pilot.click(NewBelowHint)
        elif back == "reply":
            await pilot.press("h", "i", "enter")
        else:
            await pilot.press(back, back)
        await refresh(pilot)
        assert not is_shown(pilot, NewBelowHint)
        assert is_at_end(pilot)
        last.text += ", and it is so much longer now that it needs another line" * 3
        session.changed(last)
        await refresh(pilot)
        assert is_at_end(pilot)


async def test_a_long_message_unfolds_with_the_key_and_with_a_click() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        session.you("\n".join(f"line {number}" for number in range(40)), spoken=False)
        await refresh(pilot)
        line = pilot.app.query_one(EntryLine)
        assert "30 more lines" in line.entry_text.body.plain
        await pilot.press("ctrl+o")
        assert "line 39" in line.entry_text.body.plain
        await pilot.app.run_action("screen.toggle_results")
        await pilot.press("f9")
        assert "line 39" not in line.entry_text.body.plain
        await pilot.click(EntryLine, offset=(12, 1))
        assert "line 39" in line.entry_text.body.plain


async def test_a_typed_reply_is_laid_out_as_it_grows() -> None:
    session = ScriptedSession(with_sound=False)
    async with VoicechatApp(session).run_test() as pilot:
        item = session.said(Role.ASSISTANT, "", spoken=False)
        for piece in (
            "# Sums\n\n",
            "- `2**10`\n",
            "- **two**\n\n",
            "| a | b |\n|-|-|\n| 1 | 2 |\n",
        ):
            item.text += piece
            session.changed(item)
            await refresh(pilot)
        strips = pilot.app.screen._compositor.render_strips()
        rows = [strip.text.replace("voice", "").strip() for strip in strips]
        for row in ("Sums", "• 2**10", "• two", "a │ b", "1 │ 2"):
            assert row in rows


@pytest.mark.parametrize("opens", [True, False])
async def test_a_click_opens_a_link_or_copies_it(
    opens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    async def open_link(url: str) -> bool:
        opened.append(url)
        return opens

    monkeypatch.setattr("voicechat.tui.screens.conversation_screen.open_link", open_link)
    session = ScriptedSession(with_sound=False)
    async with VoicechatApp(session).run_test() as pilot:
        session.said(Role.ASSISTANT, "[docs](https://example.org)", spoken=False)
        await refresh(pilot)
        await pilot.click(EntryLine, offset=(10, 0))
        await pilot.pause()
        assert opened == ["https://example.org"]
        notices = [each.text for each in pilot.app.query_one(NoticeLine).notices]
        assert ("The link is copied." in " ".join(notices)) is not opens
        assert (pilot.app.clipboard == "https://example.org") is not opens


@pytest.mark.parametrize(
    ("platform", "environment", "command"),
    [
        ("linux", {"DISPLAY": ":0"}, "xdg-open"),
        ("linux", {"WAYLAND_DISPLAY": "w"}, "xdg-open"),
        ("linux", {}, None),
        ("linux", {"WSL_DISTRO_NAME": "Debian"}, "wslview"),
        ("darwin", {}, "open"),
        ("win32", {}, "explorer.exe"),
    ],
)
def test_the_program_that_opens_links(
    platform: str,
    environment: Mapping[str, str],
    command: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_opener.sys, "platform", platform)
    monkeypatch.setattr(link_opener.shutil, "which", lambda name: name)
    assert link_opener.open_command(environment) == command


@pytest.mark.parametrize(("program", "opened"), [("true", True), ("false", False), ("/no", False)])
async def test_a_link_is_open_if_the_program_says_so(
    program: str, opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_opener, "open_command", lambda: program)
    assert await link_opener.open_link("https://example.org") is opened
