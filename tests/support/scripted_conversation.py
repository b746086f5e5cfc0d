"""A session with a fake provider, and the conversation that every wire carries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fake_wires import Fake, running
from session_driver import SessionDriver

from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.core.items import Item, Role
from voicechat.errors import Secret
from voicechat.session.session import Session
from voicechat.session.updates import Link
from voicechat.tools.registry import Tool

Entry = tuple[str, str, str]
"""Role or "tool", text or name, and state."""

TOOL: Entry = ("tool", "current_time", "done")

CONVERSATION: list[Entry] = [
    ("user", "hello", "completed"), ("assistant", "You said hello.", "completed"),
    ("user", "what time is it", "completed"), TOOL, ("assistant", "So it is.", "completed"),
    ("user", "both of them", "completed"), TOOL, TOOL, ("assistant", "So it is.", "completed"),
    ("user", "tell me a story", "completed"), ("assistant", "Once upon a time", "interrupted"),
    ("user", "enough", "completed"), ("assistant", "You said enough.", "completed"),
]  # fmt: skip


@asynccontextmanager
async def session_at(
    serve: Callable[..., Any],
    model: str,
    key: str,
    *,
    hands_free: bool = False,
    tools: Iterable[Tool] = (),
    **settings: object,
) -> AsyncIterator[tuple[SessionDriver, Fake]]:
    """Run a session of this model with a fake server; `key`: the variable of its API key."""
    async with running(serve) as fake:
        options = Options(
            model=model, with_sound=False, base_url=f"http://127.0.0.1:{fake.port}",
            keys={key: Secret("planted-key")}, session_settings=settings,
        )  # fmt: skip
        driver = SessionDriver(Session(options, tools=tools))
        if hands_free:
            driver.session._handle(inputs.HandsFree(True))
        living = asyncio.create_task(driver.session.run())
        try:
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            yield driver, fake
        finally:
            driver.session.close()
            await living
        assert fake.wrong == []


def entries(driver: SessionDriver) -> list[Entry]:
    """Return the transcript without ids and times."""
    return [
        (entry.role.value, entry.text, entry.status.value)
        if isinstance(entry, Item)
        else ("tool", entry.name, entry.state.value)
        for entry in driver.session.transcript.entries
    ]


async def idle(driver: SessionDriver, answered: int) -> None:
    """Wait until the model has given this many answers and is silent."""
    await driver.until(
        lambda: (
            len(driver.texts(Role.ASSISTANT)) == answered
            and driver.session.floor in {effects.Floor.IDLE, effects.Floor.LISTENING}
        )
    )


async def hold(driver: SessionDriver, fake: Fake) -> None:
    """Hold the conversation: a typed turn, a tool, two tools at once, an interrupted story."""
    session = driver.session
    for answered, line in enumerate(["hello", "what time is it", "both of them"], 1):
        session.type(line)
        await idle(driver, answered)
    session.type("tell me a story")
    await driver.until(lambda: entries(driver)[-1][1] == "Once upon a time")
    session.type("enough")
    await idle(driver, 5)
    assert entries(driver) == CONVERSATION
    assert len(fake.results) == 3
    assert all("Tokyo" in str(result["output"]) for result in fake.results)
    assert session.usage.total_tokens >= 60


async def first_story(driver: SessionDriver) -> Item:
    """Return the last message once some of its sound has arrived."""

    def story() -> Item | None:
        last = driver.session.transcript.entries[-1]
        return last if isinstance(last, Item) and last.received_ms else None

    await driver.until(lambda: story() is not None)
    found = story()
    assert found is not None
    return found
