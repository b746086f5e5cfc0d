"""Is there an echo at all? With headphones there is none, and cancelling would only do harm.

A canceller that has never seen an echo expects a strong one, and takes the person's own voice
for it: measured on a card without any echo, the first second of speech over a reply was lost.
So its output is used only until the room has shown itself dry:

    unknown ─┬─ the microphone repeats the speaker, at some delay ────────────────► echo
             └─ the speaker was heard for longer than any delay, and it does not ─► dry

Whether one sound repeats the other is seen in their whitened cross-correlation: an echo has its
peak at the same delay in one piece after another, even when somebody speaks over it.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio.capture.echo_canceller import FRAME, Canceller
from voicechat.speech.levels import FULL_SCALE, Samples, decibels, rms

_LOUD: Final = 0.003 * FULL_SCALE
"""RMS of full scale (-50 dBFS) above which the speaker counts as sounding."""
_SILENT: Final = 0.0016 * FULL_SCALE
"""RMS of full scale (-56 dBFS) below which the microphone counts as silent."""
_CUE_FRAMES: Final = 10
"""Loud frames that are enough when all of the longest delay has passed: a short cue,"""
_SPEECH_FRAMES: Final = 40
"""and so many when the microphone heard something, which may be the echo of a cue: a tone has no
delay that could be told."""
_DRY_AGAIN_FRAMES: Final = 300
"""Loud frames without an echo after which a room that had one is dry."""
_PIECE: Final = 3_200
"""Samples that are compared at a time."""
_LONGEST: Final = 9_600
"""Samples of the longest delay."""
_SIZE: Final = 16_384
"""Of the transform; both pieces together fit in."""
_WHITE: Final = 0.85
"""How far the spectra are flattened."""
_AGREE: Final = {2: 18.0, 3: 7.0}
"""So many pieces in a row show an echo by a common peak so many times the average."""


class EchoState(Enum):
    """What is known of the way from the speaker to the microphone."""

    UNKNOWN = auto()
    DRY = auto()
    ECHO = auto()


class EchoDetector:
    """Weighs both sides, 10 ms at a time; `verdict` is what they have shown so far."""

    def __init__(self) -> None:
        self.verdict = EchoState.UNKNOWN
        self.delay = 0
        """Samples by which the echo is late, where the verdict is ECHO."""
        self.waiting = False
        """The speaker sounds, or did just now, and it is not known whether there is an echo."""
        self._near: Samples = np.zeros(_PIECE, np.int16)
        self._far: Samples = np.zeros(_PIECE + _LONGEST, np.int16)
        self._pieces: deque[NDArray[np.float32]] = deque(maxlen=max(_AGREE))
        self._loud = 0
        self._since_loud = 0
        self._frames = 0
        self._heard = False

    def observe(self, near: Samples, far: Samples) -> None:
        """Weigh one frame of both sides."""
        self._near[:-FRAME] = self._near[FRAME:]
        self._near[-FRAME:] = near
        self._far[:-FRAME] = self._far[FRAME:]
        self._far[-FRAME:] = far
        loud = rms(far) >= _LOUD
        self._loud += loud
        self._since_loud = self._since_loud + 1 if self._since_loud or loud else 0
        self.waiting = self.verdict is EchoState.UNKNOWN and self._since_loud > 0
        self._frames += 1
        if self._frames * FRAME >= _PIECE and self._since_loud:
            self._frames = 0
            self._judge()

    def _judge(self) -> None:
        """Look for the echo of what was said; forget that when it cannot come any more."""
        if rms(self._near) >= _SILENT:
            self._heard = True
            self._pieces.append(self._compare())
        found = self._repeated()
        if found is not None:
            self.verdict, self.delay = EchoState.ECHO, found
            self._loud = self._since_loud = 0
            self._heard = False
            self._pieces.clear()
            return
        if self._loud >= self._enough and self._since_loud * FRAME >= _LONGEST + _PIECE:
            self.verdict = EchoState.DRY
            self._loud = 0
        if not self._far.any():
            self._since_loud = 0
            self._heard = False
            if self.verdict is EchoState.UNKNOWN:
                self._loud = 0

    @property
    def _enough(self) -> int:
        """Loud frames without an echo that show a dry room."""
        if self.verdict is EchoState.ECHO:
            return _DRY_AGAIN_FRAMES
        return _SPEECH_FRAMES if self._heard else _CUE_FRAMES

    def _compare(self) -> NDArray[np.float32]:
        """For every delay in samples how well it explains the piece: logarithms."""
        near = np.fft.rfft(self._near.astype(np.float32), _SIZE)
        far = np.fft.rfft(self._far.astype(np.float32), _SIZE)
        cross = near * np.conj(far)
        loudness = np.abs(cross) ** _WHITE
        cross /= loudness + 1e-3 * loudness.mean() + 1e-9
        found: NDArray[np.float32] = np.abs(np.fft.irfft(cross, _SIZE)[-_LONGEST:])
        average = float(np.sqrt(np.mean(found**2))) + 1e-9
        heights: NDArray[np.float32] = np.log(found / average + 1e-6)
        return heights

    def _repeated(self) -> int | None:
        """The delay at which the latest pieces have a peak in common, if it is high enough."""
        for count, enough in _AGREE.items():
            if len(self._pieces) >= count:
                shared = np.sum(list(self._pieces)[-count:], axis=0)
                peak = int(np.argmax(shared))
                if np.exp(shared[peak] / count) >= enough:
                    return peak
        return None


class BypassableCanceller:
    """A canceller that steps aside while there is nothing to cancel."""

    full_duplex = True

    def __init__(self, inner: Canceller) -> None:
        self.name = inner.name
        self._inner = inner
        self._evidence = EchoDetector()

    @property
    def aside(self) -> bool:
        """Whether there is nothing to cancel, as far as is known."""
        return self._evidence.verdict is EchoState.DRY

    @property
    def undecided(self) -> bool:
        """Whether it will be known soon, but is not yet, which version is the better one."""
        return self._evidence.waiting

    @property
    def delay(self) -> int | None:
        """Samples by which the echo is late; None where none was found."""
        return self._evidence.delay if self._evidence.verdict is EchoState.ECHO else None

    def process(self, near: Samples, far: Samples) -> Samples:
        """The microphone's frame, without the speaker's sound if there is any of it."""
        self._evidence.observe(near, far)
        if self.aside and rms(near) < _SILENT:
            return near  # nothing to take away and nothing to learn from
        cleaned = self._inner.process(near, far)
        return near if self.aside else cleaned


class Convergence:
    """Learns whether the canceller works, from how much of the speaker's sound it takes away.

    Once shown it stays shown until the streams are reopened: the person's own voice lowers the
    measured reduction and must not make the ear more careful.
    """

    _ENOUGH_DB = 10.0
    _FRAMES = 40

    def __init__(self) -> None:
        self.reached = False
        self._frames = 0
        self._before = 0.0
        self._after = 0.0

    def observe(self, near: Samples, far: Samples, cleaned: Samples) -> None:
        """Weigh one 10 ms frame."""
        if self.reached or rms(far) < _LOUD:
            return
        self._frames += 1
        keep = 0.95
        self._before = keep * self._before + (1 - keep) * rms(near)
        self._after = keep * self._after + (1 - keep) * rms(cleaned)
        reduced = decibels(self._before / self._after) if self._after else 100.0
        no_echo = self._before < _SILENT
        self.reached = self._frames >= self._FRAMES and (no_echo or reduced >= self._ENOUGH_DB)
