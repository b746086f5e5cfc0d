"""Deciding, frame by frame, what the person's voice does to the sound that is playing.

    idle ──suspect──► lowered ──confirm──► held ──Stop / Resume──► talking ──silence──► idle
                         └───silence──► idle (a false alarm: loudness comes back)

A suspicion may come from a quick ear that errs now and then; only the sure one confirms.
Pure: 10 ms verdicts and the clock go in, steps come out.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from voicechat.audio.capture.voice_activity import CAREFUL, VOTES, Sensitivity, SpeechVotes


class BargeInStep(Enum):
    """What the engine does now."""

    DUCK = auto()
    RESTORE = auto()
    HOLD = auto()
    ENDED = auto()


class _State(Enum):
    IDLE = auto()
    DUCKED = auto()
    HELD = auto()
    TALKING = auto()


_FALSE_ALARM_FRAMES: Final = 20
_SILENCE_FRAMES: Final = 40
_REST_S: Final = 1.0
"""After a false alarm nothing is suspected for this long."""
_DISTRUST_S: Final = 20.0
_MOST_DISTRUST_S: Final = 600.0
"""After a false alarm only certainty counts for so long; each time far longer."""
_UNANSWERED_S: Final = 5.0
"""Held sound that nobody decides about plays on after this."""


class BargeIn:
    """One person's voice against one speaker."""

    def __init__(self, sensitivity: Sensitivity) -> None:
        self.enabled = sensitivity != "off"
        self._votes = VOTES["normal" if sensitivity == "off" else sensitivity]
        self._heard = SpeechVotes()
        self._counted = SpeechVotes()
        """As `_heard`, but what was heard before the sound was lowered may not count."""
        self._seemed = SpeechVotes()
        self._state = _State.IDLE
        self._since = 0.0
        self._rest_until = 0.0
        self._distrust_s = _DISTRUST_S
        self._distrust_until = 0.0

    @property
    def above_floor_db(self) -> float:
        """How far above the room's noise a voice must be."""
        return self._votes.above_floor_db

    def frame(
        self, voiced: bool, sounding: bool, converged: bool, now: float, seems: bool = False
    ) -> BargeInStep | None:
        """Weigh 10 ms. `sounding`: the assistant is heard; `converged`: no echo is left.

        `seems`: the quick ear's word for `voiced`.
        """
        if not self.enabled:
            return None
        self._heard.add(voiced)
        self._counted.add(voiced)
        self._seemed.add(seems)
        match self._state:
            case _State.IDLE:
                return self._idle(sounding, converged, now)
            case _State.DUCKED:
                return self._ducked_state(converged, now)
            case _State.HELD:
                return self._held(now)
            case _State.TALKING:
                return self._talking()

    def decided(self, false_alarm: bool, now: float) -> None:
        """The conversation answered with Stop or Resume."""
        if false_alarm:
            self._rest_until = now + _REST_S
            for votes in (self._heard, self._counted, self._seemed):
                votes.forget()
        if self._state in (_State.HELD, _State.DUCKED):
            self._state = _State.IDLE if false_alarm else _State.TALKING

    def _idle(self, sounding: bool, converged: bool, now: float) -> BargeInStep | None:
        votes = self._votes if converged else CAREFUL
        if not sounding or now < self._rest_until:
            return None
        trusting = now >= self._distrust_until
        sure = self._heard.at_least(votes.suspect if trusting else votes.confirm)
        hasty = trusting and converged and self._seemed.at_least(votes.suspect)
        if not sure and not hasty:
            return None
        self._state = _State.DUCKED
        if not trusting:
            # Lowered, an echo is gone and a person is not: all is counted anew.
            self._counted.forget()
        return BargeInStep.DUCK

    def _ducked_state(self, converged: bool, now: float) -> BargeInStep | None:
        votes = self._votes if converged else CAREFUL
        if self._counted.at_least(votes.confirm):
            self._state = _State.HELD
            self._since = now
            self._distrust_s = _DISTRUST_S
            return BargeInStep.HOLD
        silent = self._heard.silent_for(_FALSE_ALARM_FRAMES)
        if silent and self._seemed.silent_for(_FALSE_ALARM_FRAMES):
            self._state = _State.IDLE
            self._distrust_until = now + self._distrust_s
            self._distrust_s = min(_MOST_DISTRUST_S, 15 * self._distrust_s)
            return BargeInStep.RESTORE
        return None

    def _held(self, now: float) -> BargeInStep | None:
        if now - self._since < _UNANSWERED_S:
            return None
        self.decided(false_alarm=True, now=now)
        return BargeInStep.RESTORE

    def _talking(self) -> BargeInStep | None:
        if not self._heard.silent_for(_SILENCE_FRAMES):
            return None
        self._state = _State.IDLE
        return BargeInStep.ENDED
