"""Jitter buffer sizing: how much sound to collect before an item starts to play.

A chunk is late by the time since the item's first chunk less the sound received before it. The
largest lateness, kept across items and forgotten slowly, is the sound to collect. A network that
delivers faster than real time needs almost none.
"""

from __future__ import annotations

from typing import Final

_MIN_FILL_MS: Final = 40.0
_MAX_LATE_MS: Final = 480.0
"""A longer gap is a pause in the response that no jitter buffer can bridge."""
_MIN_LATE_MS: Final = 5.0
_HALF_LIFE_S: Final = 30.0


class JitterEstimator:
    """Estimates the network jitter; `late_ms` is the largest recent lateness."""

    def __init__(self) -> None:
        self.late_ms = 0.0
        self._chunk_ms = 0.0
        self._item: str | None = None
        self._started_at = 0.0
        self._sound_ms = 0.0

    def arrived(self, item_id: str, ms: float, now: float) -> None:
        """Record `ms` of sound of an item that arrived at `now` (monotonic s)."""
        late = (now - self._started_at) * 1000 - self._sound_ms
        if item_id != self._item or late > _MAX_LATE_MS:
            self._item, self._started_at, self._sound_ms = item_id, now, 0.0
            self._chunk_ms = 0.0
        elif late > max(_MIN_LATE_MS, self.late_ms):
            self.late_ms = late
        self._chunk_ms = max(self._chunk_ms, ms)
        self._sound_ms += ms

    def decay(self, seconds: float) -> None:
        """Decay the estimate by `seconds` of playback; it halves in 30 s."""
        self.late_ms *= 0.5 ** (seconds / _HALF_LIFE_S)
        if self.late_ms < _MIN_LATE_MS:
            self.late_ms = 0.0

    @property
    def fill_ms(self) -> float:
        """Sound in ms that is enough to start playback at once."""
        return _MIN_FILL_MS + (self.late_ms + self._chunk_ms if self.late_ms else 0.0)

    @property
    def max_wait_ms(self) -> float:
        """Time in ms after which playback starts with less."""
        return _MIN_FILL_MS + self.late_ms
