"""A linear echo canceller that detects speech onsets and keeps the voice intact.

The nonlinear suppressor of AEC3 removes the first 50 to 100 ms of a voice over a loud echo. A
linear filter subtracts only what the speaker played. It leaves more echo, but the level of that
residual echo can be learned:

    far, near ─► filter ─► residue: voiced, and well above the expected residual echo?

Source: Kuech, Mabande, Enzner, "State-space architecture of the partitioned-block-based acoustic
echo controller", ICASSP 2014 (partitioned-block frequency-domain Kalman filter).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.clock_drift import ClockDrift
from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.echo_delay import EchoDelay
from voicechat.audio.capture.voice_activity import RATE
from voicechat.speech.pcm import FULL_SCALE, SILENCE_DB, Samples, dbfs, decibels, rms
from voicechat.speech.webrtc_vad import voice_detector

_PARTITIONS: Final = 24
"""Partitions of 10 ms: what comes before the echo of a sound, and its tail."""
_BINS: Final = FRAME + 1
_KEEP: Final = 0.9998
"""Persistence of the echo path from frame to frame."""
_NOISE_KEEP: Final = 0.8
_CROSS_KEEP: Final = 0.99
"""Smoothing of the cross-spectrum of residue and echo: one second."""
_MAX_RATIO: Final = 1.5
"""A residue above this multiple of the echo is a voice, and gets less weight."""
_CONSTRAINED: Final = 4
"""Partitions constrained to linear convolution per frame."""
_DRIFT_DB: Final = -8.0
"""Residual echo below which the filter can estimate the clock drift."""

_EXACT_DB: Final = -33.0
"""Residual echo below which that estimate is exact."""
_FADING: Final = 8
"""Partitions at the end that tell with as many before them how fast the reverberation fades."""
_MAX_FADED: Final = 0.4
"""Most power of them relative to those before: a reverberation of 1.2 s."""
_HISS_BIN: Final = 60
"""First bin of a hiss: 3 kHz."""
_HISS_SHARE: Final = 0.7
"""Share of the energy of a hiss that lies above."""

_Spectra = NDArray[np.complex64]
_Powers = NDArray[np.float32]


class LinearFilter:
    """Adaptive filter of the echo path."""

    def __init__(self) -> None:
        self.drift: Final = ClockDrift()
        self._far: _Spectra = np.zeros((_PARTITIONS, _BINS), np.complex64)
        self.echo_path: _Spectra = np.zeros((_PARTITIONS, _BINS), np.complex64)
        """The spectra of its partitions."""
        self._uncertainty: _Powers = np.ones((_PARTITIONS, _BINS), np.float32)
        self._noise: _Powers = np.full(_BINS, 1e-4, np.float32)
        self._previous: NDArray[np.float32] = np.zeros(FRAME, np.float32)
        self._constrained = 0
        self._silent_frames = _PARTITIONS + 1
        self._cross_spectrum: _Spectra = np.zeros(_BINS, np.complex64)
        self._echo: _Powers = np.zeros(_BINS, np.float32)
        self.residual_db = 0.0
        """Level in dB of the residual echo relative to the echo, from their coherence.

        A voice is not coherent with the echo, so this stays valid during double talk.
        """
        self._slope = 0.0
        """Power of the reverberation relative to 10 ms earlier."""
        self._next_power: _Powers = np.zeros(_BINS, np.float32)
        """Power that the partition after the last one would have."""
        self._tail = 0.0
        """Power of the echo that comes after the last partition, summed over the bins."""
        self.tail_db = SILENCE_DB
        """Level in dBFS of that echo.

        Source: Habets, Gannot, Cohen, Sommen, "Joint dereverberation and residual echo suppression
        of speech signals in noisy environments", IEEE TASLP 16(8), 2008 (exponential decay).
        """
        self.hisses = False
        """True if both the echo and the residue are a hiss, like the sound of s.

        A filter that is a sample off does not cancel it, and there is little of it to learn from.
        """

    def residue(
        self, near: Samples, far: Samples
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Return the residue and the echo estimate of 10 ms, float32 of shape (160,), full scale
        1.0.

        Returns None if the speaker has been silent for so long that there is no echo.
        """
        block = far.astype(np.float32) / FULL_SCALE
        self._silent_frames = 0 if far.any() else self._silent_frames + 1
        if self._silent_frames > _PARTITIONS + 1:
            self._tail = 0.0
            return None
        self._extend_tail(self._far[-1])
        self._far[1:] = self._far[:-1]
        self._far[0] = np.fft.rfft(np.concatenate((self._previous, block)))
        self._previous = block
        echo = (self._far * self.echo_path).sum(axis=0)
        estimate = np.fft.irfft(echo)[FRAME:].astype(np.float32)
        residue = near.astype(np.float32) / FULL_SCALE - estimate
        padded = np.concatenate((np.zeros(FRAME, np.float32), residue))
        error = np.fft.rfft(padded).astype(np.complex64)
        self._compare(error, echo)
        self.hisses = _is_hiss(error) and _is_hiss(echo)
        if self.residual_db < _DRIFT_DB:
            self.drift.observe(error, echo, exact=self.residual_db < _EXACT_DB)
        self._learn(error)
        return residue, estimate

    def _extend_tail(self, leaving: _Spectra) -> None:
        """Take the far end that leaves the last partition: its echo goes on and fades."""
        if not self._constrained:
            power = np.abs(self.echo_path[-2 * _FADING :]) ** 2
            earlier, last = float(power[:_FADING].sum()), float(power[_FADING:].sum())
            self._slope = min(_MAX_FADED, last / (earlier + 1e-12)) ** (1 / _FADING)
            self._next_power = self._slope ** (_FADING / 2) * power[_FADING:].mean(axis=0)
        added = float((self._next_power * np.abs(leaving) ** 2).sum())
        self._tail = self._slope * self._tail + added
        self.tail_db = 10 * math.log10(2 * self._tail / (2 * FRAME) ** 2 + 1e-12)

    def _compare(self, error: _Spectra, echo: _Spectra) -> None:
        loud, residue = np.abs(echo) ** 2, float(np.vdot(error, error).real)
        limit = _MAX_RATIO * float(self._echo.sum() + loud.sum())
        weight = (1 - _CROSS_KEEP) * min(1.0, limit / (residue + 1e-9))
        self._cross_spectrum *= _CROSS_KEEP
        self._cross_spectrum += weight * error * np.conj(echo)
        self._echo *= _CROSS_KEEP
        self._echo += weight * loud
        coherent = (np.abs(self._cross_spectrum) ** 2 / (self._echo + 1e-9)).sum()
        total = float(self._echo.sum())
        self.residual_db = 10 * float(np.log10(coherent / total + 1e-6)) if total > 1e-7 else 0.0

    def learned(self) -> tuple[_Spectra, _Powers]:
        """Return a copy of what was learned."""
        return self.echo_path.copy(), self._uncertainty.copy()

    def return_to(self, learned: tuple[_Spectra, _Powers]) -> None:
        """Forget what was learned later."""
        self.echo_path[:], self._uncertainty[:] = learned

    def replace_far(self, samples: Samples) -> None:
        """Take other far-end samples up to now, because they were moved.

        int16, one frame more than there are partitions: shape (4000,).
        """
        blocks = samples.astype(np.float32).reshape(_PARTITIONS + 1, FRAME)[::-1] / FULL_SCALE
        self._previous = blocks[0]
        self._far[:] = np.fft.rfft(np.concatenate((blocks[1:], blocks[:-1]), axis=1))

    def adapt_quickly(self) -> None:
        """Adapt quickly again after the echo path has changed."""
        self.echo_path[:] = 0.0
        self._uncertainty[:] = 1.0

    def _learn(self, error: _Spectra) -> None:
        power = np.abs(error) ** 2
        self._noise += (1 - _NOISE_KEEP) * (power - self._noise)
        loud = np.abs(self._far) ** 2
        gain = self._uncertainty / ((loud * self._uncertainty).sum(axis=0) + 2 * self._noise + 1e-7)
        self.echo_path += gain * np.conj(self._far) * error
        self._uncertainty *= 1 - 0.5 * gain * loud
        self._uncertainty *= _KEEP**2
        self._uncertainty += (1 - _KEEP**2) * np.abs(self.echo_path) ** 2
        partitions = slice(self._constrained, self._constrained + _CONSTRAINED)
        taps = np.fft.irfft(self.echo_path[partitions])
        taps[:, FRAME:] = 0.0
        self.echo_path[partitions] = np.fft.rfft(taps)
        self._constrained = (self._constrained + _CONSTRAINED) % _PARTITIONS


