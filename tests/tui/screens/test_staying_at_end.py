"""The conversation stays at its end while lines of the screen appear and go, and on a resize."""

from __future__ import annotations

import asyncio

import pytest
from scripted_session import ScriptedSession
from textual.pilot import Pilot

from voicechat.core.effects import Level, Notice
from voicechat.core.items import Item, ItemStatus, Role, ToolState
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.widgets.notice_line import NoticeLine
from voicechat.tui.widgets.transcript_view import NewBelowHint, TranscriptView

SETTLING_PAUSES = 50
"""Most waits for a layout; one is enough on an idle machine."""
SETTLING_STEPS = 100_000
"""Most steps of the event loop before the height changes."""
WARNING = Notice("The network is slow.", Level.WARNING)


class EndWatch:
    """A screen with a long conversation, whose last reply grows."""

    def __init__(self, pilot: Pilot[None], session: ScriptedSession) -> None:
        self.pilot = pilot
        self.session = session
        screen = pilot.app.screen
        assert isinstance(screen, ConversationScreen)
        self.screen = screen
        self.view = screen.query_one(TranscriptView)
        self.notice = screen.query_one(NoticeLine)
        for number in range(20):
            session.you(f"question {number}")
            session.voiced(f"answer {number}")
        self.reply = Item("reply", Role.ASSISTANT, "so", ItemStatus.IN_PROGRESS, spoken=True)
        session.put(self.reply)

    async def grow(self) -> None:
        """Add words to the reply and paint them; the view must be at the end."""
        await self.add_words()
        await self.settle()

    async def add_words(self) -> None:
        self.reply.text += " and a few more words of the answer"
        self.session.changed(self.reply)
        await self.screen.flush()
        assert not self.has_hint

    async def settle(self) -> None:
        """Wait for the layout; the view must then be at the end."""
        for _ in range(SETTLING_PAUSES):
            await self.pilot.pause()
            if self.view.scroll_y == self.view.max_scroll_y:
                break
        assert self.view.scroll_y == self.view.max_scroll_y
        assert not self.has_hint

    async def layout(self) -> None:
        """Wait until the height of the view has changed, and no longer."""
        height = self.view.container_size.height
        for _ in range(SETTLING_STEPS):
            await asyncio.sleep(0)
            if self.view.container_size.height != height:
                return

    def end_notices(self) -> None:
        self.notice._notices.clear()
        self.notice.expire()

    @property
    def has_hint(self) -> bool:
        return self.screen.query_one(NewBelowHint).display


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_words_right_after_a_change_of_height_are_not_announced(
    size: tuple[int, int],
) -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=size) as pilot:
        watch = EndWatch(pilot, session)
        await watch.grow()
        call = session.call("run_command", '{"command": "ls"}', ToolState.ASKING)
        await watch.screen.flush()
        await watch.layout()
        await watch.add_words()
        call.state = ToolState.DONE
        session.changed(call)
        await watch.add_words()
        await watch.settle()


async def test_the_end_stays_visible_while_lines_come_and_go() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        watch = EndWatch(pilot, session)
        await watch.grow()
        session.notice(WARNING)
        await watch.grow()
        watch.end_notices()
        await watch.settle()
        session.sound("No microphone was found.", "Connect one.")
        await watch.grow()


async def test_the_end_stays_visible_while_the_terminal_is_resized() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        watch = EndWatch(pilot, session)
        await watch.grow()
        for width, height in ((80, 15), (120, 36)):
            await pilot.resize_terminal(width, height)
            await watch.grow()


async def test_a_view_that_was_scrolled_up_stays_where_it_is() -> None:
    session = ScriptedSession()
    async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
        watch = EndWatch(pilot, session)
        await watch.grow()
        await pilot.press("pageup")
        at = watch.view.scroll_y
        session.notice(WARNING)
        watch.reply.text += " more" * 200
        session.changed(watch.reply)
        await watch.screen.flush()
        await pilot.pause()
        assert watch.view.scroll_y == at
        assert watch.has_hint
