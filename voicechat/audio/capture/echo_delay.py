"""The far end before the linear filter, delayed so that the filter covers the echo at any delay.

Devices lose sound, and then the echo jumps. It is found again in three ways, of which each may come
first. A jump that is noticed more than once moves the far end once:

    searched   the known echo was found in the microphone's sound at another delay: at once
    detected   the echo detector found another delay: after 0.3 s
    shifted    the times of the callbacks showed a loss, and the whole far end was moved: the echo
               is back in its place, after 0.5 to 2 s
"""

from __future__ import annotations

from typing import Final

import numpy as np

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.speech.pcm import Samples

_AHEAD: Final = 8 * FRAME
"""Samples of the filter before an echo at the known delay."""
_COVERED: Final = 16 * FRAME
"""Samples of the filter in which an echo may begin, so that its tail lies in it."""
_LONGEST: Final = 9_600
"""Longest delay in samples."""
_KEPT: Final = 25 * FRAME
"""Samples that have left the line and are kept: what the filter holds."""
_SAME: Final = 80
"""Difference in samples of two measurements of the same delay."""
_INEXACT: Final = 4
"""Error of a measured jump in samples: devices lose whole blocks of 10 ms."""
_FORGOTTEN_FRAMES: Final = 200
"""Frames after which a shift of the far end no longer belongs to an earlier move."""


class EchoDelay:
    """A delay line that follows the delay of the echo."""

    def __init__(self, echo_delay: int = 0) -> None:
        """echo_delay: of the echo, in samples; 0 if it is not known."""
        self.samples = min(max(0, echo_delay - _AHEAD), _LONGEST)
        """Delay of the line in samples."""
        self.rest = 0
        """Samples of the last move that the line cannot take, because the echo comes too early."""
        self._echo_delay = echo_delay
        self._recent: Samples = np.zeros(_LONGEST + _KEPT, np.int16)
        self._moved, self._moved_frames = 0, 0
        """Samples of the newest moves that a shift of the far end may undo, and their age."""

    def take(self, frame: Samples) -> Samples:
        """Put in 10 ms and return 10 ms that were put in earlier."""
        self._recent = np.concatenate((self._recent[FRAME:], frame))
        self._moved_frames += 1
        return self.newest(1)

    def newest(self, frames: int) -> Samples:
        """Return the last frames that left the line, as if the delay had always been this one."""
        end = len(self._recent) - self.samples
        return self._recent[end - frames * FRAME : end]

    def searched(self, later: int) -> bool:
        """Note that the known echo is `later` samples late; return False if that cannot be."""
        if self._echo_delay + later < 0:
            return False
        self._move(_exact(later))
        return True

    def drifted(self, echo_delay: int) -> None:
        """Note the delay that the echo detector measures while the echo does not jump."""
        if abs(echo_delay - self._echo_delay) <= _SAME:
            self._echo_delay = echo_delay

    def stays(self, echo_delay: int) -> bool:
        """Return True if the filter covers an echo at this delay too; the line stays as it is."""
        covered = 0 <= echo_delay - self.samples <= _COVERED
        if covered:
            self._echo_delay = echo_delay
        return covered

    def detected(self, echo_delay: int) -> bool:
        """Note the delay to which the echo has jumped by the detector; return True if it is new."""
        later = _exact(echo_delay - self._echo_delay)
        if abs(later) <= _SAME:
            self._echo_delay = echo_delay
            return False
        self._move(later)
        return True

    def shifted(self, later: int, played: Samples) -> None:
        """Note that the far end was moved by `later` samples, or 0 if it only sounds otherwise.

        If a jump by as much was noticed before, the echo is back at the delay before it. played:
        the far end up to now as it is after the move, int16 of at least `_LONGEST` + `_KEPT`.
        """
        self._recent = played[-len(self._recent) :]
        is_new = self._moved_frames <= _FORGOTTEN_FRAMES
        self.rest = 0
        if is_new and self._moved and abs(self._moved - later) <= _SAME:
            self._move(-later)
        self._moved = 0

    def _move(self, later: int) -> None:
        is_old = self._moved_frames > _FORGOTTEN_FRAMES
        self._moved, self._moved_frames = (0 if is_old else self._moved) + later, 0
        before = self.samples
        self.samples = min(max(0, before + later), _LONGEST)
        self.rest = later - (self.samples - before)
        self._echo_delay += later


def _exact(later: int) -> int:
    """Return the whole blocks that a jump probably is."""
    blocks = round(later / FRAME) * FRAME
    return blocks if blocks and abs(later - blocks) <= _INEXACT else later
