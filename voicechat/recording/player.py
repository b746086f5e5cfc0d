"""Playback of the sound of a recording at the speed of its replay.

Both sides are mixed. At speeds other than 1 the sound is time-stretched (WSOLA: overlapping
windows at the position of the best match), so that voices keep their pitch. Speeds outside
`AUDIBLE_SPEEDS` are silent.
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
from voicechat.core.wav_header import WAV_HEADER
from voicechat.recording.stereo_wav import FRAME
from voicechat.session.audio_link import SoundLine

AUDIBLE_SPEEDS: Final = (0.5, 4.0)
"""The slowest and the fastest speed with sound."""

QUEUE_S: Final = 0.4
"""Seconds of sound that are queued before they are due."""

OPEN_TIMEOUT_S: Final = 2.0
"""Seconds that a replay waits for the speaker before it starts without sound."""

_HOP_S: Final = 0.02
_SEARCH_S: Final = 0.008

Samples = NDArray[np.int16]


class RecordingPlayer:
    """Player of a recording's sound through the audio process. Call it on the event loop."""

    def __init__(
        self, wav: Path, rate: int, speed: float, on_silence: Callable[[str], None]
    ) -> None:
        """Play `wav`, a file of `stereo_wav` with `rate` frames a second.

        `on_silence` receives the reason when there is no speaker.
        """
        self._on_silence = on_silence
        self._rate = rate
        self._stretcher = TimeStretcher(read_frames(wav), rate, speed)
        self._volume = 1.0
        self._item = 0
        self._queued: int | None = None
        """Frames of the current item that were queued; None without a current item."""
        self._started_at = 0.0
        self._speed = speed
        self._open = False
        """True while a speaker is open. Sound that is queued earlier would play late."""
        self._reported = asyncio.Event()
        self._problem = ""
        self._line: SoundLine | None = None
        self.set_speed(speed)

    async def wait_until_open(self) -> None:
        """Wait until the speaker is open or missing, for `OPEN_TIMEOUT_S` at most."""
        if self._line is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._reported.wait(), OPEN_TIMEOUT_S)

    def queue_until(self, position: float) -> None:
        """Queue the sound that is due soon when the replay is at `position` (s)."""
        if self._line is None or not (self._open and self._audible):
            return
        if self._queued is None:
            self._item += 1
            self._queued, self._started_at = 0, position
            self._stretcher.seek(position)
        due = ((position - self._started_at) / self._speed + QUEUE_S) * self._rate
        pieces = []
        while self._queued < due and (piece := self._stretcher.next_piece()) is not None:
            pieces.append(piece)
            self._queued += len(piece)
        if pieces:
            self._line.send(effects.Play(self._item_id, np.concatenate(pieces).tobytes()))

    def stop_playback(self) -> None:
        """Stop the sound: the replay pauses or moves."""
        if self._line is not None and self._queued is not None:
            self._queued = None
            self._line.send(effects.StopPlayback())

    def set_speed(self, speed: float) -> None:
        """Set the speed; the first audible speed opens the speaker."""
        self.stop_playback()
        self._speed = self._stretcher.speed = speed
        if self._audible and self._line is None:
            settings = sound.AudioSettings(
                listen=False, output_rate=self._rate, echo_cancel=False, barge_in="off"
            )
            self._line = SoundLine(settings, self._on_audio_event)
            self._line.send(sound.Volume(self._volume))

    @property
    def _audible(self) -> bool:
        return AUDIBLE_SPEEDS[0] <= self._speed <= AUDIBLE_SPEEDS[1]

    def set_volume(self, percent: int) -> None:
        """Set the playback volume, 0 to 100."""
        self._volume = percent / 100
        if self._line is not None:
            self._line.send(sound.Volume(self._volume))

    async def close(self) -> None:
        """Close the speaker."""
        if self._line is not None:
            line, self._line = self._line, None
            await line.close()

    @property
    def _item_id(self) -> str:
        return f"replay_{self._item}"

    def _on_audio_event(self, event: sound.AudioEvent) -> None:
        if isinstance(event, sound.Opened):
            self._reported.set()
        match event:
            case sound.Opened(output_name=None, problem=problem):
                self._open = False
                if problem != self._problem:
                    self._problem = problem
                    self._on_silence(problem)
            case sound.Opened():
                self._open = True
                self._problem = ""
                self.stop_playback()


class TimeStretcher:
    """Time stretcher: changes the speed of sound and keeps its pitch."""

    def __init__(self, frames: Samples, rate: int, speed: float) -> None:
        """Stretch `frames`, int16 of shape (frames, 2); the two channels are mixed."""
        self._frames = frames
        self._rate = rate
        self.speed = speed
        """Speed as a multiple of the original; call `seek` after a change."""
        self._hop = int(_HOP_S * rate)
        self._search = int(_SEARCH_S * rate)
        phase = (np.arange(2 * self._hop, dtype=np.float32) + 0.5) / (2 * self._hop)
        self._window: NDArray[np.float32] = (0.5 - 0.5 * np.cos(2 * np.pi * phase)).astype(
            np.float32
        )
        self.seek(0.0)

    def seek(self, position: float) -> None:
        """Continue from `position` (s of the sound)."""
        self._position = position * self._rate
        self._tail: NDArray[np.float32] = np.zeros(self._hop, np.float32)
        self._continuation: int | None = None

    def next_piece(self) -> Samples | None:
        """Return the next 20 ms to play; None at the end."""
        begin = int(self._position)
        if begin + 2 * self._hop + self._search > len(self._frames):
            return None
        self._position += self._hop * self.speed
        if self.speed == 1.0:
            return _to_int16(self._mixed(begin, self._hop))
        begin = self._best_match(begin)
        self._continuation = begin + self._hop
        shaped = self._mixed(begin, 2 * self._hop) * self._window
        piece = self._tail + shaped[: self._hop]
        self._tail = shaped[self._hop :]
        return _to_int16(piece)

    def _mixed(self, begin: int, count: int) -> NDArray[np.float32]:
        """The sum of both channels."""
        mono: NDArray[np.float32] = self._frames[begin : begin + count].sum(1, dtype=np.float32)
        return mono

    def _best_match(self, begin: int) -> int:
        """The position near `begin` that best matches the continuation of the last piece."""
        if self._continuation is None or begin < self._search:
            return begin
        expected = self._mixed(self._continuation, self._hop)
        around = self._mixed(begin - self._search, 2 * self._search + self._hop)
        similarity = np.correlate(around, expected, "valid")
        return begin - self._search + int(np.argmax(similarity))


def read_frames(wav: Path) -> Samples:
    """Map the frames of a file of `stereo_wav` into memory: int16 of shape (frames, 2)."""
    count = max(0, wav.stat().st_size - WAV_HEADER.size) // FRAME
    if not count:
        return np.zeros((0, 2), np.int16)
    return np.memmap(wav, "<i2", "r", WAV_HEADER.size, (count, 2))


def _to_int16(samples: NDArray[np.float32]) -> Samples:
    clipped: Samples = np.clip(samples, -32768, 32767).astype(np.int16)
    return clipped
