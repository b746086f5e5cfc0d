"""When the person fell silent, frame by frame, whatever the speaker does meanwhile."""

from __future__ import annotations

from typing import Final

from voicechat.audio.capture.voice_gate import SpeechVotes

_SPEAKING: Final = (8, 12)
"""So many voiced frames of so many, 10 ms each, are speech and not a cough."""
_SILENT: Final = 25
"""Frames without a voice that end it."""


class Lull:
    """Weighs the frames of one microphone."""

    def __init__(self) -> None:
        self._heard = SpeechVotes()
        self._speaking = False
        self._last = 0.0

    def frame(self, voiced: bool, now: float) -> float | None:
        """Weigh 10 ms that end at the time `now` (s); when speech ended, if that is sure now."""
        self._heard.add(voiced)
        if voiced:
            self._last = now
        if not self._speaking:
            self._speaking = self._heard.at_least(_SPEAKING)
        elif self._heard.silent_for(_SILENT):
            self._speaking = False
            self._heard.forget()
            return self._last
        return None
