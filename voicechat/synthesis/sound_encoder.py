"""Encoding PCM16 mono at 24 kHz into a file: WAV, or with libsndfile mp3, Ogg Opus and FLAC.

Sources: Multimedia Programming Interface and Data Specifications 1.0, "WAVE"; libsndfile,
"Supported formats".
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from voicechat.core.wav_header import wav_header
from voicechat.errors import UsageError
from voicechat.providers.speech_service import SPEECH_RATE, SpeechFormat

if TYPE_CHECKING:
    import soundfile

Result = TypeVar("Result")

_MOST_WAV_BYTES = 0xFFFF_0000
"""Sound that a WAV file can hold: about a day."""
_FORMATS: dict[SpeechFormat, tuple[str, str]] = {
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "opus": ("OGG", "OPUS"),
    "flac": ("FLAC", "PCM_16"),
}

ENCODED_HERE: tuple[SpeechFormat, ...] = ("wav", "pcm", *_FORMATS)
"""Formats that are made from PCM on this machine."""
STREAMED: tuple[SpeechFormat, ...] = ("wav", "pcm")
"""Formats whose beginning does not depend on their end."""


class SoundEncoder(Protocol):
    """Encodes the sound of one file."""

    def write(self, pcm: bytes) -> None:
        """Encode whole samples. Raises `OSError`, and `UsageError` for too much sound."""
        ...

    def finish(self) -> None:
        """Complete the file, which stays open. Raises `OSError`."""
        ...

    def abort(self) -> None:
        """Release the encoder of an incomplete file."""
        ...


def encoder(file: BinaryIO, audio_format: SpeechFormat) -> SoundEncoder:
    """Return the encoder of a file. A stream that cannot seek takes `STREAMED` formats only."""
    if audio_format in _FORMATS:
        return _LibraryEncoder(file, audio_format)
    return _WavEncoder(file) if audio_format == "wav" else _PcmEncoder(file)


class _PcmEncoder:
    """Samples without a header."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, pcm: bytes) -> None:
        self._file.write(pcm)

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass


class _WavEncoder(_PcmEncoder):
    """A WAV file. Where the file cannot seek, its header names no length."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self._written = 0
        file.write(wav_header(SPEECH_RATE))

    def write(self, pcm: bytes) -> None:
        self._written += len(pcm)
        if self._written > _MOST_WAV_BYTES:
            raise UsageError("The speech is too long for a WAV file.", "Use --format flac.")
        super().write(pcm)

    def finish(self) -> None:
        if self._file.seekable():
            self._file.seek(0)
            self._file.write(wav_header(SPEECH_RATE, self._written))


class _LibraryEncoder:
    """A file that libsndfile writes."""

    def __init__(self, file: BinaryIO, audio_format: SpeechFormat) -> None:
        import soundfile

        kind, subtype = _FORMATS[audio_format]
        self._file = _CheckedFile(file)
        self._encoder: soundfile.SoundFile = soundfile.SoundFile(
            self._file, "w", SPEECH_RATE, 1, format=kind, subtype=subtype
        )

    def write(self, pcm: bytes) -> None:
        self._encoder.buffer_write(pcm, "int16")
        self._file.check()

    def finish(self) -> None:
        self._encoder.close()
        self._file.check()

    def abort(self) -> None:
        with suppress(RuntimeError):
            self._encoder.close()


class _CheckedFile:
    """A file for libsndfile, which calls it from C, where an error would be lost."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._error: OSError | None = None

    def write(self, data: bytes) -> int:
        self._tried(lambda: self._file.write(data), 0)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._tried(lambda: self._file.seek(offset, whence), 0)

    def tell(self) -> int:
        return self._tried(self._file.tell, 0)

    def read(self, size: int = -1) -> bytes:
        return self._tried(lambda: self._file.read(size), b"")

    def _tried(self, act: Callable[[], Result], otherwise: Result) -> Result:
        """Use the file until its first error, which `check` raises."""
        try:
            return act() if self._error is None else otherwise
        except OSError as error:
            self._error = error
            return otherwise

    def check(self) -> None:
        """Raise the first error."""
        if self._error is not None:
            raise self._error
