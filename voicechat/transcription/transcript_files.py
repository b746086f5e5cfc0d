"""Transcripts as files: their names, and how they are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.transcription.recordings import STDIN, is_url


def different(sources: Sequence[str]) -> list[str]:
    """Return the sources without repetitions: patterns of a shell may name a file twice."""
    found = {each if each == STDIN or is_url(each) else os.path.realpath(each): each
             for each in reversed(sources)}  # fmt: skip
    return list(found.values())[::-1]


def targets(sources: Sequence[str], folder: Path, suffix: str) -> list[Path]:
    """Return the file for the transcript of each source: its name with another ending.

    Sources whose names differ in their endings only keep them. Raises `UsageError` for two sources
    of the same name, and when the folder cannot be made.
    """
    names = [_name(source) for source in sources]
    stems = Counter(Path(name).stem for name in names)
    found = [
        folder / f"{name if stems[Path(name).stem] > 1 else Path(name).stem}.{suffix}"
        for name in names
    ]
    twice = next((each for each, count in Counter(found).items() if count > 1), None)
    if twice is not None:
        raise UsageError(
            f"Two recordings would be written to {clean(str(twice))}.", "Rename one of them."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        what = "is not a folder" if folder.exists() else f"cannot be made: {error.strerror}"
        raise UsageError(f"{clean(str(folder))} {what}.", "Check --out-dir.") from None
    return found


def _name(source: str) -> str:
    if source == STDIN:
        return "transcript"
    if is_url(source):
        parts = urlsplit(source)
        last = unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.hostname or "transcript"
        # The address is from outside: its name must stay in the folder.
        kept = "".join(c if c.isalnum() or c in "-_. " else "_" for c in last)
        return kept.lstrip(".")[:100] or "transcript"
    return Path(source).name


def write_whole(path: Path, content: str) -> None:
    """Write a file next to its place and move it there when it is complete. Raises `UsageError`."""
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise UsageError(
            f"{clean(str(path))} cannot be written: {error.strerror}.",
            "Nothing is lost: run it again.",
        ) from None


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
