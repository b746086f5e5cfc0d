"""The linear filter over the life of an echo: started when one is found, moved with it, restarted.

The echo is searched where the filter does not find it, because devices lose sound under load.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from voicechat.audio.capture.aec_warm_start import WarmOnsetDetector
from voicechat.audio.capture.echo_delay import EchoDelay
from voicechat.audio.capture.echo_detector import BypassableCanceller
from voicechat.audio.capture.frame_pair import FramePair, LinearResult
from voicechat.audio.capture.linear_aec import OnsetDetector
from voicechat.speech.pcm import Samples, dbfs

_MAX_SHIFT: Final = 80
"""Change of the echo's delay in samples that is not a jump."""
_SEARCH_FRAMES: Final = 4
"""Frames between two searches for an echo that jumped; each takes 2 ms."""
_SEARCHED_DB: Final = -50.0
"""Level in dBFS of the softest echo that is searched."""


class LinearEcho:
    """The linear filter with what it needs to know of the echo."""

    def __init__(self) -> None:
        self.detector = OnsetDetector()
        self._delay: int | None = None
        """Delay of the echo in samples as it was last detected; None without an echo."""
        self._unsearched_frames = 0

    def restart(self) -> None:
        """Learn the echo anew, because the streams were reopened."""
        self.detector = OnsetDetector(delay=EchoDelay(self._delay or 0))

    @property
    def warm(self) -> bool:
        """True while the detector was started with what the first frames of an echo show."""
        return isinstance(self.detector, WarmOnsetDetector) and self.detector.warm

    def knows(self, delay: int | None) -> bool:
        """Return True if this is the delay of the echo that the filter was told about."""
        return self._delay == delay

    def follow(
        self, delay: int | None, past: Iterable[FramePair], held: Iterable[FramePair]
    ) -> bool:
        """Take the detected delay of the echo in samples; return True if it has jumped.

        For an echo that has just been found, `past` and `held` train the filter.
        """
        before, self._delay = self._delay, delay
        if delay is None:
            return False
        if before is None:
            pairs = ([each[:2] for each in some] for some in (past, held))
            self.detector = WarmOnsetDetector(delay, *pairs)
            return False
        if abs(delay - before) <= _MAX_SHIFT:
            return False
        moved = self.detector.delay.detected(delay - before)
        if moved:
            self.detector.move(moved)
        return moved != 0

    def far_end_shifted(self, later: int) -> None:
        """Note that the far end was moved by so many samples, to compensate a loss."""
        self.detector.move(self.detector.delay.shifted(later))

    def search(self, near: Samples, canceller: BypassableCanceller) -> None:
        """Find an echo again that is not where it was, by what is known of it."""
        self._unsearched_frames += 1
        due = self.detector.lost and self._unsearched_frames >= _SEARCH_FRAMES
        if not due or dbfs(near) < _SEARCHED_DB:
            return
        self._unsearched_frames = 0
        if later := canceller.moved_by(self.detector):
            self.detector.move(self.detector.delay.searched(later))

    def run(self, pair: FramePair, heard: Samples) -> LinearResult:
        """Run the filter. `heard`: the output of the canceller."""
        linear = self.detector
        seems = linear.voiced(pair.near, pair.far, heard)
        found = linear.residue, linear.clean, linear.has_voice, seems, seems and self.warm
        return LinearResult(*found, linear.reliable)
