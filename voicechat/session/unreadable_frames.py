"""Frames of a connection that no codec can read."""

from __future__ import annotations

import time
from collections import deque

from voicechat.errors import ConnectError
from voicechat.transports.websocket import ConnectionLost

UNREADABLE = 10
"""Unreadable frames within a second until a connection is closed."""


class UnreadableFrames:
    """The unreadable frames of one connection."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._received_at: deque[float] = deque(maxlen=UNREADABLE)

    def count(self, *, had_session: bool) -> None:
        """Count an unreadable frame.

        Raises `ConnectionLost` if there are too many within a second. Until there was a session,
        they may be any time apart, and it raises `ConnectError`.
        """
        times = self._received_at
        times.append(time.monotonic())
        if len(times) < UNREADABLE:
            return
        if not had_session:
            raise ConnectError(
                f"{self._host} sends data that is not the Realtime protocol.",
                "Check --base-url.",
            )
        if times[-1] - times[0] < 1:
            raise ConnectionLost("The provider sends unreadable data.")
