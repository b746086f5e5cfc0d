"""Sample buffers: a lock-free ring between callback and loop, and a single-thread queue.

Positions are absolute frame counters that only grow: a fill level is a difference, and a heard
frame is a lookup. Each attribute has one writer. Replacing a Python int is atomic, so the other
side reads either the old or the new value.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from voicechat.speech.levels import Samples


class SampleRing:
    """Ring from a callback to the loop. When the loop falls behind, the oldest frames are lost."""

    def __init__(self, frames: int) -> None:
        """Allocate `frames` rounded up to a power of two."""
        self._size: Final = 1 << max(1, (frames - 1).bit_length())
        self._ring: Samples = np.zeros(self._size, np.int16)
        self._written = 0
        self._read = 0
        self.lost = 0
        """Frames overwritten before they were read."""
        self.last_at = 0.0
        """Monotonic time of the last frame written."""
        self.mark = (0, 0.0)
        """Frames written so far, and the time of the callback that wrote the newest."""
        self.drops = 0
        """Number of times the device lost frames; counted by its callback."""

    @property
    def available(self) -> int:
        """Frames waiting for the reader."""
        return self._written - self._read

    @property
    def taken(self) -> int:
        """Frames read or lost so far."""
        return self._read

    def write(self, block: Samples, at: float, came: float | None = None) -> None:
        """Append a block no longer than the ring; `at` is the time of its last sample. Callback
        side.

        `came`: the time of the callback, if that is steadier than `at`.
        """
        start = self._written & (self._size - 1)
        first = min(len(block), self._size - start)
        self._ring[start : start + first] = block[:first]
        if first < len(block):
            self._ring[: len(block) - first] = block[first:]
        self.last_at = at
        self._written += len(block)
        self.mark = (self._written, at if came is None else came)

    def peek(self, frames: int) -> Samples | None:
        """Return a copy of the next `frames` without taking them; None if there are fewer. Loop
        side.
        """
        waiting = self._written - self._read
        if waiting > self._size:
            self.lost += waiting - self._size
            self._read += waiting - self._size
            waiting = self._size
        if waiting < frames:
            return None
        start = self._read & (self._size - 1)
        first = min(frames, self._size - start)
        block = np.empty(frames, np.int16)
        block[:first] = self._ring[start : start + first]
        if first < frames:
            block[first:] = self._ring[: frames - first]
        return block

    def read(self, frames: int) -> Samples | None:
        """Take and return the next `frames`; None if there are fewer. Loop side."""
        block = self.peek(frames)
        if block is not None:
            self._read += frames
        return block

    def discard(self) -> None:
        """Drop everything that waits. Loop side."""
        self._read = self._written


class SampleQueue:
    """FIFO of int16 samples for a single thread."""

    def __init__(self) -> None:
        self._rest: Samples = np.empty(0, np.int16)

    def prepend_silence(self, frames: int) -> None:
        """Insert silence in front of the waiting samples."""
        self._rest = np.concatenate((np.zeros(frames, np.int16), self._rest))

    def __len__(self) -> int:
        return len(self._rest)

    def put(self, samples: Samples) -> None:
        if len(samples):
            self._rest = np.concatenate((self._rest, samples))

    def take(self, count: int) -> Samples | None:
        """Take and return the oldest `count` samples; None if there are fewer."""
        if len(self._rest) < count:
            return None
        frame, self._rest = self._rest[:count], self._rest[count:]
        return frame
