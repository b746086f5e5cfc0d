"""The sound of one answer as PCM16 mono at 24 kHz, whatever PCM the provider sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voicechat.errors import SessionLost
from voicechat.providers.json_fields import Samples
from voicechat.providers.speech_service import SPEECH_RATE

if TYPE_CHECKING:
    from voicechat.server.tts.remote_sound import MonoConverter

_RIFF = b"RIFF"
_NO_PCM = (b'{"', b"<htm", b"<HTM", b"<!do", b"<!DO", b"ID3", b"OggS", b"fLaC")
"""Beginnings of texts and of compressed sounds, which would be loud noise."""

_MOST_MISSING = 4_096
"""Bytes that may be missing at the end: some headers count themselves."""


class SoundDecoder:
    """Decodes a WAV file, or PCM16 mono without a header. At 24 kHz, samples stay as they are.

    label: the beginning of a sentence about sound that cannot be decoded.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._start: bytes | None = b""
        """The first bytes, until they tell what the sound is."""
        self._samples = Samples()
        self._converter: MonoConverter | None = None
        self._left: int | None = None
        """Bytes of sound that the header of a WAV file announces; None for any number."""

    def decode(self, data: bytes, rate: int = SPEECH_RATE) -> bytes:
        """Return the samples in the next bytes. Raises `SessionLost`.

        rate: sample rate in Hz of sound without a header.
        """
        if self._start is not None:
            self._start += data
            begin = self._begin(self._start, rate)
            if begin is None:
                return b""
            data, self._start = self._start[begin:], None
        return self._samples.piece(data) if self._converter is None else self._convert(data)

    def _begin(self, start: bytes, rate: int) -> int | None:
        """Find out what the sound is; return where it begins, or None while bytes are missing."""
        if len(start) < len(_RIFF):
            return None
        is_wav = start.startswith(_RIFF)
        if start.startswith(_NO_PCM):
            raise SessionLost(f"{self._label} sent something that is not PCM.")
        if not is_wav and rate == SPEECH_RATE:
            return 0
        # With numpy, which PCM at the usual rate does not need.
        from voicechat.server.tts.remote_sound import MonoConverter, SoundFormat, read_wav_header

        if not is_wav:
            self._converter = MonoConverter(SoundFormat(rate), SPEECH_RATE, self._label)
            return 0
        try:
            header = read_wav_header(start)
        except ValueError:
            raise SessionLost(f"{self._label} sent sound that is not PCM.") from None
        if header is None:
            return None
        self._left = header.size
        self._converter = MonoConverter(header.format, SPEECH_RATE, self._label)
        return header.start

    def _convert(self, data: bytes) -> bytes:
        assert self._converter is not None
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return self._converter.convert(data).tobytes()

    def finish(self) -> bytes:
        """Return the delayed rest of the sound. Raises `SessionLost` if the sound is cut off."""
        if self._left is not None and self._left > _MOST_MISSING:
            raise SessionLost(f"{self._label} ended the sound early.", "Try again.")
        return self._converter.finish().tobytes() if self._converter else b""
