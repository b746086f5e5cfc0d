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
from voicechat.audio.capture.voice_activity import RATE
from voicechat.speech.pcm import FULL_SCALE, Samples, dbfs, decibels, rms
from voicechat.speech.webrtc_vad import voice_detector

_PARTITIONS: Final = 24
"""Partitions of 10 ms: the longest delay plus the tail of the echo."""
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

_Spectra = NDArray[np.complex64]
_Powers = NDArray[np.float32]


class LinearFilter:
    """Adaptive filter of the echo path."""

    def __init__(self) -> None:
        self.drift: Final = ClockDrift()
        self._far: _Spectra = np.zeros((_PARTITIONS, _BINS), np.complex64)
        self._echo_path: _Spectra = np.zeros((_PARTITIONS, _BINS), np.complex64)
        self._uncertainty: _Powers = np.ones((_PARTITIONS, _BINS), np.float32)
        self._noise: _Powers = np.full(_BINS, 1e-4, np.float32)
        self._previous: NDArray[np.float32] = np.zeros(FRAME, np.float32)
        self._constrained = 0
        self._silent_frames = _PARTITIONS
        self._cross_spectrum: _Spectra = np.zeros(_BINS, np.complex64)
        self._echo: _Powers = np.zeros(_BINS, np.float32)
        self.residual_db = 0.0
        """Level in dB of the residual echo relative to the echo, from their coherence.

        A voice is not coherent with the echo, so this stays valid during double talk.
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
        if self._silent_frames > _PARTITIONS:
            return None
        self._far[1:] = self._far[:-1]
        self._far[0] = np.fft.rfft(np.concatenate((self._previous, block)))
        self._previous = block
        echo = (self._far * self._echo_path).sum(axis=0)
        estimate = np.fft.irfft(echo)[FRAME:].astype(np.float32)
        residue = near.astype(np.float32) / FULL_SCALE - estimate
        padded = np.concatenate((np.zeros(FRAME, np.float32), residue))
        error = np.fft.rfft(padded).astype(np.complex64)
        self._compare(error, echo)
        if self.residual_db < _DRIFT_DB:
            self.drift.observe(error, echo)
        self._learn(error)
        return residue, estimate

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

    @property
    def impulse_response(self) -> NDArray[np.float32]:
        """The echo path as it was learned, at 16 kHz, float32 of shape (3840,)."""
        taps = np.fft.irfft(self._echo_path)[:, :FRAME]
        return taps.astype(np.float32).reshape(-1)

    def adapt_quickly(self) -> None:
        """Adapt quickly again after the echo path has changed."""
        self._echo_path[:] = 0.0
        self._uncertainty[:] = 1.0

    def _learn(self, error: _Spectra) -> None:
        power = np.abs(error) ** 2
        self._noise += (1 - _NOISE_KEEP) * (power - self._noise)
        loud = np.abs(self._far) ** 2
        gain = self._uncertainty / ((loud * self._uncertainty).sum(axis=0) + 2 * self._noise + 1e-7)
        self._echo_path += gain * np.conj(self._far) * error
        self._uncertainty *= 1 - 0.5 * gain * loud
        self._uncertainty *= _KEEP**2
        self._uncertainty += (1 - _KEEP**2) * np.abs(self._echo_path) ** 2
        partitions = slice(self._constrained, self._constrained + _CONSTRAINED)
        taps = np.fft.irfft(self._echo_path[partitions])
        taps[:, FRAME:] = 0.0
        self._echo_path[partitions] = np.fft.rfft(taps)
        self._constrained = (self._constrained + _CONSTRAINED) % _PARTITIONS


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

    def observe(self, residue: NDArray[np.float32], estimate: NDArray[np.float32]) -> bool:
        """Process 10 ms; a loud voice makes the check more tolerant."""
        self._correlation = _MATCH_KEEP * self._correlation + float(np.dot(residue, estimate))
        self._estimate_energy = _MATCH_KEEP * self._estimate_energy + float(
            np.dot(estimate, estimate)
        )
        self._residue_energy = _MATCH_KEEP * self._residue_energy + float(np.dot(residue, residue))
        chance = _CHANCE_SHARE * math.sqrt(self._residue_energy * self._estimate_energy)
        return -self._correlation <= _MIN_MATCH * self._estimate_energy + chance + 1e-5


class OnsetDetector:
    """Detects speech over the echo, per 10 ms frame: fast, with occasional false alarms."""

    def __init__(self, linear_filter: LinearFilter | None = None) -> None:
        self._filter = linear_filter or LinearFilter()
        self.drift: Final = self._filter.drift
        """Estimate of the difference between the two clocks."""
        self._is_voiced = voice_detector(3)
        self._echo_db = _MIN_ECHO_DB
        self.leak_db = 0.0
        """Learned level of the residual echo relative to the echo, in dB."""
        self._diverged = 0
        self.residue: Samples = np.zeros(FRAME, np.int16)
        """The newest residue, int16 of shape (160,)."""
        self.clean = False
        """True if `residue` has hardly any echo."""
        self.has_voice = False
        """True if `residue` certainly has a voice."""
        self.path_changed = False
        """True if the microphone does not contain the echo that a trained filter estimates."""
        self._match = _Match()

    @property
    def echo_path(self) -> NDArray[np.float32]:
        """The impulse response of the echo, at 16 kHz, float32 of shape (3840,)."""
        return self._filter.impulse_response

    def voiced(self, near: Samples, far: Samples, cleaned: Samples) -> bool:
        """Process a frame; return True on speech. `cleaned` is the output of AEC3."""
        parts = self._filter.residue(near, far)
        self.has_voice = False
        if parts is None:
            self.residue, self.clean, self.path_changed = near, True, False
            return False
        residue, estimate = parts
        level = decibels(rms(residue))
        self._echo_db = max(decibels(rms(estimate)), self._echo_db - _ECHO_DECAY_DB, _MIN_ECHO_DB)
        expected = self._echo_db + self.leak_db
        pcm = (residue * FULL_SCALE).clip(-32768, 32767).astype(np.int16)
        seems = bool(self._is_voiced(RATE, pcm.tobytes(), len(pcm)))
        loud = level > max(expected + _MARGIN_DB, MIN_VOICE_DB)
        trusted = self.leak_db <= _TRUSTED_DB
        matches = self._match.observe(residue, estimate)
        self.path_changed = trusted and not matches
        self.residue = pcm
        limit = _CLEAN_DB + (_HYSTERESIS_DB if self.clean else 0.0)
        self.clean = matches and self._filter.residual_db <= limit
        leak = max(min(self.leak_db, self._filter.residual_db + _INCOHERENT_DB), _CERTAIN_LEAK_DB)
        certain = level > max(self._echo_db + leak + _MARGIN_DB, MIN_VOICE_DB)
        self.has_voice = self.clean and leak <= _TRUSTED_DB and certain
        if dbfs(cleaned) < level - SUPPRESSED_DB or level < _NO_VOICE_DB:
            self._learn_leak(
                level - self._echo_db,
                decibels(rms(estimate)),
                _VOICE_SHARE if self.has_voice else 1,
            )
        return seems and loud and trusted

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
            self._filter.adapt_quickly()
