"""How long to gather sound before playing, learnt from when it arrives.

Were an item played from its first sound on, a later piece would be too late by the time since
then minus the sound that came before it. The most of that, remembered over items and slowly
forgotten, is what has to be gathered; a network that runs ahead of the sound needs next to none.
"""

from __future__ import annotations

from typing import Final

_LEAST_MS: Final = 40.0
_MOST_MS: Final = 480.0
"""Later than this is a pause, which no gathering would bridge."""
_NOTICED_MS: Final = 5.0
_HALF_LIFE_S: Final = 30.0


class Jitter:
    """`late_ms` is how far this network fell behind lately."""

    def __init__(self) -> None:
        self.late_ms = 0.0
        self._piece_ms = 0.0
        self._item: str | None = None
        self._began = 0.0
        self._sound_ms = 0.0

    def arrived(self, item_id: str, ms: float, now: float) -> None:
        """So much sound of an item came at `now` (s)."""
        late = (now - self._began) * 1000 - self._sound_ms
        if item_id != self._item or late > _MOST_MS:
            self._item, self._began, self._sound_ms = item_id, now, 0.0
            self._piece_ms = 0.0
        elif late > max(_NOTICED_MS, self.late_ms):
            self.late_ms = late
        self._piece_ms = max(self._piece_ms, ms)
        self._sound_ms += ms

    def calm(self, seconds: float) -> None:
        """So much time passed with sound playing: half is forgotten in 30 s."""
        self.late_ms *= 0.5 ** (seconds / _HALF_LIFE_S)
        if self.late_ms < _NOTICED_MS:
            self.late_ms = 0.0

    @property
    def gather_ms(self) -> float:
        """So much sound is enough to begin with at once."""
        return _LEAST_MS + (self.late_ms + self._piece_ms if self.late_ms else 0.0)

    @property
    def wait_ms(self) -> float:
        """Whatever there is may be played so long after the first of it came."""
        return _LEAST_MS + self.late_ms
