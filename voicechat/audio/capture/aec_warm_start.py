"""Warm start of the linear echo canceller in the first seconds of an echo.

An untrained filter removes as much of the user's voice as of the echo, for seconds. But when the
echo detector finds an echo, its delay is known, its gain can be estimated, and some hundred
milliseconds of held frames can train the filter. Started this way, the filter preserves the voice
from its first frame. The uncertainty of its coefficients predicts the residual echo:

    delay, gain ─► uncertainty ─┬─ held frames, twice ─► filter ─► residue ─┐
                                └─► echo expected in the residue ───────────┴► louder: a voice
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_delay import EchoDelay
from voicechat.audio.capture.linear_aec import (
    MIN_VOICE_DB,
    SUPPRESSED_DB,
    LinearFilter,
    OnsetDetector,
)
from voicechat.audio.capture.voice_activity import RATE
from voicechat.speech.pcm import SILENCE_DB, Samples, dbfs, decibels, interpolated_percentile
from voicechat.speech.webrtc_vad import voice_detector

FramePair = tuple[Samples, Samples]
"""10 ms of the microphone and of the speaker, int16 of shape (160,) each."""

PAST: Final = 84
"""Frame pairs before the held ones whose echo may reach into them, at the longest delay."""
_REACHING: Final = 24
"""Frames before the held ones whose echo may reach into them, after the delay line."""
_FLUSHED: Final = 26
"""Frames of silence after which the filter has no sound of the speaker left."""
_DECAY_FRAMES: Final = 4.0
"""Frames of 10 ms in which the power of an echo decays to 1/e; holds for any room."""
_PRE_PEAK_SHARE: Final = 0.3
"""Share of the echo's power in the frame before its peak."""
_DIFFUSE_SHARE: Final = 0.01
"""Share of the echo's power at any other time."""
_SAFETY: Final = 3.0
"""Factor by which the echo's power may exceed its estimate."""
_UNCERTAINTY_FACTOR: Final = 2.0
"""Least factor on the filter's own uncertainty after training on the held frames."""
_PERCENTILE: Final = 25
"""Percentile of the frames in which the user is hardly heard."""
_SMOOTHED: Final = 5
_LOUD: Final = 100.0
"""RMS of the speaker's sound from which on its echo shows the gain."""
_GAINS: Final = 0.003, 4.0
_MARGIN_DB: Final = 6.0
_MIN_EXPECTED_DB: Final = -60.0
_RISE_DB: Final = 0.3
_VOICE_SHARE: Final = 0.15
"""Share of the step up when the excess is more likely a voice."""
_FALL_DB: Final = 0.03
_WARM_FRAMES: Final = 200
"""Frames after which `OnsetDetector` has its own estimate of the residual echo."""


class _WarmFilter(LinearFilter):
    """A linear filter initialized with the delay and gain of the echo."""

    def __init__(self, delay: int, gain: float) -> None:
        super().__init__()
        self.expected_db = SILENCE_DB
        """Level in dBFS of the residual echo, as predicted by the filter's uncertainty."""
        self.predicts = True
        """False once the prediction is no longer used."""
        after = np.arange(len(self._uncertainty)) - delay // FRAME
        share = np.exp(-np.maximum(0, after - 1) / _DECAY_FRAMES)
        share[after == -1] = _PRE_PEAK_SHARE
        share[after < -1] = 0.0
        share = share / share.sum() + _DIFFUSE_SHARE / len(share)
        self._uncertainty[:] = _SAFETY * gain * share[:, None]

    def copy_uncertainty(self) -> NDArray[np.float32]:
        return self._uncertainty.copy()

    def set_uncertainty(self, uncertainty: NDArray[np.float32]) -> None:
        self._uncertainty[:] = uncertainty

    def _learn(self, error: NDArray[np.complex64]) -> None:
        if self.predicts:
            residue_power = float((np.abs(self._far) ** 2 * self._uncertainty).sum())
            self.expected_db = decibels(residue_power**0.5 / FRAME / 2**0.5)
        super()._learn(error)


class WarmOnsetDetector(OnsetDetector):
    """An `OnsetDetector` that is reliable from its first frame."""

    def __init__(self, delay: int, past: Sequence[FramePair], waited: Sequence[FramePair]) -> None:
        """Train on held frames of an echo with a delay of `delay` samples.

        `waited`: the frame pairs judged next; `past`: up to PAST pairs right before them.
        """
        line = EchoDelay(delay)
        before = [(near, line.take(far)) for near, far in past][-_REACHING:]
        rehearsal = copy(line)
        frames = [*before, *((near, rehearsal.take(far)) for near, far in waited)]
        ahead = delay - line.samples
        self._warm_filter = _WarmFilter(ahead, _gain(ahead, frames))
        super().__init__(self._warm_filter, line)
        self._is_voiced = voice_detector(3)
        self.warm = True
        self._waiting = len(waited)
        self._age = 0
        self._excess_db = 0.0
        """Residual echo above the prediction, in dB."""
        self._run(frames)
        self._run([(np.zeros(FRAME, np.int16),) * 2] * _FLUSHED)
        self._initial_uncertainty = self._warm_filter.copy_uncertainty()
        self._run(before)

    def _run(self, pairs: Sequence[FramePair]) -> None:
        for near, far in pairs:
            self._warm_filter.residue(near, far)

    def disturb(self) -> None:
        """Note a disturbance: what was learned from the held frames may be of another delay."""
        super().disturb()
        self._age = max(self._age, _WARM_FRAMES)
        self.warm = False

    def voiced(self, near: Samples, far: Samples, cleaned: Samples) -> bool:
        if self._age == self._waiting:
            # Training twice on the held frames makes the filter overconfident.
            self._warm_filter.set_uncertainty(_UNCERTAINTY_FACTOR * self._initial_uncertainty)
        self._age += 1
        self.warm = self._warm_filter.predicts = self._age <= _WARM_FRAMES
        seems = super().voiced(near, far, cleaned)
        if not self.warm:
            return seems
        level = dbfs(self.residue)
        expected = self._warm_filter.expected_db + self._excess_db
        self.clean = True
        self.has_voice = level > max(expected + _MARGIN_DB, MIN_VOICE_DB)
        learns = self._age > self._waiting and expected > _MIN_EXPECTED_DB
        if learns and dbfs(cleaned) < level - SUPPRESSED_DB:
            rise = _RISE_DB * (_VOICE_SHARE if self.has_voice else 1.0)
            change = rise if level > expected else -_FALL_DB
            self._excess_db = max(0.0, self._excess_db + change)
        return self.has_voice and bool(
            self._is_voiced(RATE, self.residue.tobytes(), len(self.residue))
        )


def _gain(delay: int, frames: Sequence[FramePair]) -> float:
    """Return the echo's power as a share of the speaker's, from frames without near speech."""
    offset = delay // FRAME
    count = len(frames) - offset
    if count < _SMOOTHED:
        return 1.0
    near = _powers([pair[0] for pair in frames[offset:]])
    far = _powers([pair[1] for pair in frames[:count]])
    loud = far > _LOUD**2
    if not loud.any():
        return 1.0
    share = interpolated_percentile(near[loud] / far[loud], _PERCENTILE)
    return min(max(share, _GAINS[0]), _GAINS[1])


def _powers(frames: Sequence[Samples]) -> NDArray[np.float64]:
    """Return the mean squares, each averaged over several frames."""
    samples = np.stack(frames).astype(np.float64)
    powers = np.einsum("ij,ij->i", samples, samples) / FRAME
    return np.convolve(powers, np.full(_SMOOTHED, 1 / _SMOOTHED), "valid")
