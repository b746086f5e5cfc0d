"""Calls of the sound system that may hang.

Opening, closing and aborting go through the sound server, which may never answer. They run as a
`BackgroundCall` on a daemon thread that the loop polls and, if necessary, abandons.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from voicechat.audio.devices.thread_priority import use_ordinary

T = TypeVar("T")


class BackgroundCall(Generic[T]):
    """A call on a daemon thread of its own. Poll `done`, then read `result` or `error`."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self.began = time.monotonic()
        self.done = False
        self.result: T | None = None
        self.error: BaseException | None = None
        threading.Thread(target=self._run, name="device call", daemon=True).start()

    def _run(self) -> None:
        use_ordinary()
        try:
            self.result = self._work()
        except BaseException as error:
            self.error = error
        self.done = True
