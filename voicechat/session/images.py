"""Images from a file to the model: named, dropped or pasted, read off the event loop.

A terminal types the path of a file that is dropped on it: in quotes, with escaped spaces, or as a
file:// address. `places` finds such paths in a line. Only regular files are read, with a deadline.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from voicechat.core import effects, inputs
from voicechat.core.pictures import Picture, picture
from voicechat.core.settings import Capabilities
from voicechat.core.text import clean
from voicechat.errors import UsageError
from voicechat.system.daemon_call import call_with_deadline

READ_TIMEOUT_S = 5.0
"""Seconds to read an image from disk."""

Place = tuple[Path, str]
"""A path, and the text next to it."""

_QUOTED = r"'[^']+'|\"[^\"]+\""
_BARE = r"(?:\\.|[^\s\\'\"])+" if os.name == "posix" else r"[^\s'\"]+"
_FIRST = re.compile(rf"(?:& )?({_QUOTED}|{_BARE})(?:\s+(.*))?", re.DOTALL)
_LAST = re.compile(rf"(.*[^\s\\])\s+({_QUOTED}|{_BARE})", re.DOTALL)
_DROPPED = re.compile(r"[/~]|file://|[A-Za-z]:[\\/]", re.IGNORECASE)

PATH_MARKS = frozenset("/~\\")
"""A line without any of these characters contains no path of an image."""


def places(line: str) -> list[Place]:
    """Return the possible paths of an image dropped on the terminal, the most likely first."""
    return [
        (path, words)
        for text, words in _parts(line.strip())
        if _DROPPED.match(_unquoted(text)) and (path := _path(text)) is not None
    ]


def named(argument: str) -> list[Place]:
    """Return the possible paths in `/image PATH [text]`; a relative path is accepted, too."""
    first = _FIRST.fullmatch(argument)
    parts = [(argument, "")] + ([(first[1], first[2] or "")] if first else [])
    return [(path, words) for text, words in parts if (path := _path(text)) is not None]


def _parts(line: str) -> Iterator[tuple[str, str]]:
    """Split the line into a path and text: all of it, its beginning, its end."""
    if "\n" not in line:
        yield line, ""
    if first := _FIRST.fullmatch(line):
        yield first[1], first[2] or ""
    if last := _LAST.fullmatch(line):
        yield last[2], last[1]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _path(text: str) -> Path | None:
    """Return the path in a text as terminals and shells write it; None if there is none."""
    inner = _unquoted(text)
    try:
        if inner.lower().startswith("file://"):
            parts = urlsplit(inner)
            if parts.netloc not in {"", "localhost", socket.gethostname()}:
                return None
            inner = unquote(parts.path, errors="surrogateescape")
            if os.name == "nt":
                inner = inner.lstrip("/")
        elif inner == text and os.name == "posix" and not Path(text).exists():
            inner = re.sub(r"\\(.)", r"\1", inner)
        path = Path(inner).expanduser()
    except (ValueError, RuntimeError, OSError):
        return None
    return path if inner and "\0" not in inner else None


# --------------------------------------------------------------------------- reading


class NoPicture(UsageError):
    """There is no image at the given path."""


def find(candidates: Sequence[Place], max_bytes: int) -> tuple[Picture, str]:
    """Return the first of these paths that is an image, and the text next to it. Reads the disk.

    Raises `NoPicture` if none is, with the reason of the last one, and `UsageError` for an image of
    more than `max_bytes` bytes.
    """
    problem = NoPicture("There is no image.")
    for path, words in candidates:
        try:
            return _read(path, max_bytes), words
        except FileNotFoundError:
            problem = NoPicture(f"There is no file {_display_name(path)}.")
        except OSError as error:
            why = (error.strerror or "it is broken").lower()
            problem = NoPicture(f"{_display_name(path)} cannot be read: {why}.")
        except ValueError as error:
            problem = NoPicture(f"{_display_name(path)} {error}.")
    raise problem


def _display_name(path: Path) -> str:
    return clean(path.name or str(path))[:80]


def _read(path: Path, max_bytes: int) -> Picture:
    # Checked before opening: opening alone activates some devices.
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a file")
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("is not a file")
        beginning = file.read(64)
        known = picture(beginning) or beginning.startswith(b"\xff\xd8\xff")
        if status.st_size > max_bytes and known:
            size, limit = status.st_size / 1e6, max_bytes / 1e6
            raise UsageError(f"{_display_name(path)} has {size:.1f} MB; the limit is {limit:g} MB.")
        found = picture(beginning + file.read(max_bytes), _display_name(path)) if known else None
    if found is None:
        raise ValueError("is not a PNG, JPEG, GIF or WebP image")
    return found


def refusal(shown: Picture, capabilities: Capabilities, model: str) -> UsageError | None:
    """Return the error if this model does not accept the image; None if it does."""
    if not capabilities.pictures:
        return _images_unsupported(model)
    if shown.kind not in capabilities.pictures:
        kinds = [kind.label for kind in capabilities.pictures]
        taken = f"{', '.join(kinds[:-1])} and {kinds[-1]}" if kinds[1:] else kinds[0]
        message = f"{clean(model)} accepts {taken} images; {shown.name} is a {shown.kind.label}."
        return UsageError(message)
    if len(shown.data) > capabilities.picture_bytes:
        return UsageError(
            f"{shown.name or 'The image'} has {len(shown.data) / 1e6:.1f} MB;"
            f" {clean(model)} accepts up to {capabilities.picture_bytes / 1e6:g} MB."
        )
    return None


def _images_unsupported(model: str) -> UsageError:
    from voicechat.providers import catalog

    hint = f"Models that do: {', '.join(catalog.capable(lambda can: bool(can.pictures)))}."
    return UsageError(f"{clean(model)} does not accept images.", hint)


class ImageInput:
    """Reads images on a thread of their own and passes them to `send` as a turn."""

    def __init__(
        self, send: Callable[[inputs.Typed], None], notify: Callable[[effects.Notice], None]
    ) -> None:
        self.reading = 0
        """Number of images that are being read."""
        self._send = send
        self._notify = notify

    def start(
        self,
        tasks: asyncio.TaskGroup,
        candidates: Sequence[Place],
        capabilities: Capabilities,
        model: str,
        fallback: str | None = None,
    ) -> None:
        """Show the image at one of these paths; if there is none, send `fallback` or a notice."""
        self.reading += 1
        tasks.create_task(self._show(candidates, capabilities, model, fallback))

    async def _show(
        self,
        candidates: Sequence[Place],
        capabilities: Capabilities,
        model: str,
        fallback: str | None,
    ) -> None:
        found = await _load(candidates, capabilities, model)
        self.reading -= 1
        if not isinstance(found, UsageError):
            self._send(inputs.Typed(found[1], found[0]))
        elif fallback is not None and isinstance(found, NoPicture):
            self._send(inputs.Typed(fallback))
        else:
            self._notify(effects.Notice(found.message, effects.Level.WARNING, found.hint))


async def _load(
    candidates: Sequence[Place], capabilities: Capabilities, model: str
) -> tuple[Picture, str] | UsageError:
    """Return the image and the text next to it, or the error."""
    try:
        shown, words = await call_with_deadline(
            lambda: find(candidates, capabilities.picture_bytes), READ_TIMEOUT_S
        )
    except NoPicture as error:
        return error
    except UsageError as error:
        return error if capabilities.pictures else _images_unsupported(model)
    except TimeoutError:
        return UsageError("The disk does not respond.")
    return refusal(shown, capabilities, model) or (shown, words)
