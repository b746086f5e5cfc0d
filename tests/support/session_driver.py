"""A running session with a server on scripted engines, and the updates of the session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from following import follow
from scripted import TOKEN, ScriptedServer

from voicechat.config.options import Options
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.errors import Secret
from voicechat.session.session import Session
from voicechat.session.updates import Link, Update


class SessionDriver:
    """A running session and its updates."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.updates: list[Update] = []
        self._news = asyncio.Event()
        follow(session, self._listen)

    def _listen(self, update: Update) -> None:
        self.updates.append(update)
        self._news.set()

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the condition is true; it is checked after every update."""
        async with asyncio.timeout(15):
            while not reached():
                self._news.clear()
                await self._news.wait()

    def texts(self, role: Role) -> list[str]:
        """Return the finished texts of one role."""
        entries = self.session.transcript.entries
        return [
            entry.text
            for entry in entries
            if isinstance(entry, Item)
            and entry.role is role
            and entry.status is not ItemStatus.IN_PROGRESS
        ]


def options(url: str, token: str = TOKEN) -> Options:
    return Options(
        with_sound=False, base_url=url.removesuffix("/realtime"),
        keys={"OPENAI_API_KEY": Secret(token)},
    )  # fmt: skip


@asynccontextmanager
async def online(driver: SessionDriver) -> AsyncIterator[SessionDriver]:
    """Run the session of the driver, from its first connection to the end of the block."""
    running = asyncio.create_task(driver.session.run())
    try:
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        yield driver
    finally:
        driver.session.close()
        await running


@asynccontextmanager
async def running_session(backend: ScriptedServer, url: str = "") -> AsyncIterator[SessionDriver]:
    """Run a session that is online, at the server or at another address of it."""
    async with online(SessionDriver(Session(options(url or backend.app.url)))) as driver:
        yield driver
