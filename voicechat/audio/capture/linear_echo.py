"""The linear filter over the life of an echo: started when one is found, and moved with it.

The echo is searched where the filter does not find it, because devices lose sound under load.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from voicechat.audio.capture.aec_warm_start import WarmOnsetDetector
from voicechat.audio.capture.echo_detector import BypassableCanceller
from voicechat.audio.capture.frame_pair import FramePair, LinearResult
from voicechat.audio.capture.linear_aec import OnsetDetector
from voicechat.speech.pcm import Samples, dbfs

_MAX_SHIFT: Final = 80
"""Change of the echo's delay in samples that is not a jump."""
_SEARCH_FRAMES: Final = 4
"""Frames between two searches for an echo that jumped; each takes 2 ms."""
_CHECK_FRAMES: Final = 2
"""The same while a voice is heard that may be the echo."""
_PROOFS: Final = 2
"""Searches in a row that prove that the echo is in its place."""
_OLD_FRAMES: Final = 50
"""Frames after a stream was opened in which the echo of the old one may still be found."""
_SEARCHED_DB: Final = -50.0
"""Level in dBFS of the softest echo that is searched."""


class LinearEcho:
    """The linear filter with what it needs to know of the echo."""

    def __init__(self) -> None:
        self.detector = OnsetDetector()
        self.delay: int | None = None
        """Delay of the echo in samples as it was last detected; None without an echo."""
        self.disturbed = False
        """True if a reply was disturbed, perhaps before its echo was found."""
        self._unsearched_frames = 0
        self._times_in_place = 0
        """Searches in a row that found the echo in its place."""
        self._old_frames = 0
        self._is_echo = False
        """True if the newest search found the echo."""
        self.jumped = False
        """True if what seemed a voice to `judge` is an echo that has jumped again."""

    def follow(
        self, delay: int | None, past: Iterable[FramePair], held: Iterable[FramePair]
    ) -> bool:
        """Take the detected delay of the echo in samples; return True if it has jumped.

        For an echo that has just been found, `past` and `held` train the filter. After a
        disturbance they may have two delays: then it counts as a jump, too.
        """
        before, self.delay = self.delay, delay
        if delay is None:
            return False
        if before is None:
            pairs = ([each[:2] for each in some] for some in (past, held))
            self.detector = WarmOnsetDetector(delay, *pairs)
            disturbed, self.disturbed = self.disturbed, False
            return disturbed
        if abs(delay - before) <= _MAX_SHIFT:
            self.detector.delay.drifted(delay)
            return False
        if not self.detector.knows_echo and self.detector.delay.stays(delay):
            return True
        has_jumped = self.detector.delay.detected(delay)
        if has_jumped:
            self.detector.move()
        return has_jumped

    def reopened(self) -> None:
        """Note that a stream was opened again: the echo may be anywhere."""
        self._old_frames = _OLD_FRAMES

    def far_end_shifted(self, later: int, played: Samples) -> None:
        """Note that the far end was moved by `later` samples, or that a part of it was discarded.

        played: the far end up to now as it is then, at least 13600 samples.
        """
        self.detector.delay.shifted(later, played)
        self.detector.move()

    def far_end_later(self, later: int) -> None:
        """Note that the far end is `later` samples later for good, without sound in it."""
        if self.delay is not None and self.detector.delay.searched(-later):
            self.delay -= later
            self.detector.move()

    def has_jumped(self, canceller: BypassableCanceller) -> bool:
        """Return True if the newest sound of the microphone is the echo at another delay.

        An echo that moved by little is followed at once.
        """
        shift = canceller.shift_of_echo(self.detector) or 0
        if abs(shift) > _MAX_SHIFT:
            return True
        if shift and self.detector.delay.searched(shift):
            self.detector.move()
        return False

    def judge(
        self, near: Samples, result: LinearResult, canceller: BypassableCanceller
    ) -> bool | None:
        """Return whether the filter hears a voice that is not the echo at any delay.

        Returns None if the filter cannot tell.

        After a disturbance, the echo is searched, and found in its place or elsewhere.
        """
        self.jumped = False
        seems = result.hears_voice(near)
        self._is_echo = self._is_echo and seems
        self._unsearched_frames += 1
        self._old_frames = max(0, self._old_frames - 1)
        due = self._unsearched_frames >= (_CHECK_FRAMES if seems else _SEARCH_FRAMES)
        if due and (seems or self.detector.lost) and dbfs(near) > _SEARCHED_DB:
            self._unsearched_frames = 0
            shift = canceller.shift_of_echo(self.detector)
            self._is_echo = shift is not None
            self.jumped = seems and abs(shift or 0) > _MAX_SHIFT
            self._found(shift)
        if seems:
            return not self._is_echo
        return False if result.rules_out else None

    def _found(self, shift: int | None) -> None:
        is_in_place = shift == 0 and not self._old_frames
        self._times_in_place = self._times_in_place + 1 if is_in_place else 0
        if shift and self.detector.delay.searched(shift):
            self.detector.move()
        elif self._times_in_place >= _PROOFS:
            self._times_in_place = 0
            self.detector.trust()

    def run(self, pair: FramePair, heard: Samples) -> LinearResult:
        """Run the filter. `heard`: the output of the canceller."""
        linear = self.detector
        seems = linear.voiced(pair.near, pair.far, heard)
        found = linear.residue, linear.clean, linear.has_voice, seems, seems and linear.warm
        return LinearResult(*found, linear.reliable, linear.tail_db)
