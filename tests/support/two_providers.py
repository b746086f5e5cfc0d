"""A session that can switch between two providers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fake_wires import gemini, running
from faults import port_without_server
from scripted import TOKEN, ScriptedServer
from session_driver import SessionDriver, online

from voicechat.config.options import Options
from voicechat.core.items import Role
from voicechat.errors import Secret
from voicechat.session.session import Session


async def answered(driver: SessionDriver, words: str) -> None:
    driver.session.type(words)
    await driver.until(lambda: f"You said {words}." in driver.texts(Role.ASSISTANT))


def heard(backend: ScriptedServer) -> list[str]:
    """Return the messages of the latest request to the assistant."""
    return [message.text for message in backend.assistant.requests[-1].messages]


@asynccontextmanager
async def two_providers(
    backend: ScriptedServer, *, with_sound: bool = False
) -> AsyncIterator[SessionDriver]:
    """Run a session with Gemini that can switch to OpenAI, or to an Azure that does not answer."""
    with port_without_server() as closed:
        async with running(gemini) as fake:
            driver = SessionDriver(
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
                            "OPENAI_BASE_URL": backend.app.url.removesuffix("/realtime"),
                            "AZURE_OPENAI_ENDPOINT": f"http://127.0.0.1:{closed}",
                        },
                    )
                )
            )
            async with online(driver):
                yield driver
            assert fake.wrong == []
