"""Joining encoded pieces of speech into one file, without decoding them.

mp3 and aac are streams of frames and can follow each other; an Ogg file with Opus may be a chain of
several (RFC 7845, section 3), which plays without a gap. A join of mp3 or aac adds the silence of
their encoder, some hundredths of a second, to the pause after a sentence. FLAC has one header for
the whole file, so its pieces cannot be joined.

Sources: ISO/IEC 11172-3 (mp3 frames), ID3v2.4.0 "ID3v2 header", LAME "Mp3 Info Tag".
"""

from __future__ import annotations

from voicechat.providers.speech_service import SpeechFormat

JOINABLE: tuple[SpeechFormat, ...] = ("mp3", "aac", "opus")
"""Encoded formats whose pieces can follow each other."""

_KBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates of layer III in kbit/s: of MPEG 1, and of MPEG 2 and 2.5."""
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_MARKS = (b"Xing", b"Info")
_LONGEST_START = 64 * 1024


class PieceStart:
    """Removes the start of a later piece that describes the piece alone: tags of mp3."""

    def __init__(self, audio_format: SpeechFormat) -> None:
        self._waits = audio_format == "mp3"
        self._held = b""

    def take(self, data: bytes) -> bytes:
        """Return the bytes to write."""
        if not self._waits:
            return data
        self._held += data
        start = _sound_start(self._held)
        if start is None and len(self._held) < _LONGEST_START:
            return b""
        self._waits = False
        return self._held[start or 0 :]

    def finish(self) -> bytes:
        """Return what is still held, at the end of the piece."""
        return self._held if self._waits else b""


def _sound_start(data: bytes) -> int | None:
    """Return the position of the first frame with sound; None while bytes are missing."""
    start = 0
    if len(data) < 10:
        return None
    if data.startswith(b"ID3"):
        a, b, c, d = data[6:10]
        start = 10 + (a << 21 | b << 14 | c << 7 | d)
    if len(data) < start + 4:
        return None
    size = _frame_bytes(data[start : start + 4])
    if size == 0:
        return start
    if len(data) < start + size:
        return None
    is_tag = any(mark in data[start : start + size] for mark in _MARKS)
    return start + size if is_tag else start


def _frame_bytes(header: bytes) -> int:
    """Return the length of the frame with this header; 0 if it is none of layer III."""
    bits = int.from_bytes(header, "big")
    version, layer = bits >> 19 & 3, bits >> 17 & 3
    kbit, rate = bits >> 12 & 15, bits >> 10 & 3
    if bits >> 21 != 0x7FF or layer != 1 or version == 1 or kbit in {0, 15} or rate == 3:
        return 0
    is_first = version == 3
    samples = 144 if is_first else 72
    return samples * _KBITS[is_first][kbit] * 1000 // _RATES[version][rate] + (bits >> 9 & 1)
