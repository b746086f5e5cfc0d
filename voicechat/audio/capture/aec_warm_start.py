"""The quick ear for the first seconds: told where the echo is, and taught on what waited.

A filter that knows nothing takes as much of the person away as of the echo, for seconds. But when
an echo is found its delay is known, its loudness can be told, and some tenths of a second wait to
be handed on. With these for a beginning the filter leaves a voice whole from the first frame on;
and how much it doubts its coefficients tells how much of the echo it may have left:

    delay, loudness ─► doubt ─┬─ what waited, twice ─► filter ─► residue ─┐
                              └─► echo expected in the residue ───────────┴► louder: a person
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.linear_aec import PRESSED_DB, QUIETEST_DB, LinearFilter, OnsetDetector
from voicechat.audio.capture.voice_activity import RATE
from voicechat.speech.levels import SILENCE_DB, Samples, dbfs, decibels

Moment = tuple[Samples, Samples]
"""10 ms of the microphone and of the speaker."""

LATEST: Final = 19 * FRAME
"""Samples of delay from which on too little of the echo lies within the filter."""
PAST: Final = 24
"""Moments before what waited whose echo may be in it."""
_FADES: Final = 4.0
"""Parts of 10 ms in which the echo's power falls to a third, for all that is known of the room;"""
_EARLIER: Final = 0.3
"""so much of it comes before its peak,"""
_ELSEWHERE: Final = 0.01
"""and so much at any other time."""
_SAFETY: Final = 3.0
"""The echo's power may be so many times what it seems,"""
_UNSURE: Final = 2.0
"""and the filter's doubt is at least so many times what it seems to be after what waited."""
_QUARTER: Final = 25
"""Per cent of the moments in which the person was hardly heard."""
_SMOOTHED: Final = 5
_LOUD: Final = 100.0
"""RMS of the speaker's sound whose echo tells how loud the echo is."""
_GAINS: Final = 0.003, 4.0
_MARGIN_DB: Final = 6.0
_NOTHING_DB: Final = -60.0
_RISE_DB: Final = 0.3
_DOUBTED: Final = 0.15
"""Share of the step up when what lies above is more likely a voice."""
_FALL_DB: Final = 0.03
_YOUNG_FRAMES: Final = 200
"""After so many the ear has its own measure of what the filter leaves."""


class _WarmFilter(LinearFilter):
    """A filter that knows where to look."""

    def __init__(self, delay: int, gain: float) -> None:
        super().__init__()
        self.expected_db = SILENCE_DB
        """How loud the echo in the residue is, as far as the filter doubts itself."""
        self.expects = True
        """Whether anybody wants to know that."""
        after = np.arange(len(self._doubt)) - delay // FRAME
        share = np.exp(-np.maximum(0, after - 1) / _FADES)
        share[after == -1] = _EARLIER
        share[after < -1] = 0.0
        share = share / share.sum() + _ELSEWHERE / len(share)
        self._doubt[:] = _SAFETY * gain * share[:, None]

    def copy_doubt(self) -> NDArray[np.float32]:
        return self._doubt.copy()

    def set_doubt(self, doubt: NDArray[np.float32]) -> None:
        self._doubt[:] = doubt

    def _learn(self, error: NDArray[np.complex64]) -> None:
        if self.expects:
            left = float((np.abs(self._far) ** 2 * self._doubt).sum())
            self.expected_db = decibels(left**0.5 / FRAME / 2**0.5)
        super()._learn(error)


class WarmOnsetDetector(OnsetDetector):
    """An `Onset` that is right from its first frame."""

    def __init__(self, delay: int, past: Sequence[Moment], waited: Sequence[Moment]) -> None:
        """The echo is late by `delay` samples, below LATEST.

        `waited`: what will be judged next; `past`: up to PAST moments that came right before.
        """
        known = [*past, *waited]
        self._warm_filter = _WarmFilter(delay, _gain(delay, known))
        super().__init__(self._warm_filter)
        self._vad_young = webrtcvad.Vad(3)
        self._waiting = len(waited)
        self._age = 0
        self._excess_db = 0.0
        """How much more of the echo was left than the filter expected."""
        self._run(known)
        self._run([(np.zeros(FRAME, np.int16),) * 2] * (PAST + 2))
        self._once = self._warm_filter.copy_doubt()
        self._run(past)

    def _run(self, moments: Sequence[Moment]) -> None:
        for near, far in moments:
            self._warm_filter.residue(near, far)

    @property
    def young(self) -> bool:
        """Whether `voiced` is sure, as it goes by what the filter expects to have left."""
        return self._age <= _YOUNG_FRAMES

    def voiced(self, near: Samples, far: Samples, cleaned: Samples) -> bool:
        if self._age == self._waiting:
            # What waited was learned twice, and the filter is surer of itself than it may be.
            self._warm_filter.set_doubt(_UNSURE * self._once)
        self._age += 1
        self._warm_filter.expects = self.young
        seems = super().voiced(near, far, cleaned)
        if not self.young:
            return seems
        level = dbfs(self.rest)
        expected = self._warm_filter.expected_db + self._excess_db
        self.right = True
        self.over = level > max(expected + _MARGIN_DB, QUIETEST_DB)
        learns = self._age > self._waiting and expected > _NOTHING_DB
        if learns and dbfs(cleaned) < level - PRESSED_DB:
            rise = _RISE_DB * (_DOUBTED if self.over else 1.0)
            change = rise if level > expected else -_FALL_DB
            self._excess_db = max(0.0, self._excess_db + change)
        return self.over and bool(self._vad_young.is_speech(self.rest.tobytes(), RATE))


def _gain(delay: int, known: Sequence[Moment]) -> float:
    """The echo's power as a share of the speaker's: where it is smallest, nobody speaks over it."""
    late = delay // FRAME
    count = len(known) - late
    if count < _SMOOTHED:
        return 1.0
    near = _powers([moment[0] for moment in known[late:]])
    far = _powers([moment[1] for moment in known[:count]])
    loud = far > _LOUD**2
    if not loud.any():
        return 1.0
    share = float(np.percentile(near[loud] / far[loud], _QUARTER))
    return min(max(share, _GAINS[0]), _GAINS[1])


def _powers(frames: Sequence[Samples]) -> NDArray[np.float64]:
    """The mean squares, each of several frames together."""
    wide = np.stack(frames).astype(np.float64)
    powers = np.einsum("ij,ij->i", wide, wide) / FRAME
    return np.convolve(powers, np.full(_SMOOTHED, 1 / _SMOOTHED), "valid")
