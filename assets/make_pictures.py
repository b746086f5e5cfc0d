"""Draw the picture of the README from a scripted conversation: `make pictures`."""

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
"""Columns and rows of the picture: the whole scene, and no more."""


async def picture() -> str:
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


if __name__ == "__main__":
    target = ASSETS / "voicechat.svg"
    target.write_text(asyncio.run(picture()), encoding="utf-8")
    print(target.relative_to(ASSETS.parent))  # noqa: T201
