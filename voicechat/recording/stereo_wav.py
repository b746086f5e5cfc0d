"""A stereo WAV file of both sides of a conversation on one clock: the user left, the model right.

Blocks come from two sound streams, each with the time of its last sample. Within a side blocks
follow each other without a seam; only when a side is off its clock (a gap, a reopened device, a
crystal that runs fast) is it put right. The sizes in the header are brought up to date every
second, so a file that was cut off anywhere is still a WAV file.
"""

from __future__ import annotations

import os
import struct
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.system.private_files import open_plain

HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")
FRAME: Final = 4
"""Bytes of one frame: two samples of 16 bits."""

LATE_S: Final = 1.0
"""A block may arrive so much later than a block of the other side; then its place is written."""

JUMP_S: Final = 0.06
"""A side that is off its clock by more than this had a gap."""
DRIFT_S: Final = 0.004
"""A side that is off its clock on average by more than this is put right in the next pause."""
HURRY_S: Final = 0.012
"""By more than this, it is put right at once."""
_SMOOTH: Final = 0.1
_QUIET: Final = 300
_STEP_S: Final = 0.2
_LIMIT: Final = (0xFFFF_FFFF - HEADER.size) // FRAME * FRAME


def header(rate: int, size: int) -> bytes:
    """The header of a stereo file with `size` bytes of sound."""
    return HEADER.pack(
        *(b"RIFF", HEADER.size - 8 + size, b"WAVE", b"fmt ", 16, 1, 2),
        *(rate, rate * FRAME, FRAME, 16, b"data", size),
    )


@dataclass(slots=True)
class _Side:
    """One channel: frames that are not written yet, from frame `start` on."""

    rate: int
    start: int = 0
    waiting: bytearray = field(default_factory=bytearray)
    _next: int | None = None
    _drift: float = 0.0

    def place(self, pcm: bytes, end: int) -> None:
        """Put PCM16 where its last sample is frame `end`; what came too late is dropped."""
        count = len(pcm) // 2
        begin = self._begin(end - count, pcm)
        self._next = begin + count
        pcm = pcm[2 * max(0, self.start - begin) : 2 * count]
        offset = 2 * max(0, begin - self.start)
        if pcm:
            self.waiting.extend(bytes(max(0, offset - len(self.waiting))))
            self.waiting[offset : offset + len(pcm)] = pcm

    def _begin(self, wanted: int, pcm: bytes) -> int:
        """Where a block stands that should begin at `wanted`: mostly right behind the last one."""
        if self._next is None or abs(wanted - self._next) > JUMP_S * self.rate:
            self._drift = 0.0
            return wanted
        self._drift += (wanted - self._next - self._drift) * _SMOOTH
        off = abs(self._drift) / self.rate
        if off < DRIFT_S or (off < HURRY_S and not _quiet(pcm)):
            return self._next
        begin, self._drift = self._next + round(self._drift), 0.0
        return begin

    def take(self, count: int) -> bytes:
        """The next `count` frames, with silence where nothing was."""
        taken = bytes(self.waiting[: 2 * count])
        del self.waiting[: 2 * count]
        self.start += count
        return taken + bytes(2 * count - len(taken))


def _quiet(pcm: bytes) -> bool:
    """True if no one hears a seam here."""
    samples = array("h", pcm)
    return max(samples, default=0) < _QUIET and min(samples, default=0) > -_QUIET


class StereoFile:
    """Writes the file. Any method may raise OSError. Not for two threads at once."""

    def __init__(self, path: Path, rate: int) -> None:
        """Make the file; FileExistsError when it is there already."""
        self.rate: Final = rate
        self.full = False
        """A WAV file holds 4 GiB; what comes later is not kept."""
        self._left, self._right = _Side(rate), _Side(rate)
        self._latest = 0.0
        self._size = 0
        self._told_size = 0
        self._file: BinaryIO = os.fdopen(
            os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb", buffering=0
        )
        self._write(header(rate, 0))

    def person(self, pcm: bytes, at: float) -> None:
        """PCM16 of the microphone; `at` is when its last sample was taken, seconds after 0."""
        self._place(self._left, pcm, at)

    def speaker(self, pcm: bytes, at: float) -> None:
        """PCM16 out of the speaker; `at` is when its last sample was heard."""
        self._place(self._right, pcm, at)

    def _place(self, side: _Side, pcm: bytes, at: float) -> None:
        self._latest = max(self._latest, at)
        side.place(pcm, round(at * self.rate))
        certain = self._latest - LATE_S
        if certain - self._left.start / self.rate > _STEP_S:
            self.settle(certain)

    def settle(self, until: float) -> None:
        """Nothing before `until` (s) will come any more: write it."""
        count = int(until * self.rate) - self._left.start
        while count > 0 and not self.full:
            step = min(count, self.rate)
            count -= step
            self._write_frames(step)

    def close(self) -> None:
        """Write what is left and the final sizes."""
        try:
            self.settle(self._latest)
            self._tell_size()
        finally:
            self._file.close()

    def _write_frames(self, count: int) -> None:
        frames = array("h", bytes(count * FRAME))
        frames[0::2] = array("h", self._left.take(count))
        frames[1::2] = array("h", self._right.take(count))
        size = min(count * FRAME, _LIMIT - self._size)
        self.full = size < count * FRAME
        self._write(frames.tobytes()[:size])
        self._size += size
        if self._size - self._told_size >= self.rate * FRAME:
            self._tell_size()

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]

    def _tell_size(self) -> None:
        self._told_size = self._size
        self._file.seek(0)
        self._write(header(self.rate, self._size))
        self._file.seek(0, os.SEEK_END)


def rate_of(path: Path) -> int:
    """Check the file of a recording; its frames a second. Frames follow `HEADER` to the file's end.

    The sizes in the header do not matter: the file may have been cut off. Raises `UsageError`
    for a file that is not one of ours, FileNotFoundError when there is none.
    """
    name = clean(str(path))
    try:
        with open_plain(path) as file:
            start = file.read(HEADER.size)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        word = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name} cannot be read: {word}.") from None
    found = HEADER.unpack(start) if len(start) == HEADER.size else ()
    rate = int(found[7]) if found else 0
    # The two sizes are as they were when the file was cut off, or what a hand put there.
    if not 8_000 <= rate <= 192_000 or _unsized(header(rate, 0)) != _unsized(start):
        raise UsageError(f"{name} is not the audio of a recording.")
    return rate


def _unsized(start: bytes) -> tuple[object, ...]:
    """What stands in a header but its two sizes."""
    found = HEADER.unpack(start)
    return found[:1] + found[2:-1]
