"""A relay before a TCP server, with the delays that lost packets cause there.

TCP sends a lost packet again after 200 ms (the shortest timeout of Linux), and everything behind it
waits. Real loss needs netem, which few kernels of containers have.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

RESENT_S = 0.2
PACKET = 1_400


@asynccontextmanager
async def lossy_relay(port: int, loss: float, jitter_s: float) -> AsyncIterator[int]:
    """Relay to a port of loopback; yield the port of the relay."""
    choose = random.Random(7)
    tasks: set[asyncio.Task[None]] = set()

    async def delayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        clock, queue = asyncio.get_running_loop().time, asyncio.Queue[tuple[float, bytes]]()
        receiving = asyncio.create_task(receive(reader, queue))
        with suppress(ConnectionError):
            while (entry := await queue.get())[1]:
                await asyncio.sleep(max(0.0, entry[0] - clock()))
                writer.write(entry[1])
                await writer.drain()
        receiving.cancel()
        writer.close()

    async def receive(
        reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        clock, due = asyncio.get_running_loop().time, 0.0
        with suppress(ConnectionError):
            while data := await reader.read(PACKET):
                delay_s = choose.random() * jitter_s
                while choose.random() < loss:
                    delay_s += RESENT_S
                due = max(due, clock() + delay_s)
                queue.put_nowait((due, data))
        queue.put_nowait((0.0, b""))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, back = await asyncio.open_connection("127.0.0.1", port)
        for ways in ((reader, back), (to, writer)):
            tasks.add(task := asyncio.create_task(delayed(*ways)))
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
