"""Crash reports: a private file, and one sentence for the user.

A report contains error types, redacted messages and stacks. It never contains local variables,
which may hold keys and conversations.
"""

from __future__ import annotations

import os
import platform
import re
import tempfile
import time
import traceback
from pathlib import Path

from voicechat import __version__

_KEYS = (
    re.compile(r"(?i)\b(bearer|basic)\s+\S+"),
    re.compile(r"(?i)\b(sk|ek|xai|gsk|AIza|ghp|hf)[-_]?[A-Za-z0-9_\-]{8,}"),
    re.compile(r"(?i)((?:api[-_ ]?key|key|token|secret|password|authorization)\S{0,2}[=:]\s*)\S+"),
    re.compile(r"\b[A-Za-z0-9+/_\-]{32,}={0,2}"),
)
_KEY_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.IGNORECASE)
_LONGEST_MESSAGE = 300


def save_report(error: BaseException) -> str:
    """Write a report that only the user can read; return the sentence to show."""
    what = f"Something unexpected went wrong ({_names(error)})."
    try:
        return f"{what} The report, without your conversation or keys, is in {_store(error)}."
    except OSError:
        return f"{what} The report could not be written."


def _names(error: BaseException) -> str:
    """Return the type of an error, or the types of the errors in a group."""
    found, waiting = [], [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseExceptionGroup):
            waiting[:0] = each.exceptions
        else:
            found.append(type(each).__name__)
    return ", ".join(dict.fromkeys(found))


def redacted(text: str) -> str:
    """Remove anything that looks like a key, and the values of key variables, from a text."""
    for name, value in os.environ.items():
        if len(value) >= 6 and _KEY_NAME.search(name):
            text = text.replace(value, "***")
    for pattern in _KEYS:
        text = pattern.sub("***", text)
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} …"


def report(error: BaseException) -> str:
    """Format the types, messages and stacks of an error and its causes, oldest first."""
    lines = [
        f"voicechat {__version__}, Python {platform.python_version()}, {platform.platform()}",
        time.strftime("%Y-%m-%d %H:%M:%S %z"),
    ]
    for link in reversed(_chain(error)):
        frames = traceback.extract_tb(link.__traceback__)
        lines += ["", *(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)]
        lines.append(f"{type(link).__name__}: {redacted(str(link))}")
    return "\n".join(lines) + "\n"


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is None or link in chain:
            continue
        chain.append(link)
        waiting.append(link.__cause__ or (None if link.__suppress_context__ else link.__context__))
        if isinstance(link, BaseExceptionGroup):
            waiting.extend(link.exceptions)
    return chain


def _store(error: BaseException) -> str:
    from platformdirs import user_state_path

    folder = user_state_path("voicechat", appauthor=False)
    text = report(error)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _write(text, folder)
    except OSError:
        return _write(text, None)  # the folder for temporary files


def _write(text: str, folder: Path | None) -> str:
    # mkstemp makes a file that only its owner can read.
    descriptor, path = tempfile.mkstemp(
        prefix=f"crash-{time.strftime('%Y%m%d-%H%M%S')}-", suffix=".txt", dir=folder
    )
    with open(descriptor, "w", encoding="utf-8", errors="replace") as stream:
        stream.write(text)
    return path
