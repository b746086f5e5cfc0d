"""The whole session with its screen, connected to a provider that attacks.

It is kept in the history and recorded, and the event console is open.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path

from hostile_wire import KEY, WIRES

from voicechat.config.options import Options
from voicechat.errors import Secret
from voicechat.line_mode.slash_commands import app_commands
from voicechat.recording.recorded_session import open_session
from voicechat.tui.app import VoicechatApp
from voicechat.tui.keys import key_of


async def talk(port: int, wire: str, seconds: float) -> object:
    """Talk with the provider at this port; return the last lines of the screen."""
    model, variable, _ = WIRES[wire]
    folder = tempfile.mkdtemp(prefix="recording-", dir=Path.home())
    session = open_session(
        Options(
            model=model,
            with_sound=False,
            base_url=f"http://127.0.0.1:{port}",
            keys={variable: Secret(KEY)},
            record=Path(folder),
        ),
        commands=app_commands,
    )
    app = VoicechatApp(session)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await pilot.press(key_of("console").lower())
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while app.is_running:
                    await pilot.press("h", "i", "enter")
                    await asyncio.sleep(0.2)
        text = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        session.close()
    assert KEY not in text
    return text
