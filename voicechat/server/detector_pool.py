"""Reusable speech detectors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from voicechat.speech.vad import Detector


class DetectorPool:
    """Lends a detector to each connection. Creating one takes 50 ms."""

    def __init__(self, make: Callable[[], Detector]) -> None:
        self._make = make
        self._unused: list[Detector] = []

    def warm(self) -> None:
        """Create one in advance. Can be called on another thread."""
        self.release(self._make())

    async def acquire(self) -> Detector:
        """Return a detector in its initial state, for one connection.

        A new one is created on another thread, so that other connections do not wait for it.
        """
        return self._unused.pop() if self._unused else await asyncio.to_thread(self._make)

    def release(self, detector: Detector) -> None:
        """Return a detector to the pool."""
        detector.reset()
        self._unused.append(detector)
