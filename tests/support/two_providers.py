"""A session that can switch between two providers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from desk import Desk
from fake_wires import gemini, running
from scripted import TOKEN, Scene

from voicechat.config.options import Options
from voicechat.core.items import Role
from voicechat.errors import Secret
from voicechat.session.session import Session
from voicechat.session.updates import Link


async def answered(desk: Desk, words: str) -> None:
    desk.session.type(words)
    await desk.until(lambda: f"You said {words}." in desk.said(Role.ASSISTANT))


def heard(stage: Scene) -> list[str]:
    """Return the messages of the latest request to the assistant."""
    return [message.text for message in stage.assistant.requests[-1].messages]


@asynccontextmanager
async def two_providers(stage: Scene, *, with_sound: bool = False) -> AsyncIterator[Desk]:
    """Run a session with Gemini that can switch to OpenAI, or to an Azure that does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = taken.getsockname()[1]
    async with running(gemini) as fake:
        desk = Desk(
            Session(
                Options(
                    model="google/gemini-3.8-live",
                    voice="Puck",
                    with_sound=with_sound,
                    base_url=f"http://127.0.0.1:{fake.port}",
                    keys={
                        "GEMINI_API_KEY": Secret("planted-key"),
                        "OPENAI_API_KEY": Secret(TOKEN),
                        "AZURE_OPENAI_API_KEY": Secret("other-key"),
                    },
                    variables={
                        "OPENAI_BASE_URL": stage.app.url.removesuffix("/realtime"),
                        "AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{closed}",
                    },
                )
            )
        )
        living = asyncio.create_task(desk.session.run())
        try:
            await desk.until(lambda: desk.session.link is Link.ONLINE)
            yield desk
        finally:
            desk.session.close()
            await living
        assert fake.wrong == []
