"""The budget and the latency on the conversation screen."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from scripted_session import ScriptedSession
from textual.content import Content
from textual.pilot import Pilot
from textual.widgets import Static

from voicechat.core.effects import Floor
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.screens.sheet import Sheet


@asynccontextmanager
async def running_app(
    session: ScriptedSession, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Pilot[None]]:
    async with VoicechatApp(session).run_test(size=size) as pilot:
        yield pilot


def conversation_screen(pilot: Pilot[None]) -> ConversationScreen:
    screen = pilot.app.screen_stack[0]
    assert isinstance(screen, ConversationScreen)
    return screen


async def refresh(pilot: Pilot[None]) -> None:
    """Paint all updates of the session."""
    await conversation_screen(pilot).flush()
    await pilot.pause()


def line_text(pilot: Pilot[None], name: str) -> str:
    content = conversation_screen(pilot).query_one(f"#{name}", Static).render()
    assert isinstance(content, Content)
    return content.plain


async def test_f8_does_nothing_within_the_budget() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await pilot.press("f8")
        assert ("allow_more",) not in session.asked


async def test_an_answer_that_is_running_is_shown_over_the_budget() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        session.budget_used_up = True
        session.turn_to(Floor.SPEAKING)
        await refresh(pilot)
        assert line_text(pilot, "floor").startswith("▶ speaking")


@pytest.mark.parametrize(("size", "is_shown"), [((120, 36), True), ((80, 24), False)])
async def test_a_wide_top_line_has_the_parts_of_the_latency(
    size: tuple[int, int], is_shown: bool
) -> None:
    session = ScriptedSession()
    parts = "end 500 + net 40 + model 400 + buffer 60 ms"
    async with running_app(session, size) as pilot:
        session.latency_ms, session.latency_parts = 1_000.0, parts
        session.turn_to(Floor.LISTENING)
        await refresh(pilot)
        assert "answered in 1.0 s" in line_text(pilot, "top")
        assert (parts in line_text(pilot, "top")) is is_shown


async def test_the_latency_opens_as_a_sheet() -> None:
    session = ScriptedSession()
    async with running_app(session) as pilot:
        await pilot.press(*"/latency", "enter")
        await refresh(pilot)
        assert isinstance(pilot.app.screen, Sheet)
