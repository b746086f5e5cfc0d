"""Copying, and selecting words with the mouse."""

from __future__ import annotations

import pytest
from scripted_session import ScriptedSession
from textual.geometry import Offset
from textual.pilot import Pilot

from voicechat.errors import UsageError
from voicechat.line_mode.slash_commands import run_command
from voicechat.system import desktop_clipboard
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.entry_widgets import EntryLine
from voicechat.tui.widgets.notice_line import NoticeLine
from voicechat.tui.word_selection import word_at


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were passed to the program for the clipboard."""
    texts: list[str] = []

    async def copy(text: str) -> str:
        texts.append(text)
        return "test"

    monkeypatch.setattr(desktop_clipboard, "copy", copy)
    return texts


async def flush(pilot: Pilot[None]) -> None:
    screen = pilot.app.screen
    assert isinstance(screen, ConversationScreen)
    await screen.flush()
    await pilot.pause()


def notices(pilot: Pilot[None]) -> list[str]:
    return [notice.text for notice in pilot.app.screen.query_one(NoticeLine).notices]


async def test_copying_says_so_and_uses_the_program_too(copied: list[str]) -> None:
    async with VoicechatApp(ScriptedSession()).run_test() as pilot:
        await pilot.press(*"hello", "shift+home", "ctrl+c")
        await pilot.pause()
        assert copied == ["hello"]
        assert pilot.app.clipboard == "hello"
        assert notices(pilot) == ["Copied 5 characters."]


async def test_the_copy_command_copies_the_last_answer(copied: list[str]) -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        with pytest.raises(UsageError, match="no answer to copy"):
            run_command(session, "/copy")
        session.voiced("One.")
        session.voiced("Two, **three**.")
        session.you("Thanks.")
        await pilot.press(*"/copy", "enter")
        await flush(pilot)
        await pilot.pause()
        assert copied == ["Two, **three**."]
        assert notices(pilot) == ["Copied 15 characters."]


async def test_the_copy_command_without_a_screen_needs_a_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = ScriptedSession()
    session.themes = ()
    session.voiced("One.")
    monkeypatch.setattr(desktop_clipboard, "copy_blocking", lambda text: "")
    with pytest.raises(UsageError, match="No program for the clipboard"):
        run_command(session, "/copy")
    monkeypatch.setattr(desktop_clipboard, "copy_blocking", lambda text: "xclip")
    assert run_command(session, "/copy") == "Copied 4 characters."


async def test_a_double_click_selects_a_word_and_a_triple_click_the_entry(
    copied: list[str],
) -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test() as pilot:
        session.voiced("It is twenty-one past two.")
        session.you("Thank you.")
        await flush(pilot)
        line = pilot.app.screen.query(EntryLine).first()
        at = Offset(8 + len("It is t"), 0)
        await pilot.click(line, offset=at, times=2)
        assert pilot.app.screen.get_selected_text() == "twenty-one"
        await pilot.press("ctrl+c")
        assert copied == ["twenty-one"]
        await pilot.click(line, offset=at, times=3)
        assert pilot.app.screen.get_selected_text() == "It is twenty-one past two."
        await pilot.click(line, offset=Offset(60, 0), times=2)
        assert pilot.app.screen.get_selected_text() is None


async def test_a_double_click_selects_a_word_in_the_composer() -> None:
    async with VoicechatApp(ScriptedSession()).run_test() as pilot:
        composer = pilot.app.screen.query_one(Composer)
        await pilot.press(*"one", "space", *"two", "ctrl+j", *"three")
        place = composer.content_region.offset - composer.region.offset
        await pilot.click(composer, offset=place + Offset(5, 0), times=2)
        assert composer.selected_text == "two"
        await pilot.click(composer, offset=place + Offset(5, 0), times=3)
        assert composer.selected_text == "one two"


@pytest.mark.parametrize(
    ("x", "word"),
    [(0, "naïve"), (4, "naïve"), (5, None), (6, "don't"), (11, "—"), (12, "漢字"), (99, None)],
)
def test_the_word_at_a_place(x: int, word: str | None) -> None:
    text = "first\nnaïve don't—漢字"
    selection = word_at(text, Offset(x, 1))
    assert (selection.extract(text) if selection else None) == word
    assert word_at(text, Offset(0, 7)) is None
