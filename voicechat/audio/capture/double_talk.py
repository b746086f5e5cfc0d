"""Which version of the microphone's sound is handed on while both speak.

The canceller that is right for the speaker alone garbles a voice over it: what is left of the
words is as loud and hardly to be understood. The linear filter's residue is the voice as it was,
with a little more echo. So that is handed on while somebody speaks, and for a moment after.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.speech.levels import Samples, fade_in

_LATE: Final = 128
"""Samples that AEC3 holds back; the other version waits for it."""
_HOLD: Final = 40
"""Frames that a voice lasts after the last one that was certainly there: soft ends, pauses."""
_SURE: Final = 3
_BEFORE: Final = 30
"""Frames before the first one that was certainly there: soft beginnings, where they are known."""
_RISE: Final[NDArray[np.float32]] = fade_in(FRAME)


def extend_back(over: list[bool]) -> list[bool]:
    """Where someone's sound is, of frames that are handed on together, as told of each alone.

    What was not handed on yet when a voice became certain belongs to it.
    """
    known = list(over)
    for at in range(len(over) - _SURE + 1):
        if all(over[at : at + _SURE]):
            begin = max(0, at - _BEFORE)
            known[begin:at] = [True] * (at - begin)
    return known


class DoubleTalkSwitch:
    """Fades between the two versions, 10 ms at a time."""

    def __init__(self) -> None:
        self._before: Samples = np.zeros(FRAME, np.int16)
        self._run = self._left = 0
        self._shown = False

    def choose(self, cleaned: Samples, rest: Samples, right: bool, over: bool) -> Samples:
        """The frame to hand on.

        `right`: `rest` has hardly any echo; `over`: somebody's sound is in it.
        """
        late: Samples = np.concatenate((self._before, rest))[FRAME - _LATE : 2 * FRAME - _LATE]
        self._before = rest
        self._run = self._run + 1 if over else 0
        self._left = _HOLD if self._run >= _SURE else max(0, self._left - 1)
        shown, self._shown = self._shown, right and self._left > 0
        if shown == self._shown:
            return late if shown else cleaned
        share = _RISE if self._shown else _RISE[::-1]
        mixed: Samples = (cleaned + share * (late.astype(np.float32) - cleaned)).astype(np.int16)
        return mixed
