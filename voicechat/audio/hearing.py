"""From the microphone's ring to blocks for the conversation: rate, echo, mute, voice.

Everything between the device and `Captured` runs at 16 kHz in 10 ms frames, the bandwidth that
the echo canceller, the voice detector and every recogniser share.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from voicechat.audio.buffers import CaptureRing
from voicechat.audio.dsp import Resampler, Samples, dbfs, peak_dbfs
from voicechat.audio.echo import FRAME, Convergence, canceller
from voicechat.audio.evidence import WhenNeeded
from voicechat.audio.linear import Onset
from voicechat.audio.messages import AudioSettings, Captured, CloseMic, Mute
from voicechat.audio.vad import RATE, VoiceGate

_PREROLL_MS: Final = 300
_FAR_MOST: Final = 40 * FRAME
_FAR_TRIM: Final = 4 * FRAME
_FAR_CUSHION: Final = FRAME * 3 // 2
"""So much of the speaker's sound waits, that the canceller's delay stays what it is."""
_TRIM_EVERY: Final = 100


class Voice(NamedTuple):
    """Whether the person speaks in 10 ms: for certain, or as it seems a little sooner."""

    sure: bool
    seems: bool


class _Line:
    """Samples in order of arrival, taken in equal frames."""

    def __init__(self) -> None:
        self._rest: Samples = np.empty(0, np.int16)

    def lead(self, frames: int) -> None:
        """Put silence before what waits."""
        self._rest = np.concatenate((np.zeros(frames, np.int16), self._rest))

    def __len__(self) -> int:
        return len(self._rest)

    def put(self, samples: Samples) -> None:
        if len(samples):
            self._rest = np.concatenate((self._rest, samples))

    def take(self, count: int) -> Samples | None:
        if len(self._rest) < count:
            return None
        frame, self._rest = self._rest[:count], self._rest[count:]
        return frame


class _FarEnd:
    """The speaker's sound beside the microphone's, frame for frame.

    Kept in order and never skipped while it sounds, so that the canceller sees one constant
    delay; a surplus from clocks or stalls is cut out.
    """

    def __init__(self) -> None:
        self._line = _Line()
        self._least = _FAR_MOST
        self._count = 0
        self._nothing: Samples = np.zeros(FRAME, np.int16)

    def put(self, samples: Samples) -> None:
        self._line.put(samples)
        if len(self._line) > _FAR_MOST:
            self._line.take(len(self._line) - FRAME)

    def next(self) -> Samples:
        frame = self._line.take(FRAME)
        self._least = min(self._least, len(self._line))
        self._count += 1
        if frame is None:
            return self._nothing
        if self._count >= _TRIM_EVERY:
            if self._least > _FAR_TRIM:
                self._line.take(self._least - _FAR_CUSHION)
            self._least, self._count = _FAR_MOST, 0
        return frame

    def join(self, near: int) -> None:
        """The microphone begins with `near` samples: what came long before them is not its echo.

        Sound that stands here too late would be cancelled after its echo, which is impossible.
        """
        surplus = len(self._line) - near - _FAR_CUSHION
        if surplus < 0:
            self._line.lead(-surplus)
        self._line.take(max(0, surplus))
        self._least, self._count = _FAR_MOST, 0


class Hearing:
    """The microphone's side. One thread; `renew` after every opening of the streams."""

    def __init__(self, settings: AudioSettings, above_floor_db: float) -> None:
        self._block: Final = settings.input_rate * settings.block_ms // 1000
        self._rate: Final = settings.input_rate
        self._wanted: Final = settings.echo_cancel
        self.muted = False
        self.closed = False
        self._gate = VoiceGate(above_floor_db)
        self._preroll: deque[Captured] = deque(maxlen=max(1, _PREROLL_MS // settings.block_ms))
        self._out = Resampler(RATE, settings.input_rate)
        self.level = self.peak = self.far_level = self.far_peak = -100.0
        self.renew(RATE, RATE)

    def renew(self, microphone_rate: int, speaker_rate: int) -> None:
        """The devices run at these rates now; the canceller learns anew."""
        best = canceller(self._wanted)
        self._joined = False
        self._needed = WhenNeeded(best) if self._wanted and best.full_duplex else None
        self.canceller = self._needed or best
        self._onset = Onset()
        self.convergence = Convergence()
        self._near_rate = Resampler(microphone_rate, RATE)
        self._far_rate = Resampler(speaker_rate, RATE)
        self._near_step = microphone_rate // 100
        self._far_step = speaker_rate // 100
        self._near, self._far = _Line(), _FarEnd()
        self._ready = _Line()

    def rejoin(self) -> None:
        """The streams were opened anew: they did not begin at the same time."""
        self._joined = False
        self._onset = Onset()

    def door(self, command: Mute | CloseMic) -> None:
        """Silence instead of sound, or nothing at all."""
        if isinstance(command, Mute):
            self.muted = command.on
        else:
            self.closed = command.on

    @property
    def converged(self) -> bool:
        """Whether what is left in the signal is the person and not the speaker."""
        return not self._wanted or self.convergence.reached

    def listen_to_speaker(self, reference: CaptureRing) -> None:
        """Take what was handed to the speaker since the last call."""
        while (played := reference.read(self._far_step)) is not None:
            self.far_level = max(dbfs(played), self.far_level - 3)
            self.far_peak = max(peak_dbfs(played), self.far_peak - 1)
            self._far.put(self._far_rate.convert(played))

    def frames(self, microphone: CaptureRing) -> Iterator[Voice]:
        """Work off the microphone's ring; for each 10 ms whether the person's voice is in them."""
        while (taken := microphone.read(self._near_step)) is not None:
            self._near.put(self._near_rate.convert(taken))
        if not self._joined and len(self._near):
            self._joined = True
            self._far.join(len(self._near))
        while (near := self._near.take(FRAME)) is not None:
            far = self._far.next()
            cleaned = self._clean(near, far)
            self._ready.put(self._out.convert(cleaned))
            yield self._judge(near, far, cleaned)

    def blocks(self, last_at: float) -> Iterator[Captured]:
        """The finished blocks; `last_at` is when the newest sample of the ring was taken."""
        while (block := self._ready.take(self._block)) is not None:
            at = last_at - len(self._ready) / self._rate
            yield Captured(bytes(2 * self._block) if self.muted else block.tobytes(), at)

    def deliver(self, captured: Captured) -> Iterator[Captured]:
        """Through the door: nothing while it is closed, then first what was just said."""
        if self.closed:
            self._preroll.append(captured)
            return
        while self._preroll:
            yield self._preroll.popleft()
        yield captured

    def _judge(self, near: Samples, far: Samples, cleaned: Samples) -> Voice:
        sure = self._gate.voiced(cleaned)
        seems = sure
        if self._needed is not None and not self._needed.aside:
            seems = self._onset.voiced(near, far, cleaned)
        ear = not self.muted and not self.closed
        return Voice(sure and ear, seems and ear)

    def _clean(self, near: Samples, far: Samples) -> Samples:
        cleaned = self.canceller.process(near, far)
        self.convergence.observe(near, far, cleaned)
        if self.muted:
            cleaned = np.zeros_like(cleaned)
        self.level = max(dbfs(cleaned), self.level - 3)
        self.peak = max(peak_dbfs(cleaned), self.peak - 1)
        return cleaned
