"""Buffer sizes of the streams: as short as this machine keeps up with.

A machine that falls behind gets larger buffers. After a calm time shorter ones are tried again, but
the shortest ones not while the machine is overloaded; each failed trial multiplies the next calm
time by four.
"""

from __future__ import annotations

import os
from typing import Final, Protocol

from voicechat.audio.devices.streams import BUFFER_SIZES, BufferSize

_MAX_CLOSE_CALLS: Final = 3
"""Near misses after which blocks get larger at the next silence."""
_MAX_UNDERFLOWS: Final = 2
"""Underruns after which buffers get larger in the middle of a sentence.

More of them would be worse than a high latency, so buffers grow by two steps.
"""
_MAX_UNDERFLOWS_BEFORE_GAP: Final = 5
"""The same where the change leaves a gap."""
_CALM_S: Final = 120.0
_LONGEST_CALM_S: Final = 4 * 3600.0


def is_overloaded() -> bool:
    """Return True if more programs want to run than there are cores; False where that is unknown.

    The average is that of the last minute.
    """
    try:
        return os.getloadavg()[0] > (os.cpu_count() or 1)
    except (AttributeError, OSError):  # Windows has none, and a sandbox may hide it
        return False


class StreamCounters(Protocol):
    """Counters of an open speaker since it was opened."""

    underflows: int
    close_calls: int


class BufferSizing:
    """Chooses the buffer size; `size` is the one to open the streams with."""

    def __init__(self) -> None:
        self._index = 0
        self._calm_s = _CALM_S
        self._calm_since = 0.0
        self._counters = (0, 0)
        self._on_trial = False

    @property
    def size(self) -> BufferSize:
        """The current entry of `BUFFER_SIZES`."""
        return BUFFER_SIZES[self._index]

    def has_seen(self, speaker: StreamCounters) -> bool:
        """Return True if nothing was counted since the last call of `changes`."""
        return self._counters == (speaker.underflows, speaker.close_calls)

    def changes(
        self,
        speaker: StreamCounters,
        busy: bool,
        quiet: bool,
        now: float,
        *,
        gapless: bool = False,
    ) -> bool:
        """Return True if the speaker must be opened with a new `size`.

        `busy`: something plays; `quiet`: the microphone hears nothing; `gapless`: a change leaves
        no gap. Only trouble that is heard justifies a change while something is heard.
        """
        counters = (speaker.underflows, speaker.close_calls)
        if counters != self._counters or not self._calm_since:
            self._counters, self._calm_since = counters, now
        heard, larger = busy or not quiet, len(BUFFER_SIZES) - 1 - self._index
        if larger and self._behind(speaker, heard, gapless):
            if self._on_trial:
                self._calm_s = min(_LONGEST_CALM_S, 4 * self._calm_s)
            return self._change(min(larger, 2) if heard else 1)
        is_calm = quiet and not busy and now - self._calm_since >= self._calm_s
        return self._index > 0 and is_calm and self._may_shrink() and self._change(-1)

    def _behind(self, speaker: StreamCounters, heard: bool, gapless: bool) -> bool:
        if heard:
            most = _MAX_UNDERFLOWS if gapless else _MAX_UNDERFLOWS_BEFORE_GAP
            return speaker.underflows >= most
        return speaker.underflows > 0 or speaker.close_calls >= _MAX_CLOSE_CALLS

    def _may_shrink(self) -> bool:
        return self._index > 1 or not is_overloaded()

    def _change(self, step: int) -> bool:
        self._index += step
        self._on_trial = step < 0
        self._calm_since = 0.0
        return True
