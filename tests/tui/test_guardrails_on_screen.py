"""A guardrail and an aside on the screen, with a real session at a server."""

from __future__ import annotations

import asyncio

from guarded_talk import INSTEAD, STOPPED, guarded_options
from scripted import scripted_server, until
from textual.pilot import Pilot

from voicechat.session.session import Session
from voicechat.session.updates import Link
from voicechat.tui.app import VoicechatApp
from voicechat.tui.screens.conversation_screen import ConversationScreen
from voicechat.tui.screens.sheet import Sheet
from voicechat.tui.widgets.notice_line import NoticeLine


def shown(pilot: Pilot[None]) -> str:
    """The text of the screen on top, on one line."""
    strips = pilot.app.screen._compositor.render_strips()
    return " ".join(" ".join(strip.text for strip in strips).split())


async def test_a_trip_is_a_notice_and_a_note_and_an_aside_is_a_sheet() -> None:
    async with scripted_server() as backend:
        session = Session(guarded_options(backend))
        async with VoicechatApp(session).run_test(size=(80, 24)) as pilot:
            screen = pilot.app.screen
            assert isinstance(screen, ConversationScreen)
            await until(lambda: session.link is Link.ONLINE)
            await pilot.press(*"what does it cost", "enter")
            await until(lambda: INSTEAD in shown(pilot))
            notices = [each.text for each in screen.query_one(NoticeLine).notices]
            assert STOPPED in notices
            assert "⊘ The guardrail prices stopped the reply" in shown(pilot)
            assert "ten dollars" not in shown(pilot)
            await pilot.press(*"/ask-aside why", "enter")
            await until(lambda: isinstance(pilot.app.screen, Sheet))
            await until(lambda: "Because." in shown(pilot))
            assert "Aside, why" in shown(pilot)
            assert "Because." not in str(session.transcript.entries)
            await pilot.press("escape")
            await until(lambda: pilot.app.screen is screen)
            await asyncio.sleep(0)
