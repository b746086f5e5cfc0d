"""A long session: tasks, threads, files and memory do not grow with its length."""

from __future__ import annotations

import asyncio
import gc
import threading

import psutil
from scripted import ScriptedServer, scripted_server
from session_driver import SessionDriver, running_session

from voicechat.core.effects import Floor

TURNS = 150
MOST_BYTES_PER_TURN = 12_000
"""Two entries here and two items at the server take about a third of it."""


async def take_turns(backend: ScriptedServer, driver: SessionDriver, count: int) -> None:
    """Take turns; each waits for its answer."""
    for _ in range(count):
        before = len(driver.session.transcript.entries)
        driver.session.type("and then")
        await driver.until(
            lambda: (
                len(driver.session.transcript.entries) >= before + 2  # noqa: B023
                and driver.session.floor is Floor.IDLE
            )
        )
        driver.updates.clear()
        backend.assistant.requests.clear()
        backend.tts.asked.clear()


def held() -> tuple[int, int, int]:
    """Return the tasks, threads and open files of this process."""
    return len(asyncio.all_tasks()), threading.active_count(), psutil.Process().num_fds()


async def test_nothing_grows_with_the_turns() -> None:
    process = psutil.Process()
    async with scripted_server() as backend, running_session(backend) as driver:
        await take_turns(backend, driver, 50)
        gc.collect()
        before, memory = held(), process.memory_info().rss
        await take_turns(backend, driver, TURNS)
        gc.collect()
        tasks, threads, files = held()
        assert tasks <= before[0] + 2, "an answer may still be spoken"
        assert threads <= before[1]
        assert files <= before[2] + 5, "what is loaded late may keep some open"
        assert process.memory_info().rss - memory < TURNS * MOST_BYTES_PER_TURN