def _is_hiss(spectrum: _Spectra) -> bool:
    high = spectrum[_HISS_BIN:]
    return bool(np.vdot(high, high).real > _HISS_SHARE * np.vdot(spectrum, spectrum).real)


def _shifted(learned: tuple[_Spectra, _Powers], later: int) -> tuple[_Spectra, _Powers]:
    """Return what was learned of an echo as if it came `later` samples later, or earlier."""
    path, uncertainty = learned
    taps = np.fft.irfft(path)[:, :FRAME].reshape(-1)
    moved = np.zeros_like(taps)
    count = max(0, len(taps) - abs(later))
    moved[max(0, later) :][:count] = taps[max(0, -later) :][:count]
    padded = np.zeros((_PARTITIONS, 2 * FRAME), np.float32)
    padded[:, :FRAME] = moved.reshape(_PARTITIONS, FRAME)
    at = np.clip(np.arange(_PARTITIONS) - round(later / FRAME), 0, _PARTITIONS - 1)
    return np.fft.rfft(padded).astype(np.complex64), uncertainty[at]


_TRUSTED_DB: Final = -10.0
"""Residual echo below which the filter is trusted, in dB."""
_MARGIN_DB: Final = 7.0
MIN_VOICE_DB: Final = -50.0
"""Level in dBFS of the softest voice over an echo."""
_MIN_ECHO_DB: Final = -60.0
_ECHO_DECAY_DB: Final = 1.0
"""Decay per frame of the echo level, so that a filter a few ms off tolerates its end."""
_RISE_DB: Final = 0.6
_FALL_DB: Final = 0.03
_FALL_SHARE: Final = 0.008
"""Steps of the learned leak in dB: it settles where one frame in ten is above."""
_CERTAIN_LEAK_DB: Final = -19.0
"""Residual echo in dB that a certain voice exceeds, even if less was learned."""
_FIRST_LEAK_DB: Final = -24.0
_FIRST_FRAMES: Final = 30
"""Residual echo in dB that is expected in the first frames of a sound, even if less was learned: in
silence an echo moves by a part of a sample.
"""
_MAX_LEAK_DB: Final = -3.0
_INCOHERENT_DB: Final = 10.0
"""Most that the incoherent residual echo exceeds the coherent one, in dB; more is a voice."""
_DIVERGED_FRAMES: Final = 60
_CLEAN_DB: Final = -15.0
"""Residual echo below which the residue is clean, in dB."""
_HYSTERESIS_DB: Final = 3.0
"""Hysteresis of that threshold in dB."""
_DIVERGED_DB: Final = -8.0
"""A filter above this residual echo that cancels almost nothing must adapt again."""
_RELIABLE_FRAMES: Final = 40
"""Frames in a row with a canceled echo that make the filter reliable."""
_MISMATCHED_FRAMES: Final = 5
"""Frames without the estimated echo that mean a jump of its delay."""
_DOUBTFUL_FRAMES: Final = 8
"""The same while the filter is reliable: a loud voice may hide the echo for so long."""
_KEPT_EVERY: Final = 20
"""Frames of an echo between two copies of what was learned."""
_MIN_MATCH: Final = 0.5
_MATCH_KEEP: Final = 0.8
_CHANCE_SHARE: Final = 0.1
"""Share of the echo estimate that may be wrong by chance for a few frames."""
_VOICE_SHARE: Final = 0.1
"""Share of the step up when the excess is more likely a voice."""
SUPPRESSED_DB: Final = 15.0
"""Attenuation by AEC3 that marks a residue without a voice, in dB."""
_NO_VOICE_DB: Final = -55.0
"""Level in dBFS below which a residue has no voice."""


