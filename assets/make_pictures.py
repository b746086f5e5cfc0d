"""Draw the pictures of the README from a scripted conversation: `make pictures`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

ASSETS = Path(__file__).resolve().parent
sys.path.insert(0, str(ASSETS.parent / "tests" / "support"))

import scenes  # noqa: E402
from scripted_session import ScriptedSession  # noqa: E402

from voicechat.tui.app import VoicechatApp  # noqa: E402
from voicechat.tui.screens.conversation_screen import ConversationScreen  # noqa: E402

SIZE = (92, 31)
"""Columns and rows of the picture of a conversation: the whole scene, and no more."""
CONSOLE_SIZE = (132, 34)


async def conversation() -> str:
    """The talk scene as SVG."""
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test(size=SIZE) as pilot:
        scenes.talk(session)
        screen = app.screen
        assert isinstance(screen, ConversationScreen)
        await screen.flush()
        await pilot.pause()
        return app.export_screenshot(title="voicechat")


async def console() -> str:
    """The talk scene with its frames, one of them as JSON, as SVG."""
    session = ScriptedSession()
    app = VoicechatApp(session)
    async with app.run_test(size=CONSOLE_SIZE) as pilot:
        await scenes.with_console(app, session)
        await pilot.press("up", "enter")
        await pilot.pause()
        return app.export_screenshot(title="voicechat --console")


if __name__ == "__main__":
    for name, draw in (("voicechat", conversation), ("console", console)):
        target = ASSETS / f"{name}.svg"
        target.write_text(asyncio.run(draw()), encoding="utf-8")
        print(target.relative_to(ASSETS.parent))  # noqa: T201
