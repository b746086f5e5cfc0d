"""Barge-in: the effect of the user's voice on playback, decided per 10 ms frame.

    idle ──suspect──► ducked ──confirm──► held ──Stop / Resume──► talking ──silence──► idle
                         └───silence──► idle (false alarm: playback is restored)

The fast detector can raise a suspicion; only the reliable one confirms it. Pure: VAD decisions and
the time go in, steps come out.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

from voicechat.audio.capture.voice_activity import (
    CAREFUL,
    GUARDED,
    VOTES,
    Sensitivity,
    SpeechVotes,
    Votes,
)


class BargeInStep(Enum):
    """An action of the engine on playback."""

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
_PAUSE_S: Final = 1.0
"""Seconds without suspicion after a false alarm."""
_DISTRUST_S: Final = 20.0
_MAX_DISTRUST_S: Final = 320.0
"""Seconds after a false alarm in which more is needed; grows each time."""
_DISTRUSTED: Final = (7, 9)
"""Frames with a voice by the fast detector, of how many, that suspect speech after one false
alarm; after more in a row, only confirmed speech counts.
"""
_DECISION_S: Final = 5.0
"""Seconds after which held playback resumes without a decision."""


class BargeIn:
    """Barge-in state of one microphone and one speaker."""

    def __init__(self, sensitivity: Sensitivity) -> None:
        self.enabled = sensitivity != "off"
        self._thresholds = VOTES["normal" if sensitivity == "off" else sensitivity]
        self._reliable_votes = SpeechVotes()
        self._votes_since_duck = SpeechVotes()
        """As `_reliable_votes`, but reset when playback is ducked after a recent false alarm."""
        self._fast_votes = SpeechVotes()
        self._state = _State.IDLE
        self._since = 0.0
        self._pause_until = 0.0
        self._distrust_s = _DISTRUST_S
        self._distrust_until = 0.0
        self.can_skip = True
        """True while a frame without voice changes nothing and may be left out."""

    @property
    def above_floor_db(self) -> float:
        """Level above the noise floor that a voice needs, in dB."""
        return self._thresholds.above_floor_db

    def frame(
        self,
        voiced: bool,
        sounding: bool,
        converged: bool,
        now: float,
        seems: bool = False,
        guarded: bool = False,
    ) -> BargeInStep | None:
        """Process one 10 ms frame; return the step to take, if any.

        `voiced`: reliable VAD decision; `seems`: decision of the fast detector; `sounding`:
        playback is audible; `converged`: the echo canceller works; `now`: monotonic s; `guarded`:
        it is not trusted, and `voiced` is the decision without it.
        """
        if not self.enabled:
            return None
        self._reliable_votes.add(voiced)
        self._votes_since_duck.add(voiced)
        self._fast_votes.add(seems)
        votes_needed = GUARDED if guarded else self._thresholds if converged else CAREFUL
        step = self._step(votes_needed, sounding, converged, now)
        votes = self._reliable_votes or self._votes_since_duck or self._fast_votes
        self.can_skip = self._state is _State.IDLE and not votes
        return step

    def _step(
        self, needed: Votes, sounding: bool, converged: bool, now: float
    ) -> BargeInStep | None:
        match self._state:
            case _State.IDLE:
                return self._idle(needed, sounding, converged, now)
            case _State.DUCKED:
                return self._ducked_state(needed, now)
            case _State.HELD:
                return self._held(now)
            case _State.TALKING:
                return self._talking()

    def decided(self, false_alarm: bool, now: float) -> None:
        """Apply the decision of the conversation: stop, or resume after a false alarm."""
        if false_alarm:
            self._pause_until = now + _PAUSE_S
            for votes in (self._reliable_votes, self._votes_since_duck, self._fast_votes):
                votes.clear()
        if self._state in (_State.HELD, _State.DUCKED):
            self._state = _State.IDLE if false_alarm else _State.TALKING

    def _idle(
        self, votes: Votes, sounding: bool, converged: bool, now: float
    ) -> BargeInStep | None:
        if not sounding or now < self._pause_until:
            return None
        trusts_fast = votes is GUARDED or now >= self._distrust_until
        sure = self._reliable_votes.at_least(votes.suspect if trusts_fast else votes.confirm)
        fast = votes.suspect if trusts_fast else _DISTRUSTED
        hints = trusts_fast or self._distrust_s <= 4 * _DISTRUST_S
        suspected = converged and hints and self._fast_votes.at_least(fast)
        if not sure and not suspected:
            return None
        self._state = _State.DUCKED
        if not trusts_fast:
            # After ducking an echo is gone and a voice is not: count from here.
            self._votes_since_duck.clear()
        return BargeInStep.DUCK

    def _ducked_state(self, votes: Votes, now: float) -> BargeInStep | None:
        if self._votes_since_duck.at_least(votes.confirm):
            self._state = _State.HELD
            self._since = now
            self._distrust_s = _DISTRUST_S
            return BargeInStep.HOLD
        silent = self._reliable_votes.silent_for(_FALSE_ALARM_FRAMES)
        if silent and self._fast_votes.silent_for(_FALSE_ALARM_FRAMES):
            self._state = _State.IDLE
            if votes is not GUARDED:
                self._distrust_until = now + self._distrust_s
                self._distrust_s = min(_MAX_DISTRUST_S, 4 * self._distrust_s)
            return BargeInStep.RESTORE
        return None

    def _held(self, now: float) -> BargeInStep | None:
        if now - self._since < _DECISION_S:
            return None
        self.decided(false_alarm=True, now=now)
        return BargeInStep.RESTORE

    def _talking(self) -> BargeInStep | None:
        if not self._reliable_votes.silent_for(_SILENCE_FRAMES):
            return None
        self._state = _State.IDLE
        return BargeInStep.ENDED
