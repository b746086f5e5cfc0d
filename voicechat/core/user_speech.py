"""Whether the provider hears the person, and when they fell silent, whoever says so.

Most providers say when speech begins and ends. One that only tells that it was interrupted never
says that the interruption is over, so that it has to end by itself: `SILENT_S` after the last
word that was understood, or when the sound side has heard the voice end.
"""

from __future__ import annotations

from voicechat.core.settings import Capabilities

SILENT_S = 4.0
"""Seconds without a word, where the provider does not say when speech ends."""

LONGEST_S = 90.0
"""Seconds without a word, where it does: then what says so was lost."""

RECENT_S = 8.0
"""Seconds for which the end of a voice, as the sound side heard it, can be that of a turn."""


class Speech:
    """The person's speech as it is heard at the other end. Times are seconds on one clock."""

    def __init__(self, can: Capabilities) -> None:
        self.active = False
        """The provider hears the person."""
        self._patience_s = LONGEST_S if can.speech_end else SILENT_S
        self._sign_at = 0.0
        self._voice_ended_at: float | None = None

    @property
    def due(self) -> float | None:
        """When speech counts as over without a word of the provider."""
        return self._sign_at + self._patience_s if self.active else None

    def began(self, now: float) -> None:
        """The provider says that the person speaks."""
        self.active, self._sign_at = True, now

    def sign(self, now: float) -> None:
        """Something was understood of it."""
        self._sign_at = now

    def over(self) -> None:
        """It is over."""
        self.active = False

    def voice_ended(self, at: float) -> None:
        """The sound side heard the last of the voice at this time."""
        self._voice_ended_at = at

    def ended_at(self, now: float) -> float | None:
        """When the voice of the turn that ends now fell silent; None when that is not known."""
        at, self._voice_ended_at = self._voice_ended_at, None
        return at if at is not None and now - RECENT_S <= at <= now else None

    def tick(self, now: float) -> None:
        """Time passed."""
        if self.due is not None and now >= self.due:
            self.over()
