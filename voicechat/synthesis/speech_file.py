"""Where speech goes: a file that is complete or absent, or standard output."""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from voicechat.core.text import clean
from voicechat.errors import UsageError, VoicechatError
from voicechat.providers.speech_service import SPEECH_RATE, SpeechFormat

WAV_HEADER_BYTES = 44
_UNKNOWN_SIZE = 0xFFFF_FFFF
_MOST_WAV_BYTES = 0xFFFF_0000
"""Sound that a WAV file can hold: about a day."""

SUFFIXES: dict[str, SpeechFormat] = {
    ".mp3": "mp3",
    ".opus": "opus",
    ".ogg": "opus",
    ".aac": "aac",
    ".flac": "flac",
    ".wav": "wav",
    ".pcm": "pcm",
    ".raw": "pcm",
}
"""The format that the end of a file's name means."""


def wav_header(pcm_bytes: int | None) -> bytes:
    """Return the header of a WAV file with PCM16 mono at 24 kHz; None for an unknown length.

    Source: Multimedia Programming Interface and Data Specifications 1.0, "WAVE".
    """
    size = _UNKNOWN_SIZE if pcm_bytes is None else pcm_bytes
    riff = _UNKNOWN_SIZE if pcm_bytes is None else pcm_bytes + WAV_HEADER_BYTES - 8
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", riff, b"WAVE", b"fmt ", 16, 1, 1, SPEECH_RATE, 2 * SPEECH_RATE, 2, 16,
        b"data", size,
    )  # fmt: skip


class SpeechOutput(Protocol):
    """Takes the bytes of one file."""

    def write(self, data: bytes) -> None:
        """Write the next bytes. Raises `VoicechatError` when they cannot be written."""
        ...

    def finish(self) -> None:
        """Complete the file."""
        ...

    def discard(self) -> None:
        """Remove what is incomplete. Does nothing after `finish`."""
        ...


class SpeechFile:
    """A file that gets its name when it is complete. A device or a pipe is written directly."""

    def __init__(self, path: Path, audio_format: SpeechFormat) -> None:
        """Open the file. Raises `UsageError` when it cannot be written."""
        self._path, self._is_wav = path, audio_format == "wav"
        self._written = 0
        self._part: str | None = None
        try:
            self._file = self._opened()
            if self._is_wav:
                self._file.write(wav_header(None))
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{clean(str(path))} cannot be written: {_reason(error)}.", "Check --out."
            ) from None

    def _opened(self) -> BinaryIO:
        path = self._path = self._path.resolve()  # a link stays a link
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if mode is not None and not stat.S_ISREG(mode):
            return open(path, "wb", buffering=0)
        if mode is not None and not os.access(path, os.W_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        descriptor, self._part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with suppress(OSError, AttributeError):
            os.chmod(self._part, stat.S_IMODE(mode) if mode is not None else _usual_mode())
        return os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> None:
        """Write the next bytes. Raises `VoicechatError` when the disk is full."""
        self._written += len(data)
        if self._is_wav and self._written > _MOST_WAV_BYTES:
            raise UsageError("The speech is too long for a WAV file.", "Use --format pcm.")
        self._guard(lambda: self._file.write(data))

    def finish(self) -> None:
        """Give the file its name."""
        self._guard(self._complete)
        self._part = None

    def _complete(self) -> None:
        if self._part is None:
            self._file.close()
            return
        if self._is_wav:
            self._file.seek(0)
            self._file.write(wav_header(self._written))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self._path)

    def discard(self) -> None:
        """Remove what is incomplete."""
        with suppress(OSError):
            self._file.close()
        part, self._part = self._part, None
        if part is not None:
            with suppress(OSError):
                os.unlink(part)

    def _guard(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            raise VoicechatError(
                f"{clean(str(self._path))} cannot be written: {_reason(error)}.",
                "Write it to another place.",
            ) from None


class SpeechPipe:
    """Standard output. A WAV header there names no length."""

    def __init__(self, audio_format: SpeechFormat) -> None:
        """Raises `UsageError` for a terminal."""
        if sys.stdout.isatty():
            raise UsageError("Sound is not written to a terminal.", "Name a file: --out speech.wav")
        self._buffer: BinaryIO = sys.stdout.buffer
        # The command's standard output turns failed writes into messages.
        self._guard: Callable[..., object] = getattr(sys.stdout, "guard", _unguarded)
        if audio_format == "wav":
            self.write(wav_header(None))

    def write(self, data: bytes) -> None:
        """Write and flush the next bytes, so that the reader hears them at once."""
        self._guard(self._buffer.write, data)
        self._guard(self._buffer.flush)

    def finish(self) -> None:
        """Do nothing: everything is written."""

    def discard(self) -> None:
        """Do nothing: what was written cannot be taken back."""


class SpeechBytes:
    """The bytes in memory."""

    def __init__(self, audio_format: SpeechFormat) -> None:
        self._is_wav = audio_format == "wav"
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._data += data

    def finish(self) -> None:
        """Do nothing: `content` returns everything."""

    def discard(self) -> None:
        """Drop the bytes."""
        self._data.clear()

    @property
    def content(self) -> bytes:
        """The complete file."""
        header = wav_header(len(self._data)) if self._is_wav else b""
        return header + bytes(self._data)


def _unguarded(act: Callable[..., object], *arguments: object) -> object:
    return act(*arguments)


def _usual_mode() -> int:
    """Return the permissions of a file that this process creates."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
