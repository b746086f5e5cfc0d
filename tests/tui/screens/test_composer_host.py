"""The search of earlier messages, and messages that are edited and sent again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from scripted_session import ScriptedSession
from textual.pilot import Pilot
from textual.widgets import Static

from voicechat.tui.app import VoicechatApp
from voicechat.tui.composer_history import ComposerHistory
from voicechat.tui.widgets.completion_list import CompletionList
from voicechat.tui.widgets.composer import Composer
from voicechat.tui.widgets.notice_line import NoticeLine


@pytest.fixture
async def pilot() -> AsyncIterator[Pilot[None]]:
    history = ComposerHistory()
    for text in ("call Ada", "call Bob\nat noon", "hello"):
        history.add(text)
    async with VoicechatApp(ScriptedSession(), sent=history).run_test() as running:
        await running.pause()
        yield running


def composer(pilot: Pilot[None]) -> Composer:
    return pilot.app.query_one(Composer)


def rows(pilot: Pilot[None]) -> list[str]:
    shown = pilot.app.query_one(CompletionList)
    lines = str(Static.render(shown)).splitlines() if shown.display else []
    return [line.strip() for line in lines]


async def test_words_find_earlier_messages_and_enter_takes_one(pilot: Pilot[None]) -> None:
    await pilot.press(*"call", "ctrl+r")
    assert rows(pilot)[0].startswith("earlier messages: ")
    assert rows(pilot)[1:] == ["› call Bob at noon", "call Ada"]
    await pilot.press("ctrl+r")
    assert rows(pilot)[2] == "› call Ada"
    await pilot.press("enter")
    assert composer(pilot).text == "call Ada"
    assert rows(pilot) == []
    await pilot.press("enter")
    assert pilot.app._session.asked == [("type", "call Ada")]  # type: ignore[attr-defined]


async def test_the_found_messages_follow_the_typed_words(pilot: Pilot[None]) -> None:
    await pilot.press("ctrl+r", *"ada")
    await pilot.pause()
    assert rows(pilot)[1:] == ["› call Ada"]
    await pilot.press("x")
    await pilot.pause()
    assert rows(pilot) == ["earlier messages: no such message"]
    await pilot.press("enter")
    assert composer(pilot).text == "adax"
    assert rows(pilot) == []


async def test_escape_restores_the_text_before_the_search(pilot: Pilot[None]) -> None:
    await pilot.press(*"draft", "ctrl+r", "down", "up", "escape")
    assert composer(pilot).text == "draft"
    await pilot.press("ctrl+r", "backspace", "backspace", "escape")
    assert composer(pilot).text == "draft"
    assert rows(pilot) == []


async def test_messages_of_earlier_runs_are_recalled_with_up(pilot: Pilot[None]) -> None:
    await pilot.press("up", "up")
    assert composer(pilot).text == "call Bob\nat noon"


async def test_a_message_that_is_chosen_for_an_edit_is_not_sent_at_once() -> None:
    session = ScriptedSession()
    edited: list[tuple[str, str]] = []
    session.edit_message = lambda *words: edited.append(words)  # type: ignore[attr-defined]
    async with VoicechatApp(session).run_test() as pilot:
        first = session.you("what is 3 plus 3")
        session.voiced("6")
        session.you("thanks")
        await pilot.press(*"/edit 2")
        async with asyncio.timeout(20):
            while len(rows(pilot)) != 1 or rows(pilot)[0] != "› 2 what is 3 plus 3  Tab completes":
                await pilot.pause()
        await pilot.press("down", "up", "enter")
        assert composer(pilot).text == "/edit 2 what is 3 plus 3"
        assert edited == []
        await pilot.press("backspace", "4", "enter")
        assert edited == [(first.item_id, "what is 3 plus 4")]


async def test_a_terminal_without_suspension_says_so(
    pilot: Pilot[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "cat")
    await pilot.press("ctrl+g")
    await pilot.pause()
    [notice] = pilot.app.screen_stack[0].query_one(NoticeLine).notices
    assert notice.text == "This terminal cannot be given to an editor."
    monkeypatch.setenv("VISUAL", "no-such-editor --wait")
    await pilot.press("ctrl+g")
    await pilot.pause()
    [notice] = pilot.app.screen_stack[0].query_one(NoticeLine).notices
    assert notice.text == "The editor no-such-editor is not installed. Change VISUAL."
