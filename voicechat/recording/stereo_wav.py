"""A stereo WAV file with both sides of a conversation on one clock: user left, model right.

Blocks come from two sound streams, each with the time of its last sample. The blocks of one side
are written back to back. A side is moved only when it deviates from its clock: after a gap, after
a device was reopened, or when a sample clock drifts. The header is updated every second, so a
truncated file is still a valid WAV file.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from voicechat.core.text import clean
from voicechat.core.wav_header import WAV_HEADER, wav_header
from voicechat.errors import UsageError
from voicechat.system.private_files import open_regular_file

FRAME: Final = 4
"""Bytes of one frame: two samples of 16 bits."""

MAX_LATENESS_S: Final = 1.0
"""Seconds that a block may arrive later than a block of the other side; then it is dropped."""

GAP_S: Final = 0.06
"""Deviation from the clock above which a side had a gap."""
DRIFT_IN_SILENCE_S: Final = 0.004
"""Average deviation from the clock that is corrected in the next pause."""
MAX_DRIFT_S: Final = 0.012
"""Average deviation from the clock that is corrected at once."""
_SMOOTHING: Final = 0.1
_QUIET_LEVEL: Final = 300
_WRITE_STEP_S: Final = 0.2
_MAX_BYTES: Final = (0xFFFF_FFFF - WAV_HEADER.size) // FRAME * FRAME


def header(rate: int, size: int) -> bytes:
    """Make the header of a stereo file with `size` bytes of sound."""
    return wav_header(rate, size, channels=2)


@dataclass(slots=True)
class _Side:
    """One channel: the frames from `start` on, which are not written yet."""

    rate: int
    start: int = 0
    buffered: bytearray = field(default_factory=bytearray)
    _next: int | None = None
    _drift: float = 0.0

    def place(self, pcm: bytes, end: int) -> None:
        """Buffer PCM16 whose last sample is frame `end`; drop the part that is too late."""
        count = len(pcm) // 2
        begin = self._first_frame(end - count, pcm)
        self._next = begin + count
        pcm = pcm[2 * max(0, self.start - begin) : 2 * count]
        offset = 2 * max(0, begin - self.start)
        if pcm:
            self.buffered.extend(bytes(max(0, offset - len(self.buffered))))
            self.buffered[offset : offset + len(pcm)] = pcm

    def _first_frame(self, expected: int, pcm: bytes) -> int:
        """The first frame to use for a block that should begin at frame `expected`.

        This is the frame after the last block, unless the side deviates from its clock.
        """
        if self._next is None or abs(expected - self._next) > GAP_S * self.rate:
            self._drift = 0.0
            return expected
        self._drift += (expected - self._next - self._drift) * _SMOOTHING
        off = abs(self._drift) / self.rate
        if off < DRIFT_IN_SILENCE_S or (off < MAX_DRIFT_S and not _is_quiet(pcm)):
            return self._next
        begin, self._drift = self._next + round(self._drift), 0.0
        return begin

    def take(self, count: int) -> bytes:
        """Remove and return the next `count` frames, padded with silence."""
        taken = bytes(self.buffered[: 2 * count])
        del self.buffered[: 2 * count]
        self.start += count
        return taken + bytes(2 * count - len(taken))


def _is_quiet(pcm: bytes) -> bool:
    """Return True when a correction inside this block is inaudible."""
    samples = array("h", pcm)
    return max(samples, default=0) < _QUIET_LEVEL and min(samples, default=0) > -_QUIET_LEVEL


class StereoFile:
    """Writer of the file. Any method may raise OSError. Not thread-safe."""

    def __init__(self, path: Path, rate: int) -> None:
        """Create the file with `rate` frames a second. Raises FileExistsError when it exists."""
        self.rate: Final = rate
        self.is_full = False
        """True when the file reached 4 GiB, the limit of WAV; later sound is dropped."""
        self._left, self._right = _Side(rate), _Side(rate)
        self._latest = 0.0
        self._size = 0
        self._size_in_header = 0
        self._file: BinaryIO = os.fdopen(
            os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb", buffering=0
        )
        self._write(header(rate, 0))

    def add_microphone(self, pcm: bytes, at: float) -> None:
        """Add PCM16 of the microphone; its last sample was captured at `at` (s)."""
        self._place(self._left, pcm, at)

    def add_speaker(self, pcm: bytes, at: float) -> None:
        """Add PCM16 of the speaker; its last sample was played at `at` (s)."""
        self._place(self._right, pcm, at)

    def _place(self, side: _Side, pcm: bytes, at: float) -> None:
        self._latest = max(self._latest, at)
        side.place(pcm, round(at * self.rate))
        complete = self._latest - MAX_LATENESS_S
        if complete - self._left.start / self.rate > _WRITE_STEP_S:
            self.write_until(complete)

    def write_until(self, until: float) -> None:
        """Write everything before `until` (s); later blocks for that time are dropped."""
        count = int(until * self.rate) - self._left.start
        while count > 0 and not self.is_full:
            step = min(count, self.rate)
            count -= step
            self._write_frames(step)

    def close(self) -> None:
        """Write the buffered frames and the final header, and close the file."""
        try:
            self.write_until(self._latest)
            self._update_header()
        finally:
            self._file.close()

    def _write_frames(self, count: int) -> None:
        frames = array("h", bytes(count * FRAME))
        frames[0::2] = array("h", self._left.take(count))
        frames[1::2] = array("h", self._right.take(count))
        size = min(count * FRAME, _MAX_BYTES - self._size)
        self.is_full = size < count * FRAME
        self._write(frames.tobytes()[:size])
        self._size += size
        if self._size - self._size_in_header >= self.rate * FRAME:
            self._update_header()

    def _write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[self._file.write(view) :]

    def _update_header(self) -> None:
        self._size_in_header = self._size
        self._file.seek(0)
        self._write(header(self.rate, self._size))
        self._file.seek(0, os.SEEK_END)


def read_rate(path: Path) -> int:
    """Check the WAV file of a recording and return its frames a second.

    The frames are everything after `WAV_HEADER`. The sizes in the header are ignored, because the
    file may be truncated. Raises `UsageError` for a file that `StereoFile` did not write,
    FileNotFoundError when there is none.
    """
    name = clean(str(path))
    try:
        with open_regular_file(path) as file:
            start = file.read(WAV_HEADER.size)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name} cannot be read: {reason}.") from None
    fields = WAV_HEADER.unpack(start) if len(start) == WAV_HEADER.size else ()
    rate = int(fields[7]) if fields else 0
    # The two sizes are wrong in a truncated file.
    if not 8_000 <= rate <= 192_000 or _without_sizes(header(rate, 0)) != _without_sizes(start):
        raise UsageError(f"{name} is not the audio of a recording.")
    return rate


def _without_sizes(start: bytes) -> tuple[object, ...]:
    """The fields of a header without its two sizes."""
    fields = WAV_HEADER.unpack(start)
    return fields[:1] + fields[2:-1]
