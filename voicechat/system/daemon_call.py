"""Blocking calls with a deadline, on daemon threads that never keep the program from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def wait_with_deadline(work: Callable[[], T], deadline: float) -> T:
    """Run a blocking call on a daemon thread and wait for it; return its result or raise its error.

    deadline: seconds, after which TimeoutError is raised and the thread is abandoned.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, name="daemon call", daemon=True).start()
    return outcome.result(deadline)


async def call_with_deadline(work: Callable[[], T], deadline: float) -> T:
    """Run a blocking call on a daemon thread and return its result, or raise its error.

    deadline: seconds, after which TimeoutError is raised. The thread is abandoned then; unlike a
    thread of the event loop's pool it does not delay the end of the program.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.done():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, failure)

    threading.Thread(target=run, name="daemon call", daemon=True).start()
    async with asyncio.timeout(deadline):
        return await outcome
