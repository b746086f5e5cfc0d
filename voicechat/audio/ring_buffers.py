"""Rings between a sound callback and the loop, one writer, one reader, no locks; and lines.

Positions are absolute frame counters that only grow, so "how much is there" is a subtraction
and "which frame was heard" is a lookup. Each attribute is written by one side only; a Python
int is replaced in one step, so the other side sees the old value or the new one.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from voicechat.speech.levels import Samples


class CaptureRing:
    """Sound from a callback to the loop; the newest is kept when the loop falls behind."""

    def __init__(self, frames: int) -> None:
        """`frames` is rounded up to a power of two."""
        self._size: Final = 1 << max(1, (frames - 1).bit_length())
        self._ring: Samples = np.zeros(self._size, np.int16)
        self._written = 0
        self._read = 0
        self.lost = 0
        """Frames overwritten before they were read."""
        self.last_at = 0.0
        """Monotonic time of the last frame written."""
        self.mark = (0, 0.0)
        """Frames written so far, and the moment at which the newest of them came."""
        self.drops = 0
        """How often the device lost frames of this stream; counted by its callback."""

    @property
    def available(self) -> int:
        """Frames that wait for the reader."""
        return self._written - self._read

    @property
    def taken(self) -> int:
        """Frames read or lost so far."""
        return self._read

    def write(self, block: Samples, at: float, came: float | None = None) -> None:
        """Callback side: append a block no longer than the ring; `at` is its last sample's time.

        `came`: the steadiest moment known for the block, where that is not `at`.
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
        """Loop side: exactly `frames` as a copy, or None when there are fewer. They stay."""
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
        """Loop side: as `peek`, and they are taken."""
        block = self.peek(frames)
        if block is not None:
            self._read += frames
        return block

    def forget(self) -> None:
        """Loop side: drop what waits."""
        self._read = self._written


class Line:
    """Samples in order of arrival, taken from the front. One thread."""

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
