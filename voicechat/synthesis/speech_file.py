"""Where speech goes: a file that is complete or absent, or standard output."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    ".oga": "opus",
    ".aac": "aac",
    ".flac": "flac",
    ".wav": "wav",
    ".pcm": "pcm",
    ".raw": "pcm",
}
"""The format that the end of a file's name means."""

OTHER_SUFFIXES = frozenset(
    {
        ".aif", ".aiff", ".amr", ".caf", ".m4a", ".m4b", ".mka", ".mkv", ".mov", ".mp4", ".webm",
        ".wma",
    }
)  # fmt: skip
"""Ends of names that promise a format which is not made."""


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


def speech_output(out: str, encodes: SpeechFormat | None) -> SpeechOutput:
    """Open a file, a device or, for -, standard output. Raises `UsageError`.

    encodes: the format of what is written as PCM; None if it is written as it is.
    """
    if out == "-":
        if sys.stdout.isatty():
            raise UsageError("Sound is not written to a terminal.", "Name a file: --out speech.wav")
        return SpeechStream(_StandardOutput(), encodes)
    path = Path(out)
    try:
        path = path.resolve()  # a link stays a link
        mode = path.stat().st_mode if path.exists() else None
        if mode is not None and stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if mode is not None and not stat.S_ISREG(mode):
            return SpeechStream(_Device(path), encodes)
        return SpeechFile(path, mode, encodes)
    except (OSError, ValueError) as error:
        raise UsageError(f"{_cannot(Path(out), error)}.", "Check --out.") from None


class SpeechFile:
    """A file that gets its name when it is complete."""

    def __init__(self, path: Path, mode: int | None, encodes: SpeechFormat | None) -> None:
        """Open it. mode: of the file that it replaces; None if there is none. Raises `OSError`."""
        self._path = path
        self._is_finished = False
        if mode is not None and not os.access(path, os.W_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        descriptor, self._part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        self._file = os.fdopen(descriptor, "w+b")
        try:
            with suppress(OSError, AttributeError):
                os.chmod(self._part, stat.S_IMODE(mode) if mode is not None else _usual_mode())
            self._encoder = encoder(self._file, encodes or "pcm")
        except BaseException:
            self._remove()
            raise

    def write(self, data: bytes) -> None:
        """Write the next bytes. Raises `VoicechatError` when the disk is full."""
        with _explained(self._path):
            self._encoder.write(data)

    def finish(self) -> None:
        """Give the file its name."""
        with _explained(self._path):
            self._encoder.finish()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            os.replace(self._part, self._path)
        self._is_finished = True

    def discard(self) -> None:
        """Remove what is incomplete."""
        if not self._is_finished:
            with suppress(OSError):
                self._encoder.abort()
            self._remove()

    def _remove(self) -> None:
        with suppress(OSError, ValueError):
            # What is buffered and does not fit on the disk must not be written once more.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._file.fileno())
            os.close(nowhere)
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            os.unlink(self._part)


class SpeechStream:
    """An output that cannot seek: WAV names no length there; mp3, opus and flac come at the end."""

    def __init__(self, output: io.RawIOBase, encodes: SpeechFormat | None) -> None:
        """encodes: as in `speech_output`."""
        self._output = cast("BinaryIO", output)
        self._bytes = None if encodes in {None, *STREAMED} else SpeechBytes(encodes)
        self._encoder = encoder(self._output, encodes or "pcm") if self._bytes is None else None

    def write(self, data: bytes) -> None:
        """Write the next bytes at once, so that the reader hears them."""
        (self._encoder or self._bytes).write(data)  # type: ignore[union-attr]

    def finish(self) -> None:
        """Write what an encoder kept back."""
        if self._bytes is not None:
            self._bytes.finish()
            for block in self._bytes.blocks():
                self._output.write(block)
        self._output.close()

    def discard(self) -> None:
        """Drop what was not written."""
        if self._bytes is not None:
            self._bytes.discard()
        self._output.close()


class SpeechBytes:
    """The bytes of a file, in memory or in the temporary folder."""

    def __init__(self, encodes: SpeechFormat | None) -> None:
        """encodes: as in `speech_output`."""
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


class _Device(io.RawIOBase):
    """A device or a named pipe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open(path, "wb")  # noqa: SIM115

    def seekable(self) -> bool:
        return False

    def write(self, data: Any) -> int:
        with _explained(self._path):
            self._file.write(data)
            self._file.flush()
        return len(data)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):
                self._file.close()
        super().close()


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Convert an `OSError` of a write into a sentence."""
    try:
        yield
    except OSError as error:
        raise VoicechatError(f"{_cannot(path, error)}.", "Write it to another place.") from None


def _cannot(path: Path, error: Exception) -> str:
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return f"{clean(str(path))} cannot be written: {reason}"


def _usual_mode() -> int:
    """Return the permissions of a file that this process creates."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
