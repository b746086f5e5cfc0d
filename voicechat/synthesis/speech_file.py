"""Where speech goes: a file that is complete or absent, or standard output."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from voicechat.core.text import clean
from voicechat.errors import UsageError, VoicechatError
from voicechat.providers.speech_service import SpeechFormat
from voicechat.synthesis.sound_encoder import STREAMED, encoder

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


_MOST_IN_MEMORY = 32 << 20
"""Bytes of a file that is encoded for a pipe; more goes to a file in the temporary folder."""


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

    def __init__(self, path: Path, encodes: SpeechFormat | None) -> None:
        """Open the file. Raises `UsageError` when it cannot be written.

        encodes: the format of a file that is written as PCM; None if it is written as it is.
        """
        self._path = path
        self._part: str | None = None
        self._is_finished = False
        try:
            self._file = self._opened()
            self._encoder = encoder(self._file, encodes or "pcm")
        except (OSError, ValueError) as error:
            self.discard()
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
        return os.fdopen(descriptor, "w+b")

    def write(self, data: bytes) -> None:
        """Write the next bytes. Raises `VoicechatError` when the disk is full."""
        self._guard(lambda: self._encoder.write(data))

    def finish(self) -> None:
        """Give the file its name."""
        self._guard(self._complete)
        self._is_finished = True

    def _complete(self) -> None:
        self._encoder.finish()
        if self._part is None:
            self._file.close()
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.replace(self._part, self._path)

    def discard(self) -> None:
        """Remove what is incomplete."""
        if self._is_finished:
            return
        with suppress(OSError, AttributeError):
            self._encoder.abort()
        with suppress(OSError, AttributeError):
            self._file.close()
        if self._part is not None:
            with suppress(OSError):
                os.unlink(self._part)

    def _guard(self, act: Callable[[], object]) -> None:
        try:
            act()
        except OSError as error:
            raise VoicechatError(
                f"{clean(str(self._path))} cannot be written: {_reason(error)}.",
                "Write it to another place.",
            ) from None


class SpeechPipe:
    """Standard output. A WAV header there names no length; mp3, opus and flac come at the end."""

    def __init__(self, encodes: SpeechFormat | None) -> None:
        """Raises `UsageError` for a terminal. encodes: as in `SpeechFile`."""
        if sys.stdout.isatty():
            raise UsageError("Sound is not written to a terminal.", "Name a file: --out speech.wav")
        self._output = cast("BinaryIO", _StandardOutput())
        self._bytes = None if encodes in {None, *STREAMED} else SpeechBytes(encodes)
        self._encoder = encoder(self._output, encodes or "pcm") if self._bytes is None else None

    def write(self, data: bytes) -> None:
        """Write and flush the next bytes, so that the reader hears them at once."""
        (self._encoder or self._bytes).write(data)  # type: ignore[union-attr]

    def finish(self) -> None:
        """Write what an encoder kept back."""
        if self._bytes is not None:
            self._bytes.finish()
            for block in self._bytes.blocks():
                self._output.write(block)

    def discard(self) -> None:
        """Drop what was not written."""
        if self._bytes is not None:
            self._bytes.discard()


class SpeechBytes:
    """The bytes of a file, in memory or in the temporary folder."""

    def __init__(self, encodes: SpeechFormat | None) -> None:
        """encodes: as in `SpeechFile`."""
        self._file = cast(
            "BinaryIO",
            tempfile.SpooledTemporaryFile(_MOST_IN_MEMORY),  # noqa: SIM115
        )
        self._encoder = encoder(self._file, encodes or "pcm")

    def write(self, data: bytes) -> None:
        """Add bytes."""
        self._encoder.write(data)

    def finish(self) -> None:
        """Complete the file."""
        self._encoder.finish()

    def discard(self) -> None:
        """Drop the bytes."""
        self._file.close()

    def blocks(self) -> Iterator[bytes]:
        """Yield the complete file."""
        self._file.seek(0)
        while block := self._file.read(1 << 16):
            yield block


class _StandardOutput(io.RawIOBase):
    """Standard output as a file that cannot seek and keeps nothing back."""

    def __init__(self) -> None:
        self._buffer = sys.stdout.buffer
        # The command's standard output turns failed writes into messages.
        self._guard: Callable[..., object] = getattr(sys.stdout, "guard", _unguarded)

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        self._guard(self._buffer.write, data)
        self._guard(self._buffer.flush)
        return len(data)


def _unguarded(act: Callable[..., object], *arguments: object) -> object:
    return act(*arguments)


def _usual_mode() -> int:
    """Return the permissions of a file that this process creates."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
