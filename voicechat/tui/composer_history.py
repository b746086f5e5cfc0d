"""The messages that the user sent, kept between runs in a private file.

One message is one line of JSON. Each run appends its messages; a file above its limit is replaced
by its newest messages. A file that cannot be read or written is ignored.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from voicechat.core.text import clean
from voicechat.system.daemon_call import call_with_deadline
from voicechat.system.private_files import locked, read_private, write_private

MAX_MESSAGES = 500
"""Most messages that are kept and can be recalled."""
MAX_CHARACTERS = 10_000
"""Longest message that is kept in the file."""
MAX_BYTES = 1 << 20
"""Size of the file from which it is replaced by its newest messages."""
_FILE_LIMIT = 4 * MAX_BYTES
"""Largest file that is read; several runs may append to it."""
_DISK_TIMEOUT_S = 2.0


def history_path() -> Path:
    """Return the path of the file."""
    import platformdirs

    return platformdirs.user_state_path("voicechat", appauthor=False) / "messages.jsonl"


class ComposerHistory:
    """The sent messages, oldest first; `path` is None to keep them for this run only."""

    def __init__(
        self, path: Path | None = None, mask: Callable[[str], str] = lambda text: text
    ) -> None:
        """`mask` replaces keys in what is written to the file."""
        self._path = path
        self._mask = mask
        self.messages: deque[str] = deque(maxlen=MAX_MESSAGES)

    async def load(self) -> None:
        """Put the messages of earlier runs before those of this run."""
        if self._path is None:
            return
        with suppress(OSError, TimeoutError):
            earlier = await call_with_deadline(self._read, _DISK_TIMEOUT_S)
            newest_first = reversed(earlier)
            self.messages.extendleft(islice(newest_first, MAX_MESSAGES - len(self.messages)))

    def add(self, text: str) -> bool:
        """Add a message that was sent; return False if it repeats the last one."""
        if self.messages and self.messages[-1] == text:
            return False
        self.messages.append(text)
        return True

    async def keep(self, text: str) -> None:
        """Append a message to the file."""
        if self._path is not None and len(text) <= MAX_CHARACTERS:
            with suppress(OSError, TimeoutError):
                await call_with_deadline(lambda: self._append(text), _DISK_TIMEOUT_S)

    def search(self, words: str) -> Sequence[str]:
        """Return the messages that contain these words, the newest first, each once."""
        wanted = words.casefold().split()
        newest_first = dict.fromkeys(reversed(self.messages))
        return [each for each in newest_first if all(word in each.casefold() for word in wanted)]

    # ------------------------------------------------------------ the file, on a thread

    def _read(self) -> list[str]:
        assert self._path is not None
        try:
            lines = read_private(self._path, _FILE_LIMIT).splitlines()
        except FileNotFoundError:
            return []
        return [text for line in lines if (text := _message(line))]

    def _append(self, text: str) -> None:
        assert self._path is not None
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        line = _line(self._mask(text))
        with locked(self._path):
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NONBLOCK", 0)
            descriptor = os.open(self._path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                os.write(descriptor, line)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
            if size > MAX_BYTES:
                write_private(self._path, _newest(self._read()))


def _newest(messages: Sequence[str]) -> bytes:
    """Return the lines of the newest messages, in at most half of `MAX_BYTES`."""
    kept: deque[bytes] = deque()
    size = 0
    for text in reversed(messages[-MAX_MESSAGES:]):
        line = _line(text)
        size += len(line)
        if size > MAX_BYTES // 2:
            break
        kept.appendleft(line)
    return b"".join(kept)


def _line(text: str) -> bytes:
    return json.dumps(text).encode() + b"\n"


def _message(line: bytes) -> str:
    """Return the message of a line; empty for one that is broken or was cut off."""
    try:
        text = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    return clean(text)[:MAX_CHARACTERS] if isinstance(text, str) else ""
