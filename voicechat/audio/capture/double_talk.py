"""Selection of the microphone signal during double talk.

The nonlinear canceller garbles a voice over an echo: the speech is as loud but hard to understand.
The residue of the linear filter keeps the voice intact with slightly more echo. So the residue is
delivered while the user speaks over playback, and shortly after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_detector import far_end_share
from voicechat.audio.capture.frame_pair import FramePair
from voicechat.speech.pcm import Samples, fade_in

_DELAY: Final = 128
"""Delay of AEC3 in samples; the residue is delayed to match."""
_HOLD_FRAMES: Final = 40
"""Frames that a voice lasts after the last certain one: soft endings, pauses."""
_CERTAIN_FRAMES: Final = 3
_ONSET_FRAMES: Final = 30
"""Frames before the first certain one that belong to the voice: soft onsets."""
_MAX_FAR_END_SHARE: Final = 0.5
"""Share of the microphone's energy in the bands of the speaker above which it may be an echo."""
_RISE: Final[NDArray[np.float32]] = fade_in(FRAME)


def extend_back(has_voice: list[bool]) -> list[bool]:
    """Mark the frames before a certain voice as voice too, among frames delivered together."""
    extended = list(has_voice)
    for at in range(len(has_voice) - _CERTAIN_FRAMES + 1):
        if all(has_voice[at : at + _CERTAIN_FRAMES]):
            begin = max(0, at - _ONSET_FRAMES)
            extended[begin:at] = [True] * (at - begin)
    return extended


def delayed(previous: Samples, frame: Samples) -> Samples:
    """Return 10 ms that are as late as the output of AEC3; `previous`: the frame before."""
    return np.concatenate((previous, frame))[FRAME - _DELAY : 2 * FRAME - _DELAY]


def uncancelled(past: Sequence[FramePair], held: Sequence[FramePair]) -> list[FramePair]:
    """Return the held frames without cancellation if they are unlike the playback.

    Then a short cue was not enough to find an echo, and the canceller removes the user's voice.
    past: the frames before them.
    """
    known = [*past, *held]
    near, far = (np.concatenate(side) for side in zip(*(pair[:2] for pair in known), strict=True))
    if not far.any() or far_end_share(near, far) > _MAX_FAR_END_SHARE:
        return list(held)
    before = past[-1].near if past else np.zeros(FRAME, np.int16)
    earlier = [before, *(pair.near for pair in held)]
    return [
        pair._replace(cleaned=delayed(before, pair.near))
        for before, pair in zip(earlier, held, strict=False)
    ]


class DoubleTalkSwitch:
    """Crossfades between the two versions, 10 ms at a time."""

    def __init__(self) -> None:
        self._previous: Samples = np.zeros(FRAME, np.int16)
        self._voiced_frames = self._hold_frames = 0
        self._residue_shown = False

    def choose(self, cleaned: Samples, residue: Samples, clean: bool, has_voice: bool) -> Samples:
        """Return the frame to deliver, int16 of shape (160,).

        `clean`: `residue` has hardly any echo; `has_voice`: it has the user's voice.
        """
        late = delayed(self._previous, residue)
        self._previous = residue
        self._voiced_frames = self._voiced_frames + 1 if has_voice else 0
        self._hold_frames = (
            _HOLD_FRAMES
            if self._voiced_frames >= _CERTAIN_FRAMES
            else max(0, self._hold_frames - 1)
        )
        was_shown, self._residue_shown = self._residue_shown, clean and self._hold_frames > 0
        if was_shown == self._residue_shown:
            return late if was_shown else cleaned
        share = _RISE if self._residue_shown else _RISE[::-1]
        mixed: Samples = (cleaned + share * (late.astype(np.float32) - cleaned)).astype(np.int16)
        return mixed
