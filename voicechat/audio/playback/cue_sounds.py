"""Cue sounds of the app, synthesized from decaying sines."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

_NOTES: dict[str, tuple[tuple[float, float, float], ...]] = {
    # name: (begin s, length s, Hz) of each note
    "ready": ((0.0, 0.16, 523.25), (0.09, 0.22, 783.99)),
    "listening": ((0.0, 0.12, 659.25),),
    "working": ((0.0, 0.09, 440.0), (0.12, 0.09, 440.0)),
    "asking": ((0.0, 0.12, 587.33), (0.14, 0.12, 587.33), (0.28, 0.22, 880.0)),
    "stopped": ((0.0, 0.12, 392.0),),
    "error": ((0.0, 0.16, 311.13), (0.12, 0.26, 233.08)),
    "alarm": tuple((0.25 * i, 0.22, 880.0 if i % 2 else 1046.5) for i in range(8)),
}
_LOUDNESS = 5500.0

NAMES = frozenset(_NOTES)

MAX_DELAY_S: Final = 0.6
"""Seconds after which a waiting cue is dropped, because it would be misleading."""
_MAX_WAITING: Final = 4


class CueQueue:
    """Cues that wait for the current one to end. At most four; the oldest is dropped."""

    def __init__(self) -> None:
        self._names: deque[tuple[str, float]] = deque(maxlen=_MAX_WAITING)

    def add(self, name: str, now: float) -> None:
        """Queue a cue that is due at `now` (monotonic s)."""
        self._names.append((name, now))

    def next(self, now: float) -> str | None:
        """Return the next cue that is not too late, or None."""
        while self._names:
            name, queued_at = self._names.popleft()
            if now - queued_at <= MAX_DELAY_S:
                return name
        return None


def synthesize(name: str, rate: int) -> NDArray[np.float32] | None:
    """Return a cue as float32 at int16 scale, shape (frames,); None for an unknown name."""
    notes = _NOTES.get(name)
    if notes is None:
        return None
    length = max(begin + span for begin, span, _ in notes)
    sound = np.zeros(int(length * rate) + 1, np.float32)
    for begin, span, pitch in notes:
        time = np.arange(int(span * rate), dtype=np.float32) / rate
        attack = np.minimum(1.0, time / 0.006)
        release = np.minimum(1.0, (span - time) / 0.02)
        body = np.exp(-time * 3.5 / span) * attack * release
        tone = np.sin(2 * np.pi * pitch * time) + 0.25 * np.sin(4 * np.pi * pitch * time)
        start = int(begin * rate)
        sound[start : start + len(time)] += (_LOUDNESS * body * tone).astype(np.float32)
    return sound
