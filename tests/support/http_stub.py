"""A scripted HTTP server on a free port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

Stub = TypeVar("Stub", bound="HttpStub")
HANG, CUT = b"HANG", b"CUT"


class SeenRequest(NamedTuple):
    """A request as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes


class HttpStub:
    """Answers GET with the status `listed` and the body `models`, POST with the scripted answer.

    The answer is `status`, `headers` and the chunks of a body.
    The chunk HANG waits until the client hangs up; the chunk CUT ends the connection. A subclass
    may script each answer in `answer_post`.
    """

    def __init__(self) -> None:
        self.listed = 200
        self.models = b'{"data": []}'
        self.status = 200
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self.seen: list[SeenRequest] = []
        self.lost = asyncio.Event()
        """Set when a connection ends."""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def posts(self) -> list[SeenRequest]:
        return [each for each in self.seen if each.line.startswith("POST")]

    def answer_post(self, request: SeenRequest) -> None:
        """Script the answer to a POST."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._answer(reader, writer):
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.lost.set()
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (f.partition(": ") for f in fields)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append(SeenRequest(line, headers, body))
        if line.startswith("GET"):
            head = f"HTTP/1.1 {self.listed} X\r\nContent-Length: {len(self.models)}\r\n\r\n"
            writer.write(head.encode() + self.models)
            return True
        self.answer_post(self.seen[-1])
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        writer.write(f"HTTP/1.1 {self.status} X\r\n{extra}".encode())
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        for chunk in self.chunks:
            if chunk in (HANG, CUT):
                await writer.drain()
                if chunk == HANG:
                    await reader.read()
                return False
            writer.write(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return True


@asynccontextmanager
async def http_stub() -> AsyncIterator[HttpStub]:
    async with running(HttpStub()) as stub:
        yield stub


@asynccontextmanager
async def running(stub: Stub) -> AsyncIterator[Stub]:
    """Run a stub until the end of the block."""
    server = await asyncio.start_server(stub.serve, "127.0.0.1", 0)
    stub.port = server.sockets[0].getsockname()[1]
    try:
        yield stub
    finally:
        server.close()
