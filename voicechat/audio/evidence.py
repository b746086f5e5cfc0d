"""Is there an echo at all? With headphones there is none, and cancelling would only do harm.

A canceller that has never seen an echo expects a strong one, and takes the person's own voice
for it: measured on a card without any echo, the first second of speech over a reply was lost.
So its output is used only until the room has shown itself dry:

    dry     the speaker was loud for `_DRY_FRAMES` frames and the microphone stayed silent
    echo    the microphone's loudness follows the speaker's, at some delay up to half a second
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.dsp import FULL_SCALE, Samples
from voicechat.audio.echo import Canceller

_LOUD: Final = 0.003
"""RMS of full scale (-50 dBFS) above which the speaker counts as sounding."""
_SILENT: Final = 0.0016
"""RMS of full scale (-56 dBFS) below which the microphone counts as silent."""
_DRY_FRAMES: Final = 30
_CUE_FRAMES: Final = 10
"""Loud frames that are enough when all of the longest delay has passed in silence: a short cue."""
_WINDOW: Final = 150
"""Frames of 10 ms that are compared."""
_LONGEST_DELAY: Final = 50
_ALIKE: Final = 0.8
"""Correlation of the two loudness curves; different talkers stay below 0.6."""
_EVERY: Final = 10


class Evidence:
    """What is known of the echo path. `dry` until an echo shows again."""

    def __init__(self) -> None:
        self.dry = False
        self._near: NDArray[np.float32] = np.full(_WINDOW, _SILENT, np.float32)
        self._far: NDArray[np.float32] = np.full(_WINDOW, _SILENT, np.float32)
        self._silent_frames = 0
        self._since_loud = 0
        self._frames = 0

    def observe(self, near: Samples, far: Samples) -> None:
        """Weigh one 10 ms frame of both sides."""
        loudness = max(_rms(near), _SILENT), max(_rms(far), _SILENT)
        self._near[:-1] = self._near[1:]
        self._far[:-1] = self._far[1:]
        self._near[-1], self._far[-1] = loudness
        self._frames += 1
        self._wait_for_echo(near_silent=loudness[0] <= _SILENT, far_loud=loudness[1] >= _LOUD)
        if self.dry and self._frames % _EVERY == 0 and self._follows():
            self.dry = False
            self._silent_frames = self._since_loud = 0

    def _wait_for_echo(self, *, near_silent: bool, far_loud: bool) -> None:
        """An echo may come late: the silence must last longer than any delay would."""
        self._since_loud = self._since_loud + 1 if self._since_loud or far_loud else 0
        if not near_silent:
            self._silent_frames = self._since_loud = 0
            return
        self._silent_frames += far_loud
        waited = self._since_loud >= _LONGEST_DELAY and self._silent_frames >= _CUE_FRAMES
        self.dry = self.dry or waited or self._silent_frames >= _DRY_FRAMES

    def _follows(self) -> bool:
        far, near = np.log(self._far), np.log(self._near)
        if (self._near > _SILENT).mean() < 0.3 or far.std() < 0.3 or near.std() < 0.3:
            return False
        span = _WINDOW - _LONGEST_DELAY
        tail = near[_LONGEST_DELAY:]
        windows = np.lib.stride_tricks.sliding_window_view(far, span)
        centred = windows - windows.mean(axis=1, keepdims=True)
        scale = np.sqrt((centred**2).sum(axis=1) * ((tail - tail.mean()) ** 2).sum()) + 1e-9
        return bool(((centred @ (tail - tail.mean())) / scale).max() >= _ALIKE)


class WhenNeeded:
    """A canceller that steps aside while there is nothing to cancel."""

    full_duplex = True

    def __init__(self, inner: Canceller) -> None:
        self.name = inner.name
        self._inner = inner
        self._evidence = Evidence()

    @property
    def aside(self) -> bool:
        """Whether there is nothing to cancel, as far as is known."""
        return self._evidence.dry

    def process(self, near: Samples, far: Samples) -> Samples:
        """The microphone's frame, without the speaker's sound if there is any of it."""
        cleaned = self._inner.process(near, far)
        self._evidence.observe(near, far)
        return near if self._evidence.dry else cleaned


def _rms(frame: Samples) -> float:
    wide = frame.astype(np.float32)
    return float(np.sqrt(np.dot(wide, wide) / max(1, len(wide)))) / FULL_SCALE
