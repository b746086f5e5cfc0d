"""Selection of the microphone signal during double talk.

The nonlinear canceller garbles a voice over an echo: the speech is as loud but hard to understand.
The residue of the linear filter keeps the voice intact with slightly more echo. So the residue is
delivered while the user speaks over playback, and shortly after.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.speech.pcm import Samples, fade_in

_LATE: Final = 128
"""Delay of AEC3 in samples; the residue is delayed to match."""
_HOLD: Final = 40
"""Frames that a voice lasts after the last certain one: soft endings, pauses."""
_SURE: Final = 3
_BEFORE: Final = 30
"""Frames before the first certain one that belong to the voice: soft onsets."""
_RISE: Final[NDArray[np.float32]] = fade_in(FRAME)


def extend_back(has_voice: list[bool]) -> list[bool]:
    """Mark the frames before a certain voice as voice too, among frames delivered together."""
    known = list(has_voice)
    for at in range(len(has_voice) - _SURE + 1):
        if all(has_voice[at : at + _SURE]):
            begin = max(0, at - _BEFORE)
            known[begin:at] = [True] * (at - begin)
    return known


class DoubleTalkSwitch:
    """Crossfades between the two versions, 10 ms at a time."""

    def __init__(self) -> None:
        self._before: Samples = np.zeros(FRAME, np.int16)
        self._run = self._left = 0
        self._shown = False

    def choose(self, cleaned: Samples, rest: Samples, clean: bool, has_voice: bool) -> Samples:
        """Return the frame to deliver, int16 of shape (160,).

        `right`: `rest` has hardly any echo; `over`: it has the user's voice.
        """
        late: Samples = np.concatenate((self._before, rest))[FRAME - _LATE : 2 * FRAME - _LATE]
        self._before = rest
        self._run = self._run + 1 if has_voice else 0
        self._left = _HOLD if self._run >= _SURE else max(0, self._left - 1)
        shown, self._shown = self._shown, clean and self._left > 0
        if shown == self._shown:
            return late if shown else cleaned
        share = _RISE if self._shown else _RISE[::-1]
        mixed: Samples = (cleaned + share * (late.astype(np.float32) - cleaned)).astype(np.int16)
        return mixed
