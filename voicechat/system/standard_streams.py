"""Standard streams of a command, which may be closed, full or without a reader.

`guarded` replaces the streams of `sys`. A failed write to standard output then raises a
`VoicechatError`, so that no command needs its own check. A failed write to standard error is
dropped, because there is no other place for a message. A character that the encoding lacks is
written as an escape, like "\\u2192".
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from voicechat.errors import VoicechatError

BROKEN_PIPE = 13
"""Number of SIGPIPE, also on systems without this signal."""


class OutputFailed(VoicechatError):
    """Standard output is closed or full."""


class OutputUnread(VoicechatError):
    """The reader of standard output is gone. It has no message, as in every Unix tool."""

    exit_code = 128 + BROKEN_PIPE

    def __init__(self) -> None:
        super().__init__("")


@contextmanager
def guarded() -> Iterator[None]:
    """Replace the streams of `sys` until the block ends."""
    originals = sys.stdin, sys.stdout, sys.stderr
    _open_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    output = _GuardedStream(sys.stdout, _refuse)
    sys.stdout = cast("TextIO", output)
    sys.stderr = cast("TextIO", _GuardedStream(sys.stderr, lambda _error: None))
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = originals
        if output.failed:
            _discard_output()


class _GuardedStream:
    """A text stream that calls `on_error` when a write fails."""

    def __init__(self, stream: TextIO | None, on_error: Callable[[OSError], None]) -> None:
        self.failed = False
        self._closed = stream is None
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        self._on_error = on_error

    def write(self, text: str) -> int:
        """Write a text; 0 when that fails and the error is dropped."""
        return self.guard(self._stream.write, text) or 0

    def writelines(self, lines: Iterable[str]) -> None:
        """Write texts."""
        self.guard(self._stream.writelines, lines)

    def flush(self) -> None:
        """Write the texts that are buffered."""
        if not self._closed:
            self.guard(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def guard(self, act: Callable[..., Any], *arguments: object) -> Any:
        """Call a function that writes; None when it fails and the error is dropped."""
        try:
            result = act(*arguments)
            if self._closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            return result
        except OSError as error:
            self.failed = True
            self._on_error(error)


def _refuse(error: OSError) -> None:
    if isinstance(error, BrokenPipeError):
        raise OutputUnread from None
    if error.errno == errno.EBADF:
        raise OutputFailed("Standard output is closed.", "Run the command without >&-.") from None
    reason = (error.strerror or type(error).__name__).lower()
    raise OutputFailed(
        f"Standard output cannot be written: {reason}.", "Write it to another place."
    ) from None


def _open_descriptors() -> None:
    """Open closed standard descriptors, so that no other file gets their numbers."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _discard_output() -> None:
    """Discard what is still buffered: the interpreter flushes once more at its end."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
