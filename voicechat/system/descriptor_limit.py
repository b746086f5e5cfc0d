"""Log records about a lack of file descriptors: one line a minute instead of a traceback each."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable

INTERVAL_S = 60.0
"""Seconds between two lines."""

SENTENCE = (
    "No file descriptor is free, so new connections wait."
    " Close some clients, or raise the limit (ulimit -n)."
)


def is_exhausted(error: BaseException | None) -> bool:
    """Return True when an error, or one of a group, says that no file descriptor is free."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(is_exhausted, error.exceptions))
    return isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}


class DescriptorFilter(logging.Filter):
    """A filter for a log handler that shortens such records, and drops them within `INTERVAL_S`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._next = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False to drop the record."""
        if not record.exc_info or not is_exhausted(record.exc_info[1]):
            return True
        if self._clock() < self._next:
            return False
        self._next = self._clock() + INTERVAL_S
        record.msg, record.args = SENTENCE, ()
        record.exc_info = None
        return True
