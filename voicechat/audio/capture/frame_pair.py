"""10 ms of both sides, and what the stages of `Capture` find in them."""

from __future__ import annotations

from typing import Final, NamedTuple

from voicechat.speech.pcm import Samples, dbfs

_RESIDUE_DB: Final = 1.0
"""Most that a residue with a voice exceeds the microphone's sound, in dB."""
_LEFT_DB: Final = 3.0
"""Most that the filter removes of a voice in the output of the canceller, in dB."""

_TAIL_DB: Final = 6.0
"""Margin in dB of a voice over the reverberation that is expected."""


class VoiceActivity(NamedTuple):
    """Voice activity of 10 ms: reliable (`sure`), or fast (`seems`).

    `guarded`: judged while the canceller is not trusted.
    """

    sure: bool
    seems: bool
    guarded: bool = False


class FramePair(NamedTuple):
    """10 ms of both sides with the output of the echo canceller."""

    near: Samples
    far: Samples
    cleaned: Samples
    muted: bool


class LinearResult(NamedTuple):
    """Output of the linear filter for one frame pair."""

    residue: Samples
    clean: bool
    has_voice: bool
    seems: bool
    sure: bool
    reliable: bool
    """True if `seems` can be believed although the canceller is not trusted."""
    tail_db: float
    """Level in dBFS of the reverberation that the filter does not reach."""

    def hears_voice(self, near: Samples) -> bool:
        """Return True if the filter itself is certain enough of a voice."""
        return self.reliable and self._is_heard(near)

    @property
    def rules_out(self) -> bool:
        """True if the filter is certain that there is no voice."""
        return self.reliable and self.clean and not self.has_voice

    def may_be_voice(self, near: Samples, sure: bool) -> bool:
        """Return True if one of the detectors heard a voice and the filter does not rule it out.

        `sure`: decision on the output of the canceller, which leaves an echo until it has adapted.
        """
        return self._is_heard(near) or (sure and (self.has_voice or not self.clean))

    def allows(self, heard: Samples) -> bool:
        """Return False if what the canceller leaves is an echo, because the filter removes it."""
        if self.has_voice or not self.clean:
            return True
        heard_db = dbfs(heard)
        return heard_db > self.tail_db + _TAIL_DB and dbfs(self.residue) > heard_db - _LEFT_DB

    def _is_heard(self, near: Samples) -> bool:
        """Return True if the fast detector heard a voice that the microphone has, too.

        What only the residue has is the estimate of an echo that did not arrive.
        """
        return self.seems and dbfs(self.residue) <= dbfs(near) + _RESIDUE_DB
