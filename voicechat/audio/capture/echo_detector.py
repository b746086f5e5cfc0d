"""Echo detection: headphones have no echo, and canceling one then only does harm.

A canceller that has not seen an echo yet expects a strong one and removes the user's voice: on a
card without echo, it loses the first second of speech over a response. So its output is used only
until the room proves to be dry:

    unknown ─┬─ the microphone repeats the speaker at some delay ────────────► echo
             └─ the speaker sounded for longer than any delay, no repeat ────► dry

The whitened cross-correlation of both sides (generalized cross-correlation with partial phase
transform) of an echo peaks at the same delay in consecutive pieces, even during double talk.

Source: Knapp, Carter, "The generalized correlation method for estimation of time delay", IEEE
Trans. ASSP 24(4), 1976.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME, Canceller
from voicechat.audio.capture.linear_aec import OnsetDetector
from voicechat.speech.pcm import FULL_SCALE, Samples, decibels, rms

_LOUD: Final = 0.003 * FULL_SCALE
"""RMS above which the speaker counts as sounding: -50 dBFS."""
SILENT: Final = 0.0016 * FULL_SCALE
"""RMS below which the microphone counts as silent: -56 dBFS."""
_CUE_FRAMES: Final = 10
"""Loud frames that prove a dry room if the microphone stayed silent: a short cue."""
_SPEECH_FRAMES: Final = 40
"""Loud frames that prove a dry room if the microphone heard something. It may be the echo of a cue,
whose tones show no delay.
"""
_DRY_AGAIN_FRAMES: Final = 300
"""Loud frames without an echo after which a room that had one counts as dry."""
_WINDOW: Final = 3_200
"""Samples compared at a time."""
_MAX_DELAY: Final = 9_600
"""Longest delay in samples."""
_SIZE: Final = 16_384
"""Size of the transform; both pieces fit in."""
_WHITENING: Final = 0.85
"""Exponent of the spectral whitening; 1.0 would be the full phase transform."""
_PEAK_HEIGHTS: Final = {2: 18.0, 3: 7.0}
"""Number of consecutive pieces to the height of a common peak, relative to the mean, that proves an
echo.
"""
_RECENT: Final = 960
"""Samples in which an echo that moved is searched: as soon as it looks like a voice."""
_EARLIER: Final = 1_600
"""Samples by which an echo may come earlier than before."""
_IN_PLACE: Final = 2
"""Samples within which an echo counts as in its place."""
_SAME_DELAY: Final = 80
"""Samples within which a voiced sound resembles itself."""
_NEAR_MATCH: Final = 0.95
_LEFT_SHARE: Final = 0.4
"""A sound that matches the expected echo as well as this is an echo, at another delay only if the
share of its energy that is left is so much smaller there.
"""
_MOVED_MATCH: Final = 0.85
"""Correlation of the microphone with the expected echo at another delay that proves a moved echo.
A voice over an echo reaches 0.77, an echo that moved 0.99.
"""
_KNOWN_LESS: Final = 0.3
"""Least difference to the correlation at the known delay: a voiced sound resembles itself."""
_LEAD_FRAMES: Final = 2
"""Frames that fill the delay of a canceller which was left out."""

_BAND_FRAME: Final = 512
_BAND_FLOOR: Final = 0.01
"""Power relative to the strongest band above which the speaker sounds in a band."""


def far_end_share(near: Samples, far: Samples) -> float:
    """Return the share of the microphone's energy in the bands in which the speaker sounded.

    Both are int16 at 16 kHz of the same length. An echo has all of its energy there, and a voice
    over a short cue has little.
    """
    near_power, far_power = _power(near), _power(far)
    sounding = far_power > _BAND_FLOOR * far_power.max()
    return float(near_power[sounding].sum() / (near_power.sum() + 1e-9))


def _power(samples: Samples) -> NDArray[np.float32]:
    """Return the power of each band, summed over time."""
    frames = samples[: len(samples) // _BAND_FRAME * _BAND_FRAME].reshape(-1, _BAND_FRAME)
    spectra = np.fft.rfft(frames * np.hanning(_BAND_FRAME), axis=1)
    power: NDArray[np.float32] = (np.abs(spectra) ** 2).sum(axis=0)
    return power


def _convolved(one: NDArray[Any], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the convolution; beyond `_SIZE` samples it wraps around."""
    spectrum = np.fft.rfft(one, _SIZE) * np.fft.rfft(other, _SIZE)
    convolution: NDArray[np.float32] = np.fft.irfft(spectrum, _SIZE).astype(np.float32)
    return convolution


class EchoState(Enum):
    """State of the echo path."""

    UNKNOWN = auto()
    DRY = auto()
    ECHO = auto()


