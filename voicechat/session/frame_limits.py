"""Limits of what a provider may send: frames that no codec can read, and text without end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from voicechat.core import events
from voicechat.errors import ConnectError
from voicechat.transports.websocket import ConnectionLost

UNREADABLE = 10
"""Unreadable frames within a second until a connection is closed."""

TEXT_AT_ONCE = 2_000_000
"""Characters that a provider may send at any time, and that are kept for the conversation."""
TEXT_PER_S = 2_000
"""Characters by which that grows each second; a quick model writes fewer."""
_ITEM = 500
"""Characters that an item costs besides its text."""

_TEXTS = ("text", "arguments", "output", "message", "name")
_ITEMS = (events.ResponseCreated, events.OutputItemAdded, events.ToolCallReady, events.ItemAdded)


class FrameLimits:
    """Counts the events of all connections of a session to one provider."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._unreadable: deque[float] = deque(maxlen=UNREADABLE)
        self._left = float(TEXT_AT_ONCE)
        self._at = clock()
        self._host = ""

    def connected(self, host: str) -> None:
        """Forget the unreadable frames of the last connection; errors name this host."""
        self._unreadable.clear()
        self._host = host

    def check(self, event: events.Event, *, had_session: bool) -> None:
        """Count an event.

        Raises `ConnectionLost` if there are too many unreadable frames within a second. Until there
        was a session, they may be any time apart, and it raises `ConnectError`, as it does for too
        much text.
        """
        if isinstance(event, events.Unmapped):
            if event.unreadable:
                self._count_unreadable(had_session=had_session)
        elif not isinstance(event, events.AudioDelta):
            self._count_text(event)

    def _count_unreadable(self, *, had_session: bool) -> None:
        times = self._unreadable
        times.append(self._clock())
        if len(times) < UNREADABLE:
            return
        if not had_session:
            raise ConnectError(
                f"{self._host} sends data that is not the Realtime protocol.", "Check --base-url."
            )
        if times[-1] - times[0] < 1:
            raise ConnectionLost("The provider sends unreadable data.")

    def _count_text(self, event: events.Event) -> None:
        size = _ITEM if isinstance(event, _ITEMS) else 0
        for name in _TEXTS:
            size += len(getattr(event, name, None) or "")
        now = self._clock()
        grown = self._left + (now - self._at) * TEXT_PER_S
        self._at, self._left = now, min(TEXT_AT_ONCE, grown) - size
        if self._left < 0:
            raise ConnectError(f"{self._host} sends text without end.", "Check --base-url.")
