"""A second, purely linear echo canceller: notices the person at once, and leaves the words whole.

The one that the recogniser hears through also presses down whatever it is not sure of, and so
takes the first 50 to 100 ms of a voice over a loud echo with it. A linear filter cannot do that:
what it subtracts is only what the speaker played. It leaves more echo, how much is learned.

    far, near ─► filter ─► residue: voiced, and well above the residue that such an echo leaves?

Partitioned-block frequency-domain Kalman filter: Kuech, Mabande, Enzner, "State-space
architecture of the partitioned-block-based acoustic echo controller", ICASSP 2014.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from voicechat.audio.capture.clock_drift import ClockDrift
from voicechat.audio.capture.echo_canceller import FRAME
from voicechat.audio.capture.voice_activity import RATE
from voicechat.speech.levels import FULL_SCALE, Samples, dbfs, decibels, rms

_PARTS: Final = 24
"""Partitions of 10 ms: the longest delay plus the echo's tail."""
_BINS: Final = FRAME + 1
_KEEP: Final = 0.9998
"""How constant the room is, from frame to frame."""
_NOISE_KEEP: Final = 0.8
_COMMON_KEEP: Final = 0.99
"""How long what residue and echo have in common is averaged: a second."""
_COMMON_MOST: Final = 1.5
"""Residue so many times the echo is a voice: it counts less, as it resembles it by chance."""
_TRIMMED: Final = 4
"""Partitions whose wrap-around is removed in each frame."""
_TELLING_DB: Final = -8.0
"""A filter that leaves less of the echo than this tells of the clocks by what it leaves."""

_Spectra = NDArray[np.complex64]
_Powers = NDArray[np.float32]


