"""The layout of many texts at once is spread over turns of the event loop."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from scripted_session import ScriptedSession
from textual.content import Content

from voicechat.core.items import Item, ItemStatus, Role
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets import entry_widgets
from voicechat.tui.widgets.entry_text import EntryText
from voicechat.tui.widgets.entry_widgets import EntryLine, MarginText
from voicechat.tui.widgets.layout_budget import SHORT_CHARS, LayoutBudget
from voicechat.tui.widgets.markdown_text import MarkdownText


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_budget_is_for_one_turn_and_short_texts_get_more() -> None:
    clock = Clock()
    budget = LayoutBudget(0.02, clock)
    for seconds, expected in ((0.01, (True, True)), (0.03, (False, True)), (0.03, (False, False))):
        with budget.spent(100_000):
            clock.now += seconds
        assert (budget.allows(SHORT_CHARS + 1), budget.allows(SHORT_CHARS)) == expected
    assert budget.is_used_up
    await asyncio.sleep(0)
    assert not budget.is_used_up
    with budget.spent(1_000):
        clock.now += 9
    assert not budget.is_used_up, "a short text takes longer only with the import of a library"
    assert budget.allows(SHORT_CHARS + 1)


def test_without_a_loop_nothing_waits() -> None:
    clock = Clock()
    budget = LayoutBudget(0.02, clock)
    with budget.spent(99_999_999):
        clock.now += 9
    assert budget.allows(99_999)


async def test_many_long_texts_are_laid_out_in_turns_and_again_at_another_width(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn = 0
    laid_out: Counter[int] = Counter()

    def counted(self: MarkdownText, *given: object, plain=MarkdownText._lay_out) -> object:  # type: ignore[no-untyped-def]
        laid_out[turn] += 1
        return plain(self, *given)

    async def turns() -> None:
        nonlocal turn
        while True:
            await asyncio.sleep(0)
            turn += 1

    monkeypatch.setattr(MarkdownText, "_lay_out", counted)
    monkeypatch.setattr(entry_widgets, "LAYOUT_BUDGET", LayoutBudget(0.0))
    monkeypatch.setattr("voicechat.tui.widgets.transcript_view.LAYOUT_BUDGET", LayoutBudget(0.0))
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)

        async def settled(width: int) -> None:
            def is_drawn(line: EntryLine) -> bool:
                return line._visual._laid_out is not None and not line.is_waiting

            async with asyncio.timeout(30):
                lines = screen.query(EntryLine)
                while len(lines) < 4 or not all(map(is_drawn, lines)) or screen.size.width != width:
                    await pilot.pause()
                    lines = screen.query(EntryLine)

        counting = asyncio.create_task(turns())
        for number in range(4):
            text = f"**{number}** word\n\n" * 30
            item = Item(f"i{number}", Role.ASSISTANT, text, ItemStatus.COMPLETED)
            item.spoken = False
            session.put(item)
        await screen.flush()
        await settled(80)
        assert max(laid_out.values()) == 1
        laid_out.clear()
        await pilot.resize_terminal(60, 20)
        await settled(60)
        counting.cancel()
        assert sum(laid_out.values()) >= 4
        assert max(laid_out.values()) == 1
        for line in screen.query(EntryLine):
            text = line._visual.text(line.content_size.width).plain
            assert "**" not in text


async def test_a_text_that_waits_is_not_wrapped_to_know_its_height(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    budget = LayoutBudget(0.0)
    monkeypatch.setattr(entry_widgets, "LAYOUT_BUDGET", budget)
    wrapped: list[int] = []

    def counted(self: Content, *given: object, plain=Content.get_height) -> int:  # type: ignore[no-untyped-def]
        wrapped.append(len(self))
        return plain(self, *given)

    monkeypatch.setattr(Content, "get_height", counted)
    texts = [
        MarginText(EntryText(Content("voice"), Content(""), markdown=f"**{number}** word\n" * 400))
        for number in range(3)
    ]
    heights = [text.get_height({}, 80) for text in texts]
    assert [text.is_waiting for text in texts] == [False, True, True]
    assert len(wrapped) == 1
    assert all(400 <= height <= 800 for height in heights[1:])
    await asyncio.sleep(0)
    assert texts[1].lay_out_again()
    texts[1].get_height({}, 80)
    assert len(wrapped) == 2


async def test_a_text_that_waits_lets_the_turn_end(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = LayoutBudget(0.0)
    asked = 0

    def allows(self: LayoutBudget, chars: int, plain=LayoutBudget.allows) -> bool:  # type: ignore[no-untyped-def]
        nonlocal asked
        asked += 1
        assert asked < 10_000, "the turn does not end"
        return plain(self, chars)

    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        item = Item("i", Role.ASSISTANT, "**one** two", ItemStatus.COMPLETED)
        item.spoken = False
        session.put(item)
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        await screen.flush()
        await pilot.pause()
        line = screen.query_one(EntryLine)
        monkeypatch.setattr(LayoutBudget, "allows", allows)
        monkeypatch.setattr(entry_widgets, "LAYOUT_BUDGET", budget)
        line._visual.is_waiting = True
        line.call_later(line._lay_out_again)
        with budget.spent(99_999):  # after the message above: the turn ends after it
            pass
        async with asyncio.timeout(15):
            while line.is_waiting:
                line._visual.text(80)
                await pilot.pause()
    assert pilot.app._exception is None
