"""Parking: the stream of a speaker that plays nothing is stopped, and started before it is needed.

A running stream wakes the processor 200 to 400 times a second, also for silence. Through a sound
server of Linux it starts again within 1 ms; elsewhere that was not measured, and it runs on.
"""

from __future__ import annotations

import sys
from typing import Final

from voicechat.audio.devices.background_call import BackgroundCall
from voicechat.audio.devices.streams import OutputStream

UNUSED_S: Final = 5.0
"""Seconds without a use after which the stream is stopped."""


class SpeakerParking:
    """Parks one speaker at a time. Single thread; call `use` often."""

    def __init__(self) -> None:
        self._call: BackgroundCall[None] | None = None
        self._used_at = 0.0

    @property
    def active(self) -> bool:
        """True while a stream is being stopped or started."""
        return self._call is not None

    def use(self, speaker: OutputStream | None, now: float, *, needed: bool) -> bool:
        """Stop the speaker if it was not needed for `UNUSED_S`, or start it; `now`: monotonic s.

        Return False if it did not start, so that it must be reopened.
        """
        if self._call is not None:
            if not self._call.done:
                return True
            error, self._call = self._call.error, None
            if error is not None:
                return False
        if needed or speaker is None:
            self._used_at = now
        if speaker is None:
            return True
        if speaker.parked:
            if needed:
                self._call = BackgroundCall(speaker.unpark)
        elif now - self._used_at >= UNUSED_S and can_park(speaker):
            self._call = BackgroundCall(speaker.park)
        return True


def can_park(speaker: OutputStream) -> bool:
    """Return True if the stream runs steadily through a sound server of Linux."""
    is_served = sys.platform == "linux" and not speaker.is_direct
    return is_served and speaker.monitor is None and speaker.runs and speaker.settled