class EchoDetector:
    """Observes both sides, 10 ms at a time; `verdict` is the state so far."""

    def __init__(self) -> None:
        self.verdict = EchoState.UNKNOWN
        self.delay = 0
        """Delay of the echo in samples, if the verdict is ECHO."""
        self.waiting = False
        """True while the speaker sounds, or just did, and the state is unknown."""
        self._near: Samples = np.zeros(_WINDOW, np.int16)
        self._far: Samples = np.zeros(_WINDOW + _MAX_DELAY, np.int16)
        self._correlations: deque[NDArray[np.float32]] = deque(maxlen=max(_PEAK_HEIGHTS))
        self._loud = 0
        self._since_loud = 0
        self._frames = 0
        self._microphone_active = False

    def observe(self, near: Samples, far: Samples) -> None:
        """Process any number of frames of both sides."""
        while len(near):
            unseen = max(1, _WINDOW // FRAME - self._frames) * FRAME
            self._observe(near[:unseen], far[:unseen])
            near, far = near[unseen:], far[unseen:]

    def _observe(self, near: Samples, far: Samples) -> None:
        """Process frames up to the next search for an echo."""
        size, count = len(near), len(near) // FRAME
        self._near[:-size] = self._near[size:]
        self._near[-size:] = near
        self._far[:-size] = self._far[size:]
        self._far[-size:] = far
        loud = [rms(frame) >= _LOUD for frame in far.reshape(count, FRAME)]
        self._loud += sum(loud)
        if self._since_loud:
            self._since_loud += count
        elif True in loud:
            self._since_loud = count - loud.index(True)
        self.waiting = self.verdict is EchoState.UNKNOWN and self._since_loud > 0
        self._frames += count
        if self._frames * FRAME >= _WINDOW and self._since_loud:
            self._frames = 0
            self._update_verdict()

    def _update_verdict(self) -> None:
        """Search for the echo of recent playback, and forget playback that is too old."""
        if rms(self._near) >= SILENT:
            self._microphone_active = True
            self._correlations.append(self._correlate(_WINDOW))
        found = self._common_peak()
        if found is not None:
            self.verdict, self.delay = EchoState.ECHO, found
            self._loud = self._since_loud = 0
            self._microphone_active = False
            self._correlations.clear()
            return
        is_proved = self._loud >= self._dry_frames and not self._may_be_echo
        if is_proved and self._since_loud * FRAME >= _MAX_DELAY + _WINDOW:
            self.verdict = EchoState.DRY
            self._loud = 0
        if not self._far.any():
            self._since_loud = 0
            self._microphone_active = False
            if self.verdict is EchoState.UNKNOWN:
                self._loud = 0

    @property
    def _may_be_echo(self) -> bool:
        """True if the newest piece has the peak of an echo, which the next one may confirm."""
        newest = self._correlations[-1] if self._correlations else None
        return newest is not None and float(np.exp(newest.max())) >= _PEAK_HEIGHTS[2]

    @property
    def _dry_frames(self) -> int:
        """Loud frames without an echo that prove a dry room."""
        if self.verdict is EchoState.ECHO:
            return _DRY_AGAIN_FRAMES
        return _SPEECH_FRAMES if self._microphone_active else _CUE_FRAMES

    def replace_far(self, played: Samples) -> None:
        """Take another far end up to now, because it was moved; at least 12800 samples."""
        self._far = played[-len(self._far) :].copy()
        self._correlations.clear()

    def shift_of(self, echo_path: NDArray[np.float32], lag: int = 0) -> int | None:
        """Return by how many samples the echo in the newest sound of the microphone is late.

        It is negative for an echo that is early, and 0 for one in its place. Returns None if that
        sound is no echo, or if several delays are possible.
        echo_path: impulse response of the echo at the known delay, as a filter has learned it,
        but for the first `lag` samples.
        """
        if self.verdict is not EchoState.ECHO:
            return None
        near = self._near[-_RECENT:].astype(np.float32)
        end = len(self._far) + _EARLIER
        echo = _convolved(self._far, echo_path)[:end]
        matches = _convolved(echo, near[::-1])[_RECENT - 1 : end]
        power = np.cumsum(np.concatenate(([0.0], echo.astype(np.float64) ** 2)))
        power = power[_RECENT:] - power[:-_RECENT]
        matches /= np.sqrt(np.maximum(power, power.max() / 1_000) * (near @ near) + 1.0)
        known = len(self._far) - _RECENT - lag
        matches[: max(0, known - _MAX_DELAY)] = 0.0
        best = int(np.argmax(matches))
        shift, match = known - best, float(matches[best])
        near_by = float(matches[max(0, known - _SAME_DELAY) : known + _SAME_DELAY + 1].max())
        left, left_in_place = 1 - match**2, 1 - max(0.0, float(matches[known])) ** 2
        if match >= _NEAR_MATCH and left <= _LEFT_SHARE * left_in_place:
            return shift
        if match >= _NEAR_MATCH and abs(shift) <= _IN_PLACE:
            return 0
        least = max(_MOVED_MATCH, near_by + _KNOWN_LESS)
        return shift if abs(shift) > _SAME_DELAY and match >= least else None

    def _correlate(self, count: int) -> NDArray[np.float32]:
        """Return the log correlation of the newest `count` samples for every delay in samples."""
        near = np.fft.rfft(self._near[-count:].astype(np.float32), _SIZE)
        far = np.fft.rfft(self._far[-count - _MAX_DELAY :].astype(np.float32), _SIZE)
        cross = near * np.conj(far)
        weight = np.abs(cross) ** _WHITENING
        cross /= weight + 1e-3 * weight.mean() + 1e-9
        found: NDArray[np.float32] = np.abs(np.fft.irfft(cross, _SIZE)[-_MAX_DELAY:])
        average = float(np.sqrt(np.mean(found**2))) + 1e-9
        heights: NDArray[np.float32] = np.log(found / average + 1e-6)
        return heights

    def _common_peak(self) -> int | None:
        """Return the delay of a common peak of the newest pieces, if it is high enough."""
        for count, min_height in _PEAK_HEIGHTS.items():
            if len(self._correlations) >= count:
                total = np.sum(list(self._correlations)[-count:], axis=0)
                peak = int(np.argmax(total))
                if np.exp(total[peak] / count) >= min_height:
                    return peak
        return None


class BypassableCanceller:
    """An echo canceller that is bypassed while there is no echo."""

    full_duplex = True

    def __init__(self, inner: Canceller) -> None:
        self.name = inner.name
        self.inner: Final = inner
        self._detector = EchoDetector()
        self.bypassed = False
        """True if there is no echo to cancel."""
        self.undecided = False
        """True while the echo detector needs a little more sound to decide."""
        self.delay: int | None = None
        """Delay of the echo in samples; None if no echo was found."""

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the near-end frame without the far-end sound, if it has any."""
        self._observe(near, far)
        if self.bypassed and rms(near) < SILENT:
            return near  # Nothing to remove and nothing to learn from.
        cleaned = self.inner.process(near, far)
        return near if self.bypassed else cleaned

    def replace_far(self, played: Samples) -> None:
        """Take another far end up to now, because it was moved; at least 12800 samples."""
        self._detector.replace_far(played)

    def shift_of_echo(self, linear: OnsetDetector) -> int | None:
        """Return by how many samples the echo that `linear` has learned is late.

        None if the newest sound of the microphone is no such echo.
        """
        return self._detector.shift_of(linear.echo_path, linear.delay.samples)

    def pass_by(self, near: Samples, far: Samples) -> None:
        """Process any number of frames that are not canceled: bypassed, with a silent near end."""
        self._observe(near, far)

    def catch_up(self, frames: Sequence[Samples]) -> None:
        """Process the newest frames that were left out of `process` because the far end was silent.

        The canceller's output is late, so it begins with the end of these frames.
        """
        silence = np.zeros(FRAME, np.int16)
        for near in frames:
            self._observe(near, silence)
        for near in frames[-_LEAD_FRAMES:]:
            self.inner.process(near, silence)

    def _observe(self, near: Samples, far: Samples) -> None:
        detector = self._detector
        detector.observe(near, far)
        self.bypassed = detector.verdict is EchoState.DRY
        self.undecided = detector.waiting
        self.delay = detector.delay if detector.verdict is EchoState.ECHO else None


class Convergence:
    """Detects convergence of the canceller from its echo reduction (ERLE).

    Once reached it stays until the streams are reopened: the user's voice lowers the measured
    reduction and must not make barge-in more cautious.
    """

    _MIN_ERLE_DB = 10.0
    _FRAMES = 40

    def __init__(self) -> None:
        self.reached = False
        self._frames = 0
        self._near_level = 0.0
        self._cleaned_level = 0.0

    def observe(self, near: Samples, far: Samples, cleaned: Samples) -> None:
        """Weigh one 10 ms frame."""
        if self.reached or rms(far) < _LOUD:
            return
        self._frames += 1
        keep = 0.95
        self._near_level = keep * self._near_level + (1 - keep) * rms(near)
        self._cleaned_level = keep * self._cleaned_level + (1 - keep) * rms(cleaned)
        erle_db = decibels(self._near_level / self._cleaned_level) if self._cleaned_level else 100.0
        no_echo = self._near_level < SILENT
        self.reached = self._frames >= self._FRAMES and (no_echo or erle_db >= self._MIN_ERLE_DB)
