"""Connections to a Wyoming server: JSON events with PCM over TCP, as Home Assistant uses it.

Wyoming has no cancel: a request ends when its connection is dropped. Events are bounded, and each
one has a deadline. Source: the README of the `wyoming` package, "Format" and "Event Types".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from wyoming.error import Error
from wyoming.event import Event, async_read_event, async_write_event

from voicechat.core.text import clean, excerpt
from voicechat.errors import ConnectError, SessionLost, UsageError

SCHEME = "wyoming://"
CONNECT_SECONDS = 3.0
_WRITE_SECONDS = 5.0
_NEXT_ADDRESS_S = 0.25
"""Seconds after which the next address of a name is tried, too (RFC 8305)."""
_LINE_BYTES = 1024 * 1024
_PART_BYTES = 8 * 1024 * 1024
"""Largest data or payload of one event."""


class _BoundedReader(asyncio.StreamReader):
    """A reader that refuses to collect a large part; `async_read_event` then returns None."""

    async def readexactly(self, n: int) -> bytes:
        if not isinstance(n, int) or n > _PART_BYTES:
            raise ValueError
        return await super().readexactly(n)


@dataclass(frozen=True, slots=True)
class WyomingServer:
    """The address of one server. Raises `UsageError` for an invalid one.

    kind: the name for messages: `speech recognizer` or `voice`.
    """

    kind: str
    url: str
    connect_seconds: float = CONNECT_SECONDS

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            is_address = bool(parts.hostname and parts.port) and self.url.startswith(SCHEME)
        except ValueError:
            is_address = False
        if not is_address:
            raise UsageError(
                f"The address of the {self.kind} must look like wyoming://localhost:10300."
            )

    @property
    def label(self) -> str:
        """The beginning of a sentence about this server."""
        return f"The {self.kind} at {self.url}"

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[WyomingConnection]:
        """Open a connection for one request; it is dropped at the end.

        Raises `ConnectError` when the server does not answer and `SessionLost` when it fails.
        """
        parts = urlsplit(self.url)
        loop = asyncio.get_running_loop()
        reader = _BoundedReader(limit=_LINE_BYTES, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            async with asyncio.timeout(self.connect_seconds):
                transport, _ = await loop.create_connection(
                    lambda: protocol,
                    parts.hostname or "",
                    parts.port or 0,
                    happy_eyeballs_delay=_NEXT_ADDRESS_S,
                )
        except (OSError, TimeoutError) as error:
            raise ConnectError(
                f"{self.label} does not answer.", "Check that it is running."
            ) from error
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            yield WyomingConnection(self.label, reader, writer)
        finally:
            transport.abort()

    async def program(self, service: str) -> Mapping[str, object]:
        """Return the description of the first program of a service: `asr` or `tts`.

        Raises `ConnectError` when the server has none, `SessionLost` when it fails.
        """
        async with self.connect() as link:
            await link.write(Event("describe"))
            try:
                async with asyncio.timeout(self.connect_seconds):
                    while (event := await link.read()).type != "info":
                        pass
            except TimeoutError as error:
                raise SessionLost(f"{self.label} stopped answering.") from error
        programs = event.data.get(service)
        first = programs[0] if isinstance(programs, Sequence) and programs else None
        if not isinstance(first, Mapping):
            other = "recognize speech" if service == "asr" else "speak"
            raise ConnectError(f"The server at {self.url} does not {other}.", "Check the address.")
        return first


class WyomingConnection:
    """An open connection. Raises `SessionLost` when the server fails or falls silent."""

    def __init__(
        self, label: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._label = label
        self._reader = reader
        self._writer = writer

    async def write(self, event: Event) -> None:
        """Send an event."""
        try:
            async with asyncio.timeout(_WRITE_SECONDS):
                await async_write_event(event, self._writer)
        except TimeoutError as error:
            raise SessionLost(f"{self._label} stopped answering.") from error
        except OSError as error:
            raise SessionLost(f"{self._label} ended the connection.") from error

    async def read(self) -> Event:
        """Return the next event. The caller sets the deadline."""
        try:
            event = await async_read_event(self._reader)
        except (OSError, EOFError) as error:
            raise SessionLost(f"{self._label} ended the connection.") from error
        except (AttributeError, KeyError, TypeError, RecursionError) as error:
            raise SessionLost(f"{self._label} sent something that is not Wyoming.") from error
        if event is None and not self._reader.at_eof():
            raise SessionLost(f"{self._label} sent something that is not Wyoming.")
        if event is None:
            raise SessionLost(f"{self._label} ended the connection.")
        if not isinstance(event.data, dict):
            raise SessionLost(f"{self._label} sent something that is not Wyoming.")
        if Error.is_type(event.type):
            reason = excerpt(" ".join(clean(str(event.data.get("text"))).split()))
            raise SessionLost(f"{self._label} failed: {reason}")
        return event
