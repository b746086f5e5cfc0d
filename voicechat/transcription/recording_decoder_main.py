"""Decodes one recording in a process of its own: PCM16 mono at 16 kHz to standard output.

    python -m voicechat.transcription.recording_decoder_main FILE DECODER

DECODER is `soundfile` or `av`. Standard output carries frames (`system.frames`). Their first byte
is their kind:

    h  JSON {"seconds": number or null}, first
    d  sound, at most half a second
    e  JSON {"problem": text}, last; the problem is empty for a file that was read to its end
    f  text: the file cannot be decoded

A damaged file can make a decoder crash, or need memory without end; only this process ends then.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from voicechat.speech.vad import VAD_RATE
from voicechat.system.child_main import die_with_parent, ignore_interrupts, take_pipes, when_closed
from voicechat.system.frames import frame

MOST_SECONDS = 24 * 3600
"""Longest recording in seconds; the rest is not decoded."""

_MEMORY = 1 << 30
"""Bytes of address space."""
_MISSING_S = 1.0
"""Seconds that may be missing at the end: lengths in headers are rounded."""
_NANOSECONDS = 1_000_000
_CUT_OFF = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
"""What libsndfile notes about a WAV file that is shorter than its header says."""
_WITHOUT_END = "lacks an end-of-stream bit"
"""What libsndfile notes about an Ogg file whose last page is missing."""
_UNKNOWN_SIZE = 0x7FFF_0000
"""Bytes of sound from which a header states no length."""
_MOST_DAMAGED = 1_000
"""Packets that may be damaged."""


class _Output:
    """Writes frames, and counts the seconds of sound in them."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self.seconds = 0.0

    def send(self, kind: bytes, body: bytes) -> None:
        self._pipe.write(frame(kind + body))
        self._pipe.flush()

    def begin(self, seconds: float | None) -> None:
        self.send(b"h", json.dumps({"seconds": seconds}).encode())

    def sound(self, pcm: bytes) -> bool:
        """Send sound; return False when no more is taken."""
        self.seconds += len(pcm) / (2 * VAD_RATE)
        self.send(b"d", pcm)
        return self.seconds < MOST_SECONDS

    def end(self, seconds: float | None, problem: str = "") -> None:
        if not problem and self.seconds >= MOST_SECONDS:
            problem = f"Only the first {MOST_SECONDS // 3600} hours are used."
        elif not problem and seconds and self.seconds < seconds - _MISSING_S:
            problem = f"It ends early: {self.seconds:.0f} s of {seconds:.0f} s can be read."
        self.send(b"e", json.dumps({"problem": problem}).encode())


def _limit_memory() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _decode_with_soundfile(file: BinaryIO, out: _Output) -> None:
    import numpy as np
    import soundfile

    from voicechat.speech.pcm import Resampler

    try:
        reader = soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.LibsndfileError:
        # Its own words are about the library.
        raise ValueError("its beginning is damaged, or its codec is unknown") from None
    with reader:
        rate = reader.samplerate
        seconds = reader.frames / rate if 0 < reader.frames < rate * MOST_SECONDS * 10 else None
        stated = _stated_seconds(reader, seconds)
        out.begin(stated)
        resampler = Resampler(rate, VAD_RATE)
        problem = ""
        while True:
            try:
                block = reader.read(rate // 2, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                problem = f"It is damaged after {out.seconds:.0f} s: {_reason(error)}"
                break
            if not len(block):
                break
            mono = np.nan_to_num(block.mean(axis=1)) * 32767
            pcm = np.clip(mono, -32768, 32767).astype(np.int16)
            if not out.sound(resampler.convert(pcm).tobytes()):
                break
        out.sound(resampler.finish().tobytes())
        if not problem and _WITHOUT_END in reader.extra_info:
            problem = "Its end is missing."
        out.end(stated, problem)


def _stated_seconds(reader: Any, seconds: float | None) -> float | None:
    """Return the length in the header of a WAV file that is cut off; `seconds` for others."""
    found = _CUT_OFF.search(reader.extra_info)
    if found is None or seconds is None:
        return seconds
    stated, there = int(found[1]), int(found[2])
    # Programs that write to a pipe state as much as the field holds, or almost.
    return seconds * stated / there if there and stated < _UNKNOWN_SIZE else seconds


def _decode_with_av(file: BinaryIO, out: _Output) -> None:
    # An extra, so that type checkers need not know it.
    av: Any = importlib.import_module("av")
    with av.open(file, metadata_errors="replace") as container:
        if not container.streams.audio:
            raise ValueError("it contains no sound")
        stream = container.streams.audio[0]
        seconds = container.duration / _NANOSECONDS if container.duration else None
        out.begin(seconds)
        resampler = av.AudioResampler(format="s16", layout="mono", rate=VAD_RATE)
        problem = ""
        damaged: list[str] = []
        try:
            frames = _sound_frames(container, stream, av.error.FFmpegError, damaged)
            for pcm in _resampled(frames, resampler):
                if not out.sound(pcm):
                    break
        except av.error.FFmpegError as error:
            problem = f"It is damaged after {out.seconds:.0f} s: {_reason(error)}."
        if damaged and not problem:
            problem = "Damaged parts are left out."
        out.end(seconds, problem)


def _sound_frames(
    container: Any, stream: Any, error_type: type[Exception], damaged: list[str]
) -> Iterator[Any]:
    """Yield the decoded sound. Damaged packets are left out and noted in `damaged`."""
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except error_type as error:
            damaged.append(_reason(error))
            if len(damaged) > _MOST_DAMAGED:
                raise


def _resampled(decoded: Iterator[Any], resampler: Any) -> Iterator[bytes]:
    for found in decoded:
        for block in resampler.resample(found):
            yield bytes(block.planes[0])[: block.samples * 2]
    for block in resampler.resample(None):
        yield bytes(block.planes[0])[: block.samples * 2]


_DECODERS = {"soundfile": _decode_with_soundfile, "av": _decode_with_av}


def _reason(error: Exception) -> str:
    """Return what a decoder says, without the name of the file."""
    for name in ("error_string", "strerror"):
        if isinstance(found := getattr(error, name, None), str):
            return found.removeprefix("Error : ")
    return str(error)


def main(path: str, decoder: str) -> None:
    """Decode a file."""
    ignore_interrupts()
    die_with_parent()
    incoming, outgoing = take_pipes(None)
    when_closed(incoming)
    out = _Output(outgoing)
    try:
        _limit_memory()
        with open(path, "rb") as file:
            _DECODERS[decoder](file, out)
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:
        out.send(b"f", _reason(error).encode("utf-8", "replace")[:500])
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
