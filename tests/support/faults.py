"""A TCP proxy between a client and a server on loopback, with network faults on request."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Iterator


@contextlib.contextmanager
def port_without_server() -> Iterator[int]:
    """Reserve a port on loopback that refuses connections."""
    with _bound(0) as reserved:
        yield reserved.getsockname()[1]


def _bound(port: int) -> socket.socket:
    """Bind a socket, which refuses connections until it listens; 0 stands for a free port."""
    bound = socket.socket()
    if os.name == "posix":  # connections to the port may still be open or closing
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class FaultProxy:
    """A proxy to `port`. Use as an async context manager."""

    def __init__(self, port: int) -> None:
        self.upstream = port
        self.port = 0
        self.delay = 0.0
        """Delay of each chunk in seconds."""
        self.slice = 65_536
        """Size of a forwarded chunk in bytes."""
        self.connections = 0
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    async def __aenter__(self) -> FaultProxy:
        self._reserved = _bound(0)
        self.port = self._reserved.getsockname()[1]
        await self.accept()
        return self

    async def __aexit__(self, *failure: object) -> None:
        await self.refuse()
        if self._reserved is not None:
            self._reserved.close()
        self._drop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def accept(self) -> None:
        """Accept new connections, at the same port as before."""
        self._server = await asyncio.start_server(self._join, sock=self._reserved, limit=4096)
        self._reserved = None

    async def refuse(self) -> None:
        """Refuse new connections; open ones stay open."""
        if self._server is not None:
            self._server.close()
            self._server = None
            # Keeps the port from other programs.
            self._reserved = _bound(self.port)

    def reset(self) -> None:
        """Break every open connection with RST."""
        for writer in self._writers:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._drop()

    def black_hole(self) -> None:
        """Stop forwarding without closing a connection."""
        self._open.clear()

    def heal(self) -> None:
        """Resume forwarding, first with the data that was held back."""
        self._open.set()

    def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.upstream, limit=4096)
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(self.slice):
                await self._open.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                sink.write(data)
                await sink.drain()
            if sink.can_write_eof():
                sink.write_eof()
        except OSError:
            sink.transport.abort()
