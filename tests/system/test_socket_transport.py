"""Transports of WebSockets that are aborted after they have closed themselves."""

from __future__ import annotations

import asyncio

from voicechat.system import socket_transport


class Connected(asyncio.Protocol):
    """Prepares its transport, and notes its end."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.largest = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        socket_transport.prepare(transport)

    def data_received(self, data: bytes) -> None:
        self.largest = max(self.largest, len(data))

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


async def test_a_transport_that_has_written_its_rest_can_be_aborted() -> None:
    loop = asyncio.get_running_loop()
    servers: list[Connected] = []

    def accept() -> Connected:
        servers.append(Connected())
        return servers[-1]

    listening = await loop.create_server(accept, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        transport, client = await loop.create_connection(Connected, "127.0.0.1", port)
        transport.write(bytes(20_000_000))
        assert transport.get_write_buffer_size()
        transport.close()
        async with asyncio.timeout(20):
            await client.lost.wait()
            await servers[0].lost.wait()
        transport.abort()
    assert 0 < servers[0].largest <= socket_transport.READ_BYTES
