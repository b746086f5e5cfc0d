"""The speaker's sound beside the microphone's, frame for frame, kept there by the clock.

The canceller wants one constant delay. Counting frames gives it only while none is lost: a
speaker that runs dry and a microphone that overflows move the two sides against each other, for
good. So the moments of both streams are followed, and what was lost is made up for.

    moment of a side's next frame = the stream's beginning + frames taken - frames that wait
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from voicechat.audio.buffers import CaptureRing
from voicechat.audio.dsp import Samples
from voicechat.audio.echo import FRAME

_RATE: Final = 16_000
_MOST: Final = 40 * FRAME
"""More of the speaker's sound than this never waits."""
_CUSHION: Final = FRAME * 3 // 2
"""So much of it waits at first, that the canceller's delay stays what it is."""
_OBSERVED: Final = 50
"""Callbacks whose moments are compared: half a second or a whole one."""
_ENOUGH: Final = 25
"""So many tell enough after a loss; at first all are waited for, as streams begin unsteadily."""
_EVERY: Final = 10
"""Frames between two looks at the clock."""
_LOST_S: Final = 0.012
"""Further apart than this twice is a loss of frames; less is the drift of two clocks."""
_MOST_S: Final = 0.3
"""No loss is so long; the clock or the device was set anew."""
_SLACK_S: Final = 0.006
_SMOOTH: Final = 0.02
"""Drift is followed sample by sample, but late and slowly: each sample costs the cancellers some
of what they learned, and the moments of callbacks err by a millisecond or two."""
_PATIENCE: Final = 5
"""Looks at the clock that sound which should come earlier is waited for."""


class Line:
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
        """The oldest `count` samples; None when there are fewer."""
        if len(self._rest) < count:
            return None
        frame, self._rest = self._rest[:count], self._rest[count:]
        return frame


class Beginning:
    """When a stream's first frame was, told from the moments of its callbacks.

    A callback may be late and is never early, so the earliest is believed.
    """

    def __init__(self, rate: int) -> None:
        self._rate: Final = rate
        self._told: deque[float] = deque(maxlen=_OBSERVED)
        self._frames = 0
        self._enough = _OBSERVED

    def observe(self, mark: tuple[int, float]) -> None:
        """A callback: frames the stream then had, and the moment."""
        frames, moment = mark
        if frames != self._frames:
            self._frames = frames
            self._told.append(moment - frames / self._rate)

    def forget(self) -> None:
        """Frames were lost: what was told before is no longer true."""
        self._told.clear()

    @property
    def at(self) -> float | None:
        """The moment in seconds; None while too little was told."""
        if len(self._told) < self._enough:
            return None
        self._enough = _ENOUGH
        return min(self._told)


class FarEnd:
    """The speaker's sound, taken frame by frame beside the microphone's."""

    def __init__(self, microphone_rate: int, speaker_rate: int) -> None:
        self._line = Line()
        self._rates: Final = microphone_rate, speaker_rate
        self._nothing: Samples = np.zeros(FRAME, np.int16)
        self.rejoin()

    def rejoin(self) -> None:
        """The streams begin anew: they did not begin at the same time."""
        self._joined = False
        self._near_begins = Beginning(self._rates[0])
        self._far_begins = Beginning(self._rates[1])
        self._apart: float | None = None
        self._drift = 0.0
        self._strange = 0
        self._patience = _PATIENCE
        self._least = _MOST
        self._drops = 0
        self._count = 0

    def put(self, samples: Samples) -> None:
        """What was handed to the speaker, at 16 kHz."""
        self._line.put(samples)
        if len(self._line) > _MOST:
            self._line.take(len(self._line) - _MOST)

    def next(self) -> Samples:
        """What stands beside the microphone's next 10 ms; silence when there is none."""
        frame = self._line.take(FRAME)
        self._least = min(self._least, len(self._line)) if frame is not None else 0
        return self._nothing if frame is None else frame

    def join(self, near: int) -> None:
        """The microphone begins with `near` samples: what came long before them is not its echo.

        Sound that stands here too late would be cancelled after its echo, which is impossible.
        """
        if self._joined or not near:
            return
        self._joined = True
        surplus = len(self._line) - near - _CUSHION
        if surplus < 0:
            self._line.lead(-surplus)
        self._line.take(max(0, surplus))

    def follow(self, microphone: CaptureRing, near: int, speaker: CaptureRing | None) -> bool:
        """Keep the two sides together; True when frames were lost since the last call.

        `near`: samples of the microphone that were read but not yet taken.
        """
        if speaker is None or not self._joined:
            return False
        drops = microphone.drops + speaker.drops
        dropped, self._drops = drops != self._drops, drops
        if dropped:
            self._near_begins.forget()
            self._far_begins.forget()
            self._count = _EVERY
            self._least = len(self._line) - near
        self._near_begins.observe(microphone.mark)
        self._far_begins.observe(speaker.mark)
        self._count += 1
        near_at, far_at = self._near_begins.at, self._far_begins.at
        if self._count < _EVERY or near_at is None or far_at is None:
            return dropped
        self._count = 0
        least, self._least = self._least, _MOST
        near_at += microphone.taken / self._rates[0] - near / _RATE
        far_at += speaker.taken / self._rates[1] - len(self._line) / _RATE
        apart = far_at - near_at
        if self._apart is None:
            self._apart = apart
        return self._correct(apart - self._apart, least) or dropped

    def _correct(self, late: float, least: int) -> bool:
        self._strange = self._strange + 1 if abs(late) >= _LOST_S else 0
        if abs(late) > _MOST_S:
            self._apart = None
        elif self._strange > 1:
            self._drift = 0.0
            self._jump(round(late * _RATE), least)
        if self._strange:
            return True
        self._patience = _PATIENCE
        self._drift += _SMOOTH * (late - self._drift)
        if abs(self._drift) >= _SLACK_S:
            self._jump(int(np.sign(self._drift)), least)
        return False

    def _jump(self, samples: int, least: int) -> None:
        """Sound comes later by so many samples; or earlier, if it is there so early."""
        if samples > 0:
            self._line.lead(samples)
        elif least >= -samples:
            self._line.take(-samples)
        elif self._patience:
            self._patience -= 1
        else:
            self._apart = None