class _Match:
    """Checks roughly but at once whether the microphone contains the estimated echo."""

    def __init__(self) -> None:
        self._correlation = self._estimate_energy = self._residue_energy = 0.0
        self.is_louder = False
        """True if the echo is louder than estimated: by at least half."""

    def observe(self, residue: NDArray[np.float32], estimate: NDArray[np.float32]) -> bool:
        """Process 10 ms; a loud voice makes the check more tolerant."""
        self._correlation = _MATCH_KEEP * self._correlation + float(np.dot(residue, estimate))
        self._estimate_energy = _MATCH_KEEP * self._estimate_energy + float(
            np.dot(estimate, estimate)
        )
        self._residue_energy = _MATCH_KEEP * self._residue_energy + float(np.dot(residue, residue))
        chance = _CHANCE_SHARE * math.sqrt(self._residue_energy * self._estimate_energy)
        most = _MIN_MATCH * self._estimate_energy + chance + 1e-5
        self.is_louder = self._correlation > most
        return -self._correlation <= most


class OnsetDetector:
    """Detects speech over the echo, per 10 ms frame: fast, with occasional false alarms."""

    def __init__(
        self, linear_filter: LinearFilter | None = None, delay: EchoDelay | None = None
    ) -> None:
        self._filter = linear_filter or LinearFilter()
        self.delay: Final = delay or EchoDelay()
        """What delays the far end before the filter."""
        self.drift: Final = self._filter.drift
        """Estimate of the difference between the two clocks."""
        self._is_voiced = voice_detector(3)
        self._echo_db = _MIN_ECHO_DB
        self.leak_db = 0.0
        """Learned level of the residual echo relative to the echo, in dB."""
        self._diverged = self._loud_frames = 0
        self.residue: Samples = np.zeros(FRAME, np.int16)
        """The newest residue, int16 of shape (160,)."""
        self.clean = False
        """True if `residue` has hardly any echo."""
        self.has_voice = False
        """True if `residue` certainly has a voice."""
        self.tail_db = SILENCE_DB
        """Level in dBFS of the reverberation that the filter does not reach."""
        self.jumped = False
        """True once when the microphone no longer contains the echo that a trained filter
        estimates."""
        self._mismatched_frames = 0
        self.warm = False
        """True while `voiced` is reliable because the residual echo is predicted."""
        self.reliable = False
        """True from when the filter canceled the echo for a while until a disturbance."""
        self._canceled_frames = self._doubtful_frames = 0
        self._known: tuple[_Spectra, _Powers] | None = None
        """What the filter had learned 0.2 to 0.4 s before it was last reliable."""
        self._next_known: tuple[_Spectra, _Powers] | None = None
        self._kept_frames = 0
        self._match = _Match()

    @property
    def echo_path(self) -> NDArray[np.float32]:
        """The impulse response of the echo after `delay`, at 16 kHz, float32 of shape (3840,).

        It is the one from when the filter was last reliable.
        """
        path = self._filter.echo_path if self._known is None else self._known[0]
        taps = np.fft.irfft(path)[:, :FRAME]
        return taps.astype(np.float32).reshape(-1)

    @property
    def knows_echo(self) -> bool:
        """True once the filter was reliable for a while."""
        return self._known is not None

    @property
    def lost(self) -> bool:
        """True if it is uncertain whether a known echo is where the filter expects it."""
        return self._known is not None and not self.reliable

    def disturb(self) -> None:
        """Note a disturbance of the echo path."""
        self.doubt()

    def doubt(self) -> None:
        """Let the filter prove again that it cancels the echo."""
        self._canceled_frames, self.reliable = 0, False
        # What was learned just before it is wrong: a disturbance is noticed late.
        self._next_known = None

    def trust(self) -> None:
        """Note that the known echo is where the filter expects it."""
        if self._known is not None:
            self._filter.return_to(self._known)
            self._canceled_frames, self.reliable = _RELIABLE_FRAMES, True

    def move(self) -> None:
        """Note that `delay` was moved: what was learned while the filter was reliable is valid."""
        self._filter.replace_far(self.delay.newest(_PARTITIONS + 1))
        known = self._known or self._filter.learned()
        if self.delay.rest:
            known = _shifted(known, self.delay.rest)
        if self._known is not None:
            self._known = known
        self._filter.return_to(known)

    def voiced(self, near: Samples, far: Samples, cleaned: Samples) -> bool:
        """Process a frame; return True on speech. `cleaned` is the output of AEC3."""
        parts = self._filter.residue(near, self.delay.take(far))
        self.has_voice = False
        if parts is None:
            self.residue, self.clean, self._loud_frames = near, True, 0
            self.tail_db = SILENCE_DB
            self.jumped, self._mismatched_frames = False, 0
            return False
        residue, estimate = parts
        level = decibels(rms(residue))
        estimate_db = decibels(rms(estimate))
        self._loud_frames += estimate_db > MIN_VOICE_DB
        leak_db = self.leak_db
        if self._loud_frames <= _FIRST_FRAMES:
            leak_db = max(leak_db, _FIRST_LEAK_DB)
        if self.reliable:
            # AEC3 suppresses some voices over a loud echo, and then they are learned as a leak.
            most_db = max(self._filter.residual_db + _INCOHERENT_DB, _CERTAIN_LEAK_DB)
            leak_db = min(leak_db, most_db)
        self._echo_db = max(estimate_db, self._echo_db - _ECHO_DECAY_DB, _MIN_ECHO_DB)
        pcm = (residue * FULL_SCALE).clip(-32768, 32767).astype(np.int16)
        seems = bool(self._is_voiced(RATE, pcm.tobytes(), len(pcm)))
        tail_db = self.tail_db = self._filter.tail_db
        loud = level > max(max(self._echo_db + leak_db, tail_db) + _MARGIN_DB, MIN_VOICE_DB)
        trusted = leak_db <= _TRUSTED_DB and not self._filter.hisses
        matches = self._match.observe(residue, estimate)
        self._mismatched_frames = self._mismatched_frames + 1 if trusted and not matches else 0
        self.jumped = self._mismatched_frames == _MISMATCHED_FRAMES
        self._rate(matches, level, estimate_db)
        self.residue = pcm
        limit = _CLEAN_DB + (_HYSTERESIS_DB if self.clean else 0.0)
        self.clean = matches and self._filter.residual_db <= limit
        leak = max(min(self.leak_db, self._filter.residual_db + _INCOHERENT_DB), _CERTAIN_LEAK_DB)
        certain = level > max(max(self._echo_db + leak, tail_db) + _MARGIN_DB, MIN_VOICE_DB)
        certain = certain and not self._filter.hisses
        self.has_voice = self.clean and leak <= _TRUSTED_DB and certain
        if dbfs(cleaned) < level - SUPPRESSED_DB or level < _NO_VOICE_DB:
            self._learn_leak(
                level - self._echo_db,
                estimate_db,
                _VOICE_SHARE if self.has_voice else 1,
            )
        return seems and loud and trusted

    def _rate(self, matches: bool, level: float, estimate_db: float) -> None:
        """Count the frames in a row in which the filter canceled a loud echo."""
        fits = matches and not self._match.is_louder
        self._doubtful_frames = 0 if fits else self._doubtful_frames + 1
        if not fits:
            if self._doubtful_frames >= _DOUBTFUL_FRAMES or not self.reliable:
                self.doubt()
        elif estimate_db > MIN_VOICE_DB and not self.reliable:
            cancels = level < self._echo_db + _TRUSTED_DB
            self._canceled_frames = self._canceled_frames + 1 if cancels else 0
            self.reliable = self._canceled_frames >= _RELIABLE_FRAMES
        if not self.reliable:
            self._kept_frames = 0
        elif estimate_db > MIN_VOICE_DB:
            self._kept_frames += 1
            if self._kept_frames % _KEPT_EVERY == 1:
                self._known = self._next_known or self._known
                self._next_known = self._filter.learned()

    def _learn_leak(self, leak_db: float, estimate_db: float, share: float) -> None:
        if estimate_db < _MIN_ECHO_DB + 15:
            return
        above = leak_db - self.leak_db
        self.leak_db += share * _RISE_DB if above > 0 else _FALL_SHARE * above - _FALL_DB
        self.leak_db = min(self.leak_db, 3.0)
        diverged = leak_db > _MAX_LEAK_DB and self._filter.residual_db > _DIVERGED_DB
        self._diverged = self._diverged + 1 if diverged else max(0, self._diverged - 2)
        if self._diverged >= _DIVERGED_FRAMES:
            self._diverged = 0
            self.doubt()
            self._filter.adapt_quickly()
