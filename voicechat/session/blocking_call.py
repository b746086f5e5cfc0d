"""Functions of the Python API that block until their result is there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from voicechat.errors import UsageError

Result = TypeVar("Result")


def run_blocking(name: str, work: Coroutine[object, object, Result]) -> Result:
    """Run the coroutine behind the function `name`, and return its result.

    Raises `UsageError` inside an event loop, which would stand still.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise UsageError(f"{name} blocks the event loop.", f"Await voicechat.{name}_async instead.")
