"""The far end before the linear filter, delayed so that the filter covers the echo at any delay.

Devices lose sound, and then the echo jumps. It is found again in three ways, of which each may come
first. Whatever is noticed twice moves the far end once:

    searched   the known echo was found in the microphone's sound at another delay: at once
    detected   the echo detector found another delay: after 0.3 s
    shifted    the times of the callbacks showed a loss, and the whole far end was moved: it is
               back in its place, after 0.5 s
"""

from __future__ import annotations

from typing import Final

import numpy as np

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.speech.pcm import Samples

_AHEAD: Final = 8 * FRAME
"""Samples of the filter before an echo at the known delay."""
_LONGEST: Final = 9_600
"""Longest delay in samples."""
_KEPT: Final = 25 * FRAME
"""Samples that have left the line and are kept."""
_SAME: Final = 80
"""Difference in samples of two measurements of the same jump."""
_INEXACT: Final = 4
"""Error of a measured delay in samples: devices lose whole blocks of 10 ms."""
_FORGOTTEN_FRAMES: Final = 200
"""Frames after which the callbacks show no loss any more that was noticed otherwise."""


class EchoDelay:
    """A delay line that follows the delay of the echo."""

    def __init__(self, echo_delay: int = 0) -> None:
        """echo_delay: of the echo, in samples; 0 if it is not known."""
        self.samples = min(max(0, echo_delay - _AHEAD), _LONGEST)
        """Delay of the line in samples."""
        self._recent: Samples = np.zeros(_LONGEST + _KEPT, np.int16)
        self._undetected = 0
        """Samples that the line was moved by what the echo detector has not noticed yet."""
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

    def searched(self, later: int) -> int:
        """Note that the known echo was found `later` samples late; return the samples moved."""
        if self.samples + later < 0:
            return 0
        later = _exact(later)
        self._undetected += later
        return self._move(later)

    def detected(self, later: int) -> int:
        """Note that the echo detector found a jump by `later` samples; return the samples moved."""
        later, self._undetected = _exact(later) - self._undetected, 0
        return self._move(later) if abs(later) > _SAME else 0

    def shifted(self, later: int, played: Samples) -> int:
        """Note that the far end was moved by `later` samples; return the samples moved.

        played: the far end up to now as it is after the move, at least 13600 samples.
        """
        self._recent = played[-len(self._recent) :]
        moved = self._moved if self._moved_frames <= _FORGOTTEN_FRAMES else 0
        moved = moved if abs(moved - later) <= _SAME else 0
        self._undetected -= moved
        self._move(-moved)
        self._moved = 0
        return -moved

    def _move(self, later: int) -> int:
        is_old = self._moved_frames > _FORGOTTEN_FRAMES
        self._moved, self._moved_frames = (0 if is_old else self._moved) + later, 0
        self.samples = min(max(0, self.samples + later), _LONGEST)
        return later


def _exact(later: int) -> int:
    """Return the whole blocks that a jump probably is."""
    blocks = round(later / FRAME) * FRAME
    return blocks if blocks and abs(later - blocks) <= _INEXACT else later
