"""The keypad of the phone: keys that the caller presses one after another become one message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PAUSE_S = 2.0
"""Seconds without another key after which the keys are complete."""

LAST = "#"
"""The key that completes them at once."""

MAX_KEYS = 32
"""Keys of one message."""


class CallKeypad:
    """Collects the keys of one call. Use it on the event loop, and `close` it at the end."""

    def __init__(self, take: Callable[[str], None]) -> None:
        """take: receives the keys when they are complete, such as 1234#."""
        self._take = take
        self._keys = ""
        self._timer: asyncio.TimerHandle | None = None

    def press(self, key: str) -> None:
        """Add a key."""
        self.close()
        self._keys += key
        if key == LAST or len(self._keys) >= MAX_KEYS:
            self._complete()
        else:
            self._timer = asyncio.get_running_loop().call_later(PAUSE_S, self._complete)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _complete(self) -> None:
        keys, self._keys = self._keys, ""
        self._take(keys)
