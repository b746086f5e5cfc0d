"""Formats of recordings, recognized by their first bytes and never by their names."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEAD_BYTES = 4_096
"""Bytes from which a format is recognized: two frames of MP3."""

_KBPS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
"""Bit rates of layer III in kbit/s, of MPEG 1 and of MPEG 2."""


@dataclass(frozen=True, slots=True)
class RecordingFormat:
    """A format that can be transcribed."""

    name: str
    """Name in messages."""
    media_type: str
    suffix: str
    """Usual ending of a name, which providers look at."""
    needs_media: bool = False
    """Only PyAV decodes it, which the extra `media` installs."""
    is_pcm: bool = False
    """Its samples can be read as they are."""


WAV = RecordingFormat("WAV", "audio/wav", "wav", is_pcm=True)
CODED_WAV = RecordingFormat("WAV", "audio/wav", "wav")
"""A WAV file with floats, another coding or a damaged header."""
FLAC = RecordingFormat("FLAC", "audio/flac", "flac")
MP3 = RecordingFormat("MP3", "audio/mpeg", "mp3")
OGG = RecordingFormat("Ogg", "audio/ogg", "ogg")
MP4 = RecordingFormat("MP4", "audio/mp4", "m4a", needs_media=True)
WEBM = RecordingFormat("WebM", "audio/webm", "webm", needs_media=True)
AAC = RecordingFormat("AAC", "audio/aac", "aac", needs_media=True)

_MAGIC = (
    (b"fLaC", FLAC),
    (b"OggS", OGG),
    (b"ID3", MP3),
    (b"\x1a\x45\xdf\xa3", WEBM),
)
_WAV_FIELDS = struct.Struct("<4sIHHIIHH")
"""The chunk `fmt `: id, size, coding, channels, rate, bytes per second and frame, bits."""
_PCM = 1
_PCM_RATES = range(1_000, 768_001)
_MARKUP = (b"<!doctype html", b"<html", b"<?xml")


def recognized(head: bytes) -> RecordingFormat | None:
    """Return the format of a recording that begins with these bytes; None if it is none."""
    if head[:4] in {b"RIFF", b"RF64"} and head[8:12] == b"WAVE":
        return WAV if _is_pcm(head) else CODED_WAV
    if head[4:8] == b"ftyp":
        return MP4
    for magic, found in _MAGIC:
        if head.startswith(magic):
            return found
    return _mpeg(head)


def _is_pcm(head: bytes) -> bool:
    """Return True for a WAV file that begins with a sound description of PCM."""
    if head[:4] != b"RIFF" or len(head) < 12 + _WAV_FIELDS.size:
        return False
    chunk, _, coding, channels, rate, _, _, bits = _WAV_FIELDS.unpack_from(head, 12)
    is_usual = channels > 0 and rate in _PCM_RATES and bits in {8, 16, 24, 32}
    return bool(chunk == b"fmt " and coding == _PCM and is_usual)


def _mpeg(head: bytes) -> RecordingFormat | None:
    """Recognize a stream without a header by its first two frames (ISO 11172-3, ISO 13818-7).

    Other data, such as sound without a header, may begin like one frame.
    """
    if not _is_sync(head, 0) or len(head) < 7:
        return None
    if head[1] & 0xF6 == 0xF0:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        return AAC if length > 7 and _is_sync(head, length) else None
    length = _mp3_frame(head)
    return MP3 if length and _is_sync(head, length) else None


def _is_sync(head: bytes, at: int) -> bool:
    """Return True for the first bits of a frame, or behind the end of what was read."""
    return len(head) < at + 2 or (head[at] == 0xFF and head[at + 1] & 0xE0 == 0xE0)


def _mp3_frame(head: bytes) -> int:
    """Return the length in bytes of a frame of layer III; 0 if it is none."""
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bit_rate, sample_rate = head[2] >> 4, head[2] >> 2 & 3
    if layer != 1 or version == 1 or bit_rate in {0, 15} or sample_rate == 3:
        return 0
    is_first = version == 3
    kbps = (_KBPS_1 if is_first else _KBPS_2)[bit_rate - 1]
    hertz = (44_100, 48_000, 32_000)[sample_rate] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if is_first else 72) * kbps * 1000 // hertz + (head[2] >> 1 & 1)


def described(head: bytes) -> str:
    """Return what a file is that no format recognizes: the end of a sentence about it."""
    if not head:
        return "is empty"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(_MARKUP):
        return "is a web page, not a recording"
    if _is_text(head):
        return "is text, not a recording"
    return "has a format that is not supported"


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else a character is cut off
            return False
        text = head[: error.start].decode("utf-8")
    return all(each.isprintable() or each in "\t\r\n\f" for each in text)


SUPPORTED = "Supported are WAV, MP3, M4A, MP4, FLAC, Ogg, Opus and WebM."
