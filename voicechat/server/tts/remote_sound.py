"""The sound of remote voices: WAV headers, and PCM16 of any rate turned into mono at one rate."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from voicechat.errors import SessionLost
from voicechat.speech.pcm import Resampler, Samples

_LOWEST, _HIGHEST = 8_000, 96_000
_MOST_CHANNELS = 8
_PCM, _EXTENSIBLE = 1, 0xFFFE
_HEADER_BYTES = 64 * 1024
"""Longest header, with the chunks before the sound."""


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """A format of PCM sound. rate: in Hz. width: bytes of one sample."""

    rate: int
    width: int = 2
    channels: int = 1


@dataclass(frozen=True, slots=True)
class WavHeader:
    """The beginning of a WAV file."""

    format: SoundFormat
    start: int
    """Position of the first sample in the file, in bytes."""
    size: int | None
    """Bytes of sound; None when the sender does not know it yet."""


def read_wav_header(content: bytes) -> WavHeader | None:
    """Read the header at the beginning of a WAV file; None while bytes are missing.

    Raises `ValueError` for anything but a WAV file with PCM. The size of a stream is 0 or near
    the limit of 32 bits. Source: Multimedia Programming Interface and Data Specifications
    1.0, "Waveform Audio File Format".
    """
    if not b"RIFF".startswith(content[:4]) or (len(content) >= 12 and content[8:12] != b"WAVE"):
        raise ValueError("no WAV file")
    found: SoundFormat | None = None
    place = 12
    while len(content) >= place + 8:
        name, size = struct.unpack_from("<4sI", content, place)
        place += 8
        if name == b"data":
            if found is None:
                raise ValueError("no format before the sound")
            return WavHeader(found, place, size if 0 < size < 0x7FFF_0000 else None)
        if name == b"fmt " and len(content) >= place + 16:
            found = _format(content, place)
        place += size + size % 2
    if len(content) > _HEADER_BYTES:
        raise ValueError("no sound in the first 64 KiB")
    return None


def _format(content: bytes, place: int) -> SoundFormat:
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content, place)
    if kind not in (_PCM, _EXTENSIBLE):
        raise ValueError(f"encoding {kind}")
    return SoundFormat(rate, bits // 8, channels)


class MonoConverter:
    """Turns PCM16 of one format into mono samples at `rate`. Raises `SessionLost` for others.

    label: the beginning of the sentence about a format that cannot be played.
    """

    def __init__(self, source: SoundFormat, rate: int, label: str) -> None:
        if (
            source.width != 2
            or not _LOWEST <= source.rate <= _HIGHEST
            or not 1 <= source.channels <= _MOST_CHANNELS
        ):
            raise SessionLost(
                f"{label} sends sound that cannot be played: {source.width * 8} bits, "
                f"{source.channels} channels, {source.rate} Hz."
            )
        self._frame = source.width * source.channels
        self._channels = source.channels
        self._resampler = Resampler(source.rate, rate)
        self._rest = b""

    def convert(self, pcm: bytes) -> Samples:
        """Convert the next bytes. They may end within a frame."""
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % self._frame
        self._rest = pcm[whole:]
        samples = np.frombuffer(pcm[:whole], "<i2").astype(np.int16)
        if self._channels > 1:
            samples = samples.reshape(-1, self._channels).mean(axis=1).astype(np.int16)
        return self._resampler.convert(samples)

    def finish(self) -> Samples:
        """Return the delayed rest of the sound."""
        return self._resampler.finish()