class LinearFilter:
    """Learns the way from the speaker to the microphone."""

    def __init__(self) -> None:
        self.drift: Final = ClockDrift()
        self._far: _Spectra = np.zeros((_PARTS, _BINS), np.complex64)
        self._way: _Spectra = np.zeros((_PARTS, _BINS), np.complex64)
        self._doubt: _Powers = np.ones((_PARTS, _BINS), np.float32)
        self._noise: _Powers = np.full(_BINS, 1e-4, np.float32)
        self._last: NDArray[np.float32] = np.zeros(FRAME, np.float32)
        self._trim = 0
        self._quiet = _PARTS
        self._common: _Spectra = np.zeros(_BINS, np.complex64)
        self._echo: _Powers = np.zeros(_BINS, np.float32)
        self.left_db = 0.0
        """How much of the echo the residue still has, as far as the two resemble each other.

        A voice does not resemble the echo: this says whether the filter is right while both speak.
        """

    def residue(
        self, near: Samples, far: Samples
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """The microphone's 10 ms less the echo, and the echo, 1.0 being full scale.

        None: the speaker has been silent for so long that there is no echo.
        """
        block = far.astype(np.float32) / FULL_SCALE
        self._quiet = 0 if far.any() else self._quiet + 1
        if self._quiet > _PARTS:
            return None
        self._far[1:] = self._far[:-1]
        self._far[0] = np.fft.rfft(np.concatenate((self._last, block)))
        self._last = block
        echo = (self._far * self._way).sum(axis=0)
        guess = np.fft.irfft(echo)[FRAME:].astype(np.float32)
        rest = near.astype(np.float32) / FULL_SCALE - guess
        padded = np.concatenate((np.zeros(FRAME, np.float32), rest))
        error = np.fft.rfft(padded).astype(np.complex64)
        self._compare(error, echo)
        if self.left_db < _TELLING_DB:
            self.drift.observe(error, echo)
        self._learn(error)
        return rest, guess

    def _compare(self, error: _Spectra, echo: _Spectra) -> None:
        loud, rest = np.abs(echo) ** 2, float(np.vdot(error, error).real)
        most = _COMMON_MOST * float(self._echo.sum() + loud.sum())
        weight = (1 - _COMMON_KEEP) * min(1.0, most / (rest + 1e-9))
        self._common *= _COMMON_KEEP
        self._common += weight * error * np.conj(echo)
        self._echo *= _COMMON_KEEP
        self._echo += weight * loud
        left = (np.abs(self._common) ** 2 / (self._echo + 1e-9)).sum()
        whole = float(self._echo.sum())
        self.left_db = 10 * float(np.log10(left / whole + 1e-6)) if whole > 1e-7 else 0.0

    def doubt(self) -> None:
        """The way has changed: learn quickly again."""
        self._way[:] = 0.0
        self._doubt[:] = 1.0

    def _learn(self, error: _Spectra) -> None:
        power = np.abs(error) ** 2
        self._noise += (1 - _NOISE_KEEP) * (power - self._noise)
        loud = np.abs(self._far) ** 2
        gain = self._doubt / ((loud * self._doubt).sum(axis=0) + 2 * self._noise + 1e-7)
        self._way += gain * np.conj(self._far) * error
        self._doubt *= 1 - 0.5 * gain * loud
        self._doubt *= _KEEP**2
        self._doubt += (1 - _KEEP**2) * np.abs(self._way) ** 2
        spot = slice(self._trim, self._trim + _TRIMMED)
        taps = np.fft.irfft(self._way[spot])
        taps[:, FRAME:] = 0.0
        self._way[spot] = np.fft.rfft(taps)
        self._trim = (self._trim + _TRIMMED) % _PARTS


_SURE_DB: Final = -10.0
"""The filter is trusted when it leaves less of the echo than this."""
_MARGIN_DB: Final = 7.0
QUIETEST_DB: Final = -50.0
"""No voice over an echo is softer."""
_ECHO_LEAST_DB: Final = -60.0
_ECHO_FALLS_DB: Final = 1.0
"""The echo's loudness is held, so that a filter a few ms off is not surprised by its end."""
_RISE_DB: Final = 0.6
_FALL_DB: Final = 0.03
_FALL_SHARE: Final = 0.008
"""Steps of the learned leak: it settles where one frame in ten lies above."""
_LOST_DB: Final = -3.0
_LOST_FRAMES: Final = 60
_RIGHT_DB: Final = -15.0
"""The filter is right when its residue has less than this in common with the echo;"""
_STAY_DB: Final = 3.0
"""it stays so until there is that much more;"""
_WRONG_DB: Final = -8.0
"""one that is wrong, and leaves nearly all for so long, has to learn another way."""
_AGAINST: Final = 0.5
_MATCH_KEEP: Final = 0.8
_CHANCE: Final = 0.1
"""So much of the guess may have been taken away though it was not there, for a few frames;"""
_DOUBTED: Final = 0.1
"""Share of the step up when what lies above is more likely a voice."""
PRESSED_DB: Final = 15.0
"""The other canceller takes this much off a residue that is nobody's voice."""
_NOBODY_DB: Final = -55.0
"""A residue so soft is nobody's voice either."""


class _Match:
    """Whether the guessed echo is in the microphone's sound just now: at once, and roughly."""

    def __init__(self) -> None:
        self._both = self._guessed = self._left = 0.0

    def observe(self, rest: NDArray[np.float32], guess: NDArray[np.float32]) -> bool:
        """Weigh 10 ms; a loud voice makes the judgement uncertain and therefore mild."""
        self._both = _MATCH_KEEP * self._both + float(np.dot(rest, guess))
        self._guessed = _MATCH_KEEP * self._guessed + float(np.dot(guess, guess))
        self._left = _MATCH_KEEP * self._left + float(np.dot(rest, rest))
        chance = _CHANCE * math.sqrt(self._left * self._guessed)
        return -self._both <= _AGAINST * self._guessed + chance + 1e-5


class OnsetDetector:
    """Says of each 10 ms whether someone seems to speak over the echo. Quick, not certain."""

    def __init__(self, linear_filter: LinearFilter | None = None) -> None:
        self._filter = linear_filter or LinearFilter()
        self.drift: Final = self._filter.drift
        """Estimate of the difference between the two clocks."""
        self._vad = webrtcvad.Vad(3)
        self._echo_db = _ECHO_LEAST_DB
        self.leak_db = 0.0
        """How much of the echo the filter leaves, at the loud end."""
        self._lost = 0
        self.rest: Samples = np.zeros(FRAME, np.int16)
        """The frame without the echo: nothing else was taken away."""
        self.right = False
        """Whether hardly any echo is left in `rest`."""
        self.over = False
        """Whether someone's sound certainly is, and `right`."""
        self._match = _Match()

    def voiced(self, near: Samples, far: Samples, cleaned: Samples) -> bool:
        """Judge a frame; `cleaned` is what the other canceller made of it."""
        parts = self._filter.residue(near, far)
        self.over = False
        if parts is None:
            self.rest, self.right = near, True
            return False
        rest, guess = parts
        level = decibels(rms(rest))
        self._echo_db = max(decibels(rms(guess)), self._echo_db - _ECHO_FALLS_DB, _ECHO_LEAST_DB)
        expected = self._echo_db + self.leak_db
        pcm = (rest * FULL_SCALE).clip(-32768, 32767).astype(np.int16)
        seems = bool(self._vad.is_speech(pcm.tobytes(), RATE))
        loud = level > max(expected + _MARGIN_DB, QUIETEST_DB)
        trusted = self.leak_db <= _SURE_DB
        matches = self._match.observe(rest, guess)
        self.rest = pcm
        most = _RIGHT_DB + (_STAY_DB if self.right else 0.0)
        self.right = matches and self._filter.left_db <= most
        self.over = self.right and trusted and loud
        if dbfs(cleaned) < level - PRESSED_DB or level < _NOBODY_DB:
            self._learn_leak(
                level - self._echo_db, decibels(rms(guess)), _DOUBTED if self.over else 1
            )
        return seems and loud and trusted

    def _learn_leak(self, leak_db: float, guess_db: float, share: float) -> None:
        if guess_db < _ECHO_LEAST_DB + 15:
            return
        above = leak_db - self.leak_db
        self.leak_db += share * _RISE_DB if above > 0 else _FALL_SHARE * above - _FALL_DB
        self.leak_db = min(self.leak_db, 3.0)
        lost = leak_db > _LOST_DB and self._filter.left_db > _WRONG_DB
        self._lost = self._lost + 1 if lost else max(0, self._lost - 2)
        if self._lost >= _LOST_FRAMES:
            self._lost = 0
            self._filter.doubt()
