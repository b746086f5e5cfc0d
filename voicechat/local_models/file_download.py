"""The download of one file: resumed, retried, bounded and checked.

The bytes go to NAME.part, which a later download continues with a Range request. Only a file with
the size and the SHA-256 of the catalog gets its name.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from voicechat.core.text import clean
from voicechat.errors import ConnectError
from voicechat.local_models.model_catalog import RemoteFile
from voicechat.system.http_client import open_client

if TYPE_CHECKING:
    from hashlib import _Hash

Pause = Callable[[float], Awaitable[object]]
"""Waits some seconds before another connection."""

ATTEMPTS = 8
"""Connections for one file, the first included."""
_LONGEST_PAUSE_S = 8.0
_BLOCK = 1 << 20
_RETRY_STATUS = {408, 425, 429, 500, 502, 503, 504}
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_MIRROR_HINT = "Try again later, or use --mirror URL."


class _CutConnection(Exception):
    """A failure after which another connection may help."""


def make_client() -> httpx.AsyncClient:
    """Return a client that honors HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

    It tries the addresses of a name in parallel, which a synchronous client does not.
    Raises `ConnectError` when one of them cannot be used.
    """
    try:
        return open_client(
            follow_redirects=True,
            max_redirects=5,
            timeout=_TIMEOUT,
            # No compression: the bytes on the wire are the bytes of the file.
            headers={"Accept-Encoding": "identity", "User-Agent": "voicechat"},
        )
    except (ValueError, ImportError, httpx.InvalidURL):
        raise ConnectError(
            "The proxy in the environment cannot be used.",
            "Set HTTPS_PROXY to an address like http://host:port",
        ) from None


class FileDownload:
    """Downloads one file. `report` gets the bytes that are there; `pause` waits some seconds."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        file: RemoteFile,
        path: Path,
        report: Callable[[int], None] = lambda _: None,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._client = client
        self._file = file
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._report = report
        self._pause = pause
        self._host = httpx.URL(file.url).host
        self._has_received = False
        self._digest: _Hash = hashlib.sha256()
        self._present = 0

    async def run(self) -> None:
        """Download the file unless it is there already.

        Raises `ConnectError` when the server cannot be reached or sends another file, `OSError`
        when the file cannot be written.
        """
        if self._path.exists():
            # A file gets this name only after its check, so the size is enough.
            if self._path.stat().st_size == self._file.size:
                self._report(self._file.size)
                return
            self._path.unlink()
        for attempt in range(ATTEMPTS):
            if attempt:
                await self._pause(min(2.0 ** (attempt - 1), _LONGEST_PAUSE_S))
            try:
                await self._continue()
            except _CutConnection as failure:
                problem = str(failure)
                continue
            self._part.replace(self._path)
            return
        raise ConnectError(f"The download from {self._host} failed: {problem}.", _MIRROR_HINT)

    async def _continue(self) -> None:
        """Complete the partial file over one connection, and check it."""
        self._measure()
        resumed = self._present > 0
        if self._present < self._file.size:
            try:
                await self._receive()
            except httpx.TransportError as error:
                self._give_up_offline(error)
                raise _CutConnection(_reason(error)) from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise ConnectError(
                    f"The download from {self._host} failed: {_reason(error)}.", _MIRROR_HINT
                ) from None
        if self._present < self._file.size:
            raise _CutConnection("the connection ended early")
        if self._digest.hexdigest() != self._file.sha256:
            self._part.unlink()
            if resumed:
                raise _CutConnection("the partial file was damaged")
            raise self._wrong_file("its SHA-256 differs")

    def _measure(self) -> None:
        """Read the partial file: its size and its digest so far."""
        self._start_over()
        if not self._part.exists():
            return
        if self._part.stat().st_size > self._file.size:
            self._part.unlink()
            return
        with self._part.open("rb") as file:
            while block := file.read(_BLOCK):
                self._digest.update(block)
                self._present += len(block)
        self._report(self._present)

    def _start_over(self) -> None:
        self._digest = hashlib.sha256()
        self._present = 0
        self._report(0)

    async def _receive(self) -> None:
        headers = {"Range": f"bytes={self._present}-"} if self._present else {}
        async with self._client.stream("GET", self._file.url, headers=headers) as response:
            self._check_status(response)
            if response.status_code == 200:
                self._start_over()
            length = response.headers.get("Content-Length", "")
            if length.isdecimal() and self._present + int(length) != self._file.size:
                raise self._wrong_file(f"its size is not {self._file.size:,} bytes")
            await self._store(response.aiter_raw())
        if self._present > self._file.size:
            self._part.unlink()
            raise self._wrong_file(f"it exceeds {self._file.size:,} bytes")

    async def _store(self, pieces: AsyncIterator[bytes]) -> None:
        """Append the pieces to the partial file, until it exceeds its size."""
        with self._part.open("r+b" if self._present else "wb") as file:
            file.seek(self._present)
            async for piece in pieces:
                self._has_received = True
                self._present += len(piece)
                if self._present > self._file.size:
                    return
                file.write(piece)
                self._digest.update(piece)
                self._report(self._present)

    def _check_status(self, response: httpx.Response) -> None:
        status = f"HTTP {response.status_code} {clean(response.reason_phrase)[:40]}".strip()
        if response.status_code == 200 or _continues(response, self._present):
            return
        if response.status_code in {206, 416}:
            self._part.unlink(missing_ok=True)
            raise _CutConnection(status)
        if response.status_code in _RETRY_STATUS:
            raise _CutConnection(status)
        raise ConnectError(
            f"{self._host} does not have {self._name}: {status}.", "Try --mirror URL."
        )

    def _give_up_offline(self, error: httpx.TransportError) -> None:
        """Raise `ConnectError` when no connection was possible so far."""
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            if self._has_received:
                return
            raise ConnectError(
                f"{self._host} could not be reached: {_reason(error)}.",
                "Check the network and the proxy, or use --mirror URL.",
            )

    def _wrong_file(self, difference: str) -> ConnectError:
        return ConnectError(
            f"The {self._name} that {self._host} sent is not the one of the catalog: {difference}.",
            f"Nothing was installed. {_MIRROR_HINT}",
        )

    @property
    def _name(self) -> str:
        return clean(self._file.url.rpartition("/")[2])[:80]


def _continues(response: httpx.Response, position: int) -> bool:
    """Return True when the server sends the rest from this byte on."""
    sent = response.headers.get("Content-Range", "").lower()
    return response.status_code == 206 and sent.startswith(f"bytes {position}-")


def _reason(error: Exception) -> str:
    if isinstance(error, httpx.TimeoutException):
        return "it did not answer in time"
    number = _system_error(error)
    text = os.strerror(number) if number else " ".join(clean(str(error)).split())[:80].rstrip(". ")
    text = re.sub(r"\A\[Errno -?\d+\] ", "", text)
    return text or "the connection was closed"


def _system_error(error: BaseException) -> int:
    """Return the number of the system's error that caused this one; 0 if there is none."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            # One error for each address of the name.
            cause = cause.exceptions[0]
        if isinstance(cause, OSError) and (cause.errno or 0) > 0:
            return cause.errno or 0
        cause = cause.__cause__ or cause.__context__
    return 0
