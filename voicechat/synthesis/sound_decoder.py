"""The sound of one answer as PCM16 mono at 24 kHz, whatever PCM the provider sends."""

from __future__ import annotations

from voicechat.errors import SessionLost
from voicechat.providers.json_fields import Samples
from voicechat.providers.speech_service import SPEECH_RATE
from voicechat.server.tts.remote_sound import MonoConverter, WavHeader, read_wav_header


class SoundDecoder:
    """Decodes a WAV file, or PCM16 mono at 24 kHz without a header. Samples stay as they are.

    label: the beginning of a sentence about sound that cannot be decoded.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._start: bytes | None = b""
        """The first bytes, until they tell what the sound is."""
        self._samples = Samples()
        self._converter: MonoConverter | None = None
        self._left: int | None = None

    def decode(self, data: bytes) -> bytes:
        """Return the samples in the next bytes. Raises `SessionLost`."""
        if self._start is not None:
            self._start += data
            if not self._begin(self._start):
                return b""
            data, self._start = self._start, None
            if self._converter is not None:
                return self._convert(data[self._header.start :])
        return self._convert(data) if self._converter else self._samples.piece(data)

    def _begin(self, start: bytes) -> bool:
        """Find out what the sound is; return False while bytes are missing."""
        if len(start) < 4 or not start.startswith(b"RIFF"):
            return len(start) >= 4
        try:
            header = read_wav_header(start)
        except ValueError:
            raise SessionLost(f"{self._label} sent sound that is not PCM.") from None
        if header is None:
            return False
        self._header: WavHeader = header
        self._left = header.size
        self._converter = MonoConverter(header.format, SPEECH_RATE, self._label)
        return True

    def _convert(self, data: bytes) -> bytes:
        assert self._converter is not None
        if self._left is not None:
            data = data[: max(self._left, 0)]
            self._left -= len(data)
        return self._converter.convert(data).tobytes()

    def finish(self) -> bytes:
        """Return the delayed rest of the sound."""
        return self._converter.finish().tobytes() if self._converter else b""
