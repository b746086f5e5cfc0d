"""Change of the speaker's buffer while it plays, without a gap.

    old stream  ──── plays up to the joint ─────┐ closes
    new stream  opens ── runs with silence ─────┴─ plays from the joint on

Sound servers and most devices play several streams at once. Where the second stream cannot be
opened, the speaker must be reopened instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from voicechat.audio.devices.background_call import BackgroundCall
from voicechat.audio.devices.streams import OutputStream

_SETTLING_S: Final = 1.0
"""Longest time to wait for the new stream to run steadily."""
_DRAIN_S: Final = 0.3
"""Time beyond the latencies after which the old stream has certainly reached the joint."""


class SpeakerChange:
    """One change at a time. Single thread; call `step` at every tick while `active`."""

    def __init__(self) -> None:
        self.possible = True
        """False once the device has refused a second stream."""
        self._opening: BackgroundCall[OutputStream] | None = None
        self._closing: BackgroundCall[None] | None = None

    @property
    def active(self) -> bool:
        """True from `begin` until the old stream is closed."""
        return self._opening is not None or self._closing is not None

    def waits(self, now: float) -> float:
        """Return for how many seconds a device call has run; 0.0 without one."""
        call = self._opening or self._closing
        return now - call.began if call is not None and not call.done else 0.0

    def begin(self, open_stream: Callable[[], OutputStream]) -> None:
        """Open the new stream in the background."""
        self._opening = BackgroundCall(open_stream)

    def step(self, now: float) -> OutputStream | None:
        """Advance the change; return the new stream from when it runs until `finish`."""
        if self._closing is not None and self._closing.done:
            self._closing = None
        opening = self._opening
        if opening is None or not opening.done:
            return None
        new = opening.result
        if new is not None and not new.settled and now - opening.began < _SETTLING_S:
            return None
        if new is None:
            self._opening, self.possible = None, False
        return new

    def finish(self, stream: OutputStream, after: float = 0.0) -> None:
        """Close one of the two streams in the background, `after` seconds and more from now."""
        self._opening = None
        self._closing = BackgroundCall(lambda: _close(stream, after))


def _close(stream: OutputStream, after: float) -> None:
    time.sleep(after + _DRAIN_S)
    stream.close()
