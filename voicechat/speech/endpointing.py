"""Endpointing: where a turn begins and ends, on the clock of the audio itself.

A turn begins when most of the last 100 ms is speech. It ends after a silence whose length depends
on the session's turn detection: `server_vad` sets it as `silence_duration_ms`; `semantic_vad` waits
the shorter, the more likely the words are a whole request.

Source: OpenAI Realtime API, "Voice activity detection".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from voicechat.speech.vad import VAD_RATE, Detector

_HYSTERESIS = 0.05
_ONSET_MS, _ONSET_WITHIN_MS = 60, 100
_LONGEST_MS = 60_000.0
_PAUSE_MS = 60.0
"""Silence in ms after which the speaker may be done; pauses within words are shorter."""

_CHANCES = (0.32, 0.05, 0.0)
"""Chances that the turn ends, each of which shortens the silence."""
_SILENCE_MS: Mapping[str, tuple[float, ...]] = {
    "low": (400.0, 650.0, 900.0, 1_500.0),
    "medium": (190.0, 350.0, 520.0, 700.0),
    "auto": (190.0, 350.0, 520.0, 700.0),
    "high": (160.0, 260.0, 350.0, 450.0),
}
"""Eagerness to silence in ms: after a chance above each of `_CHANCES`, and without one."""


@dataclass(frozen=True, slots=True)
class SpeechStart:
    """Speech began at `at_ms`."""

    at_ms: float


@dataclass(frozen=True, slots=True)
class SpeechEnd:
    """Speech ended at `at_ms`, was detected as ended at `until_ms` and lasted `spoken_ms`."""

    at_ms: float
    until_ms: float
    spoken_ms: float


class Endpointer:
    """Detects turns in a stream of 16 kHz mono PCM16."""

    def __init__(self, detector: Detector) -> None:
        self.speaking = False
        self.end_chance = 0.0
        """Set to the chance from 0 to 1 that the words so far are the whole turn."""
        self.pausing = False
        """True while the speaker pauses within a turn."""
        self.silence_ms = 0.0
        """Silence since the last speech of the turn."""
        self._detector = detector
        self._window = detector.window * 2
        self._window_ms = detector.window * 1000 / VAD_RATE
        self._onset_windows = ceil(_ONSET_MS / self._window_ms)
        self._recent: deque[bool] = deque(maxlen=max(ceil(_ONSET_WITHIN_MS / self._window_ms), 1))
        self._remainder = b""
        self._began_ms = self._voiced_ms = 0.0
        self._threshold = 0.5
        self._silence_ms = _SILENCE_MS["auto"]

    def configure(self, turns: Mapping[str, Any]) -> None:
        """Apply the session's `turn_detection` settings from the next window on."""
        self._threshold = turns.get("threshold", 0.5)
        silence = turns.get("silence_duration_ms")
        self._silence_ms = (
            _SILENCE_MS[turns.get("eagerness", "auto")]
            if silence is None
            else (float(silence),) * (len(_CHANCES) + 1)
        )

    def reset(self) -> None:
        """Forget the current turn and the detector's state."""
        self.speaking = self.pausing = False
        self.end_chance = 0.0
        self._recent.clear()
        self._remainder = b""
        self._detector.reset()

    def feed(self, pcm: bytes, end_ms: float) -> list[SpeechStart | SpeechEnd]:
        """Feed audio whose last sample is at `end_ms`; return the turn changes in it."""
        sound = self._remainder + pcm
        changes: list[SpeechStart | SpeechEnd] = []
        whole = len(sound) - len(sound) % self._window
        for start in range(0, whole, self._window):
            remaining_ms = (len(sound) - start - self._window) / 2 * 1000 / VAD_RATE
            window = sound[start : start + self._window]
            change = self._step(self._detector.probability(window), end_ms - remaining_ms)
            if change is not None:
                changes.append(change)
        self._remainder = sound[whole:]
        return changes

    def _step(self, probability: float, now: float) -> SpeechStart | SpeechEnd | None:
        if self.speaking:
            return self._speaking(probability, now)
        self._recent.append(probability >= self._threshold)
        if sum(self._recent) < self._onset_windows:
            return None
        first = len(self._recent) - self._recent.index(True)
        self._began_ms, self._voiced_ms = max(now - first * self._window_ms, 0.0), now
        self.speaking, self.pausing, self.silence_ms, self.end_chance = True, False, 0.0, 0.0
        self._recent.clear()
        return SpeechStart(self._began_ms)

    def _speaking(self, probability: float, now: float) -> SpeechEnd | None:
        if probability >= max(self._threshold - _HYSTERESIS, 0.01):
            self._voiced_ms = now
        self.silence_ms = now - self._voiced_ms
        self.pausing = self.silence_ms >= _PAUSE_MS
        grade = sum(self.end_chance <= chance for chance in _CHANCES)
        keeps_waiting = self.silence_ms < self._silence_ms[grade]
        if (keeps_waiting or now == self._voiced_ms) and now - self._began_ms < _LONGEST_MS:
            return None
        self.speaking = self.pausing = False
        return SpeechEnd(self._voiced_ms, now, self._voiced_ms - self._began_ms)
