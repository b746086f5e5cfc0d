"""The sound of a recording, out of the speaker again, at the speed it is replayed.

Both sides are mixed. At another speed than it was the sound is stretched in time (overlapping
windows laid where they fit best), so voices keep their pitch. Outside `AUDIBLE` it is silent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voicechat.audio import messages as sound
from voicechat.core import effects
from voicechat.recording.stereo_wav import FRAME, HEADER
from voicechat.session.audio_link import SoundLine

AUDIBLE: Final = (0.5, 4.0)
"""Speeds at which speech can be followed."""

AHEAD_S: Final = 0.4
"""Seconds of sound handed over before they are due."""

PATIENCE_S: Final = 2.0
"""Seconds that a replay waits for its sound before it begins without."""

_HOP_S: Final = 0.02
_SEARCH_S: Final = 0.008

Samples = NDArray[np.int16]


class Loudspeaker:
    """Call on the event loop. `silent` is told why there is no sound, if there is none."""

    def __init__(self, wav: Path, rate: int, speed: float, silent: Callable[[str], None]) -> None:
        """`wav` is a file of `tracks`."""
        self._silent = silent
        self._rate = rate
        self._stretch = Stretch(frames_of(wav), rate, speed)
        self._volume = 1.0
        self._item = 0
        self._sent: int | None = None
        """Frames of the present item that were handed over; None when there is no item."""
        self._started_at = 0.0
        self._speed = speed
        self._open = False
        """True if a speaker is there: what is handed over before waits for it, and is late."""
        self._told = asyncio.Event()
        self._problem = ""
        self._line: SoundLine | None = None
        self.set_speed(speed)

    async def ready(self) -> None:
        """Return when there is a speaker, when there is none, or after `PATIENCE_S`."""
        if self._line is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), PATIENCE_S)

    def follow(self, position: float) -> None:
        """The replay stands at `position` (s): hand over what is due soon."""
        if self._line is None or not (self._open and self._audible):
            return
        if self._sent is None:
            self._item += 1
            self._sent, self._started_at = 0, position
            self._stretch.begin(position)
        due = ((position - self._started_at) / self._speed + AHEAD_S) * self._rate
        pieces = []
        while self._sent < due and (piece := self._stretch.next()) is not None:
            pieces.append(piece)
            self._sent += len(piece)
        if pieces:
            self._line.send(effects.Play(self._name, np.concatenate(pieces).tobytes()))

    def hush(self) -> None:
        """The replay paused or went elsewhere."""
        if self._line is not None and self._sent is not None:
            self._sent = None
            self._line.send(effects.StopPlayback())

    def set_speed(self, speed: float) -> None:
        """Go on at another speed; the speaker is opened for the first that is audible."""
        self.hush()
        self._speed = self._stretch.speed = speed
        if self._audible and self._line is None:
            settings = sound.AudioSettings(
                listen=False, output_rate=self._rate, echo_cancel=False, barge_in="off"
            )
            self._line = SoundLine(settings, self._hear)
            self._line.send(sound.Volume(self._volume))

    @property
    def _audible(self) -> bool:
        return AUDIBLE[0] <= self._speed <= AUDIBLE[1]

    def set_volume(self, percent: int) -> None:
        """How loud, 0 to 100."""
        self._volume = percent / 100
        if self._line is not None:
            self._line.send(sound.Volume(self._volume))

    async def close(self) -> None:
        """Give the speaker back."""
        if self._line is not None:
            line, self._line = self._line, None
            await line.close()

    @property
    def _name(self) -> str:
        return f"replay_{self._item}"

    def _hear(self, event: sound.AudioEvent) -> None:
        if isinstance(event, sound.Opened):
            self._told.set()
        match event:
            case sound.Opened(output_name=None, problem=problem):
                self._open = False
                if problem != self._problem:
                    self._problem = problem
                    self._silent(problem)
            case sound.Opened():
                self._open = True
                self._problem = ""
                self.hush()


class Stretch:
    """Sound at another speed and the same pitch, piece by piece."""

    def __init__(self, frames: Samples, rate: int, speed: float) -> None:
        """`frames` are int16 of shape (frames, 2); the sides are mixed."""
        self._frames = frames
        self._rate = rate
        self.speed = speed
        """How many times faster than it was; to be changed before a `begin`."""
        self._hop = int(_HOP_S * rate)
        self._search = int(_SEARCH_S * rate)
        phase = (np.arange(2 * self._hop, dtype=np.float32) + 0.5) / (2 * self._hop)
        self._window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(2 * np.pi * phase)).astype(
            np.float32
        )
        self.begin(0.0)

    def begin(self, position: float) -> None:
        """Go on from `position` (s of the sound)."""
        self._place = position * self._rate
        self._tail: NDArray[np.float32] = np.zeros(self._hop, np.float32)
        self._follows: int | None = None

    def next(self) -> Samples | None:
        """The next 20 ms as they are to be played; None at the end."""
        begin = int(self._place)
        if begin + 2 * self._hop + self._search > len(self._frames):
            return None
        self._place += self._hop * self.speed
        if self.speed == 1.0:
            return _rounded(self._mixed(begin, self._hop))
        begin = self._best(begin)
        self._follows = begin + self._hop
        shaped = self._mixed(begin, 2 * self._hop) * self._window
        piece = self._tail + shaped[: self._hop]
        self._tail = shaped[self._hop :]
        return _rounded(piece)

    def _mixed(self, begin: int, count: int) -> NDArray[np.float32]:
        """Both sides as one, each at its own loudness."""
        mono: NDArray[np.float32] = self._frames[begin : begin + count].sum(1, dtype=np.float32)
        return mono

    def _best(self, begin: int) -> int:
        """Where near `begin` the sound goes on most like after the last piece."""
        if self._follows is None or begin < self._search:
            return begin
        wanted = self._mixed(self._follows, self._hop)
        around = self._mixed(begin - self._search, 2 * self._search + self._hop)
        likeness = np.correlate(around, wanted, "valid")
        return begin - self._search + int(np.argmax(likeness))


def frames_of(wav: Path) -> Samples:
    """The frames of a file of `tracks`, read as they are needed: int16 of shape (frames, 2)."""
    count = max(0, wav.stat().st_size - HEADER.size) // FRAME
    if not count:
        return np.zeros((0, 2), np.int16)
    return np.memmap(wav, "<i2", "r", HEADER.size, (count, 2))


def _rounded(samples: NDArray[np.float32]) -> Samples:
    clipped: Samples = np.clip(samples, -32768, 32767).astype(np.int16)
    return clipped
