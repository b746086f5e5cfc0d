"""What is left of a crash: a report in a private file, and one sentence for the person.

The report has the type, the redacted message and the stack; never a local variable, where
keys and conversations are.
"""

from __future__ import annotations

import os
import platform
import re
import time
import traceback
from pathlib import Path

from voicechat import __version__

_SECRETS = (
    re.compile(r"(?i)\b(bearer|basic)\s+\S+"),
    re.compile(r"(?i)\b(sk|ek|xai|gsk|AIza|ghp|hf)[-_]?[A-Za-z0-9_\-]{8,}"),
    re.compile(r"(?i)((?:api[-_ ]?key|key|token|secret|password|authorization)\S{0,2}[=:]\s*)\S+"),
    re.compile(r"\b[A-Za-z0-9+/_\-]{32,}={0,2}"),
)
_TOLD = 300
"""Characters of a message that are kept."""


def redacted(text: str) -> str:
    """The text without anything that looks like a key, and without the values of key variables."""
    for name, value in os.environ.items():
        if len(value) >= 6 and re.search(r"KEY|TOKEN|SECRET|PASSWORD", name, re.IGNORECASE):
            text = text.replace(value, "***")
    for pattern in _SECRETS:
        text = pattern.sub("***", text)
    return text if len(text) <= _TOLD else f"{text[:_TOLD]} …"


def report(error: BaseException) -> str:
    """Type, message and stack of an error and of what caused it, oldest first."""
    parts = [
        f"voicechat {__version__}, Python {platform.python_version()}, {platform.platform()}",
        time.strftime("%Y-%m-%d %H:%M:%S %z"),
    ]
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for one in reversed(chain):
        parts.append("")
        frames = traceback.extract_tb(one.__traceback__)
        parts += [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        parts.append(f"{type(one).__name__}: {redacted(str(one))}")
    return "\n".join(parts) + "\n"


def write_report(error: BaseException) -> Path | None:
    """Write the report where only the person can read it; None when that is not possible."""
    from platformdirs import user_state_path

    try:
        folder = user_state_path("voicechat")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        with open(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(report(error))
    except OSError:
        return None
    return path


def sentence(error: BaseException, path: Path | None) -> str:
    """What the person is told of a crash."""
    what = f"voicechat stopped: an unexpected {type(error).__name__}."
    if path is None:
        return f"{what} The report could not be written."
    return f"{what} The report, without your conversation or keys, is in {path}"
