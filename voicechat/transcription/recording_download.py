"""A recording at an address of the web, as a file."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from voicechat.core.text import clean
from voicechat.errors import ConnectError, UsageError
from voicechat.system.http_body import BodyError, pieces
from voicechat.tools.public_fetch import PublicFetch, checked_address
from voicechat.tools.registry import ToolError

if TYPE_CHECKING:
    import httpx

MAX_BYTES = 1 << 30
"""Largest recording in bytes."""

DEADLINE_S = 1_800.0
"""Seconds for the whole download."""

_ACCEPT = "audio/*, video/*;q=0.9, application/octet-stream;q=0.8, */*;q=0.1"
_PAGES = ("text/html", "application/xhtml+xml")


async def download(url: str, path: Path, fetch: PublicFetch | None = None) -> str:
    """Download the recording at a public address into a new file; return its name.

    Raises `UsageError` for an address that is not public, a web page and a disk that is full,
    `ConnectError` when it cannot be downloaded.
    """
    name = _name(url)
    fetch = fetch or PublicFetch(name, _ACCEPT)
    try:
        address = checked_address(url)
        async with asyncio.timeout(DEADLINE_S), fetch.answer(address) as answer:
            _check(name, answer)
            await _save(name, answer, path)
    except ToolError as error:
        raise ConnectError(f"{error}") from None
    except TimeoutError:
        raise ConnectError(f"{name} was not downloaded in {DEADLINE_S / 60:.0f} minutes.") from None
    return name


def _name(url: str) -> str:
    """Return the last part of an address, or its host."""
    try:
        parts = urlsplit(url)
        last = unquote(parts.path).rstrip("/").rpartition("/")[2]
        return clean(last or parts.hostname or "The address")[:100]
    except ValueError:
        return "The address"


def _check(name: str, answer: httpx.Response) -> None:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _PAGES:
        raise UsageError(
            f"{name} is a web page, not a recording.",
            "Name the address of the sound file itself. Pages with videos are not searched.",
        )
    length = answer.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BYTES:
        raise _too_large(name)


def _too_large(name: str) -> UsageError:
    return UsageError(f"{name} is larger than {MAX_BYTES >> 30} GB.", "Download and cut it first.")


async def _save(name: str, answer: httpx.Response, path: Path) -> None:
    import httpx

    size = 0
    try:
        with path.open("wb") as file:
            async with aclosing(pieces(answer)) as found:
                async for piece in found:
                    size += len(piece)
                    if size > MAX_BYTES:
                        raise _too_large(name)
                    file.write(piece)
    except BodyError as error:
        raise ConnectError(f"{name} cannot be downloaded: {error}") from None
    except httpx.TimeoutException:
        raise ConnectError(f"{name} stopped in the middle of the download.", "Try again.") from None
    except httpx.HTTPError:
        raise ConnectError(f"The download of {name} was cut off.", "Try again.") from None
    except OSError as error:
        raise UsageError(f"{name} cannot be stored in {path.parent}: {error.strerror}.") from None
