"""The event loop stays free while a server floods a client with interim answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import h11
import httpcore2
import httpx2
import pytest

import voicechat
from voicechat.system.http_client import READ_BYTES, limit_reads, open_client

INTERIM = b"HTTP/1.1 103 Early Hints\r\n\r\n"


@asynccontextmanager
async def flooding(answers: int) -> AsyncIterator[str]:
    """Serve answers of status 200 after so many interim ones; yield the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(INTERIM * answers + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
async def test_the_loop_runs_between_interim_answers(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = most = 0

    def counted(self: h11.Connection, plain: object = h11.Connection.next_event) -> object:
        nonlocal parsed, most
        parsed += 1
        most = max(most, parsed)
        return plain(self)  # type: ignore[operator]

    async def beat() -> None:
        nonlocal parsed
        while True:
            parsed = 0
            await asyncio.sleep(0)

    monkeypatch.setattr(h11.Connection, "next_event", counted)
    beating = asyncio.create_task(beat())
    async with flooding(10_000) as address:
        if library == "httpx2":
            limit_reads(httpcore2.AsyncHTTP11Connection)
        client = open_client() if library == "httpx" else httpx2.AsyncClient()
        async with client:
            assert (await client.get(address)).text == "hi"
    beating.cancel()
    assert 100 < most <= READ_BYTES // len(INTERIM) + 5


def test_every_client_is_a_limited_one() -> None:
    root = Path(voicechat.__file__).parent
    opens = [
        path.name
        for path in root.rglob("*.py")
        if "httpx.AsyncClient(" in path.read_text("utf-8")
        or "httpx.Client(" in path.read_text("utf-8")
    ]
    assert opens == ["http_client.py"]
    assert "limit_reads" in (root / "tools" / "mcp" / "mcp_connection.py").read_text("utf-8")
