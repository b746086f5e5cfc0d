"""An HTTP server that attacks its clients: each request gets one of the ways in `WAYS`."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from random import Random

from bombs import BOMB, NESTED

KINDS = (
    "application/json", "text/html; charset=utf-8", "text/plain", "text/event-stream", "audio/pcm",
    "audio/wav", "text/html; charset=punycode", "text/html; charset=utf-7", "x/\x1b[2J",
)  # fmt: skip
_MEGABYTE = 1_000_000

Writer = asyncio.StreamWriter


@cache
def _gzip_bomb() -> bytes:
    return gzip.compress(bytes(100 * _MEGABYTE), 6)


@cache
def _deflate_bomb() -> bytes:
    return zlib.compress(b'{"data": [' + b'{"id": 1},' * (5 * _MEGABYTE), 6)


@cache
def _bodies() -> tuple[bytes, ...]:
    """Return bodies that cost much to read."""
    return (
        b"[" * 500_000,
        b'{"a":' * 300_000,
        b"[" + b"1e999," * 150_000 + b"1]",
        b'{"data": [' + b'{"id": "m"},' * 80_000 + b'{"id": "n"}]}',
        json.dumps({"data": [{"id": "x" * 900_000}]}).encode(),
        b'{"token": "' + b"9" * 200_000 + b'"}',
        b'{"text": "' + b"\\u0301" * 150_000 + b'"}',
        b'{"error": {"message": "' + b"\\u001b[2J" * 50_000 + b'"}}',
        b"9" * 900_000,
        b"<div>" * 180_000 + b"deep",
        b"<!--" * 100_000 + b"<![" * 50_000 + b"<a " * 50_000,
        b"<table>" + b"<tr><td>" * 100_000,
        b"<p>" + b"a\xcc\x81" * 300_000,
        b"<title>" + b"&amp;" * 150_000 + b"<p " + b"x=y " * 100_000,
        b"data: " + b"x" * 900_000 + b"\n\n",
        b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n' * 15_000,
        b'data: {"choices": [{"delta": {"tool_calls": [{"index": 9, "id": "a"}]}}]}\n\n' * 10_000,
        b"event: endpoint\ndata: /x\n\n" * 30_000,
        b"RIFF\xff\xff\xff\xffWAVEfmt " + b"\xff" * 500_000,
        bytes(range(256)) * 4_000,
        "\u202e\U000e0068\u0000".encode() * 90_000,
    )


def _head(choose: Random, *fields: str, status: str = "200 OK") -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {choose.choice(KINDS)}", *fields, "", "")
    return "\r\n".join(lines).encode()


async def _whole(writer: Writer, choose: Random, body: bytes, *fields: str, **more: str) -> None:
    writer.write(_head(choose, f"Content-Length: {len(body)}", *fields, **more) + body)
    await writer.drain()


async def _costly_body(writer: Writer, choose: Random) -> None:
    await _whole(writer, choose, choose.choice(_bodies()))


async def _costly_error(writer: Writer, choose: Random) -> None:
    statuses = ("400 No", "401 No", "403 No", "404 No", "429 Later", "500 Oops", "503 Busy")
    body = choose.choice(_bodies())
    retry = f"Retry-After: {choose.choice(('0', '-1', '1e9', 'x' * 99))}"
    await _whole(writer, choose, body, retry, status=choose.choice(statuses))


async def _one_bomb(writer: Writer, choose: Random) -> None:
    await _whole(writer, choose, _gzip_bomb(), "Content-Encoding: gzip")


async def _json_bomb(writer: Writer, choose: Random) -> None:
    await _whole(writer, choose, _deflate_bomb(), "Content-Encoding: deflate")


async def _nested_bomb(writer: Writer, choose: Random) -> None:
    await _whole(writer, choose, BOMB, f"Content-Encoding: {NESTED}")


async def _error_bomb(writer: Writer, choose: Random) -> None:
    await _whole(writer, choose, _gzip_bomb(), "Content-Encoding: gzip", status="500 Oops")


async def _unknown_encoding(writer: Writer, choose: Random) -> None:
    name = choose.choice(("br", "zstd", "compress", "gzip;q=1", "\x1b[2J", "identity, gzip"))
    await _whole(writer, choose, choose.choice(_bodies()), f"Content-Encoding: {name}")


async def _endless_body(writer: Writer, choose: Random) -> None:
    writer.write(_head(choose, "Transfer-Encoding: chunked"))
    piece = choose.choice(_bodies())[:65_536]
    for _ in range(4_000):
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await writer.drain()


async def _endless_head(writer: Writer, choose: Random) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200_000):
        writer.write(b"X-%d: %b\r\n" % (number, b"y" * 200))
        await writer.drain()


async def _endless_line(writer: Writer, choose: Random) -> None:
    for _ in range(1_000):
        writer.write(b"HTTP/1.1 200 " + b"K" * 65_536)
        await writer.drain()


async def _endless_interim(writer: Writer, choose: Random) -> None:
    for _ in range(20_000):
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 10)
        await writer.drain()


async def _slow_body(writer: Writer, choose: Random) -> None:
    writer.write(_head(choose, "Content-Length: 100000"))
    for _ in range(600):
        writer.write(b"[")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _slow_head(writer: Writer, choose: Random) -> None:
    for letter in b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" * 20:
        writer.write(bytes((letter,)))
        await writer.drain()
        await asyncio.sleep(0.05)


async def _cut_body(writer: Writer, choose: Random) -> None:
    body = choose.choice(_bodies())
    writer.write(_head(choose, f"Content-Length: {len(body)}") + body[: choose.randrange(99_999)])
    await writer.drain()


async def _cut_bomb(writer: Writer, choose: Random) -> None:
    bomb = _gzip_bomb()
    writer.write(_head(choose, f"Content-Length: {len(bomb)}", "Content-Encoding: gzip"))
    writer.write(bomb[: choose.randrange(len(bomb))])
    await writer.drain()


async def _broken_chunks(writer: Writer, choose: Random) -> None:
    writer.write(_head(choose, "Transfer-Encoding: chunked"))
    writer.write(choose.choice((b"zz\r\n", b"-5\r\n", b"ffffffffffffffff\r\nx", b"5;" + b"x" * 99)))
    await writer.drain()


async def _noise(writer: Writer, choose: Random) -> None:
    writer.write(choose.randbytes(choose.choice((3, 300, 300_000))))
    await writer.drain()


async def _redirect(writer: Writer, choose: Random) -> None:
    places = (
        "/again", "http://[::1", "file:///etc/passwd", "//127.0.0.2:1/", "http://\x1b[2J/",
        "/" + "x" * 60_000, "http://a@b@127.0.0.1/", "gopher://127.0.0.1:70/",
    )  # fmt: skip
    place = f"Location: {choose.choice(places)}"
    await _whole(writer, choose, b"", place, status=choose.choice(("301 A", "307 B", "308 C")))


async def _reset(writer: Writer, choose: Random) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _silence(writer: Writer, choose: Random) -> None:
    await asyncio.sleep(30)


WAYS: dict[str, Callable[[Writer, Random], Awaitable[None]]] = {
    "costly body": _costly_body,
    "costly error": _costly_error,
    "bomb": _one_bomb,
    "bomb of JSON": _json_bomb,
    "nested bomb": _nested_bomb,
    "bomb of an error": _error_bomb,
    "unknown encoding": _unknown_encoding,
    "endless body": _endless_body,
    "endless head": _endless_head,
    "endless line": _endless_line,
    "endless interim answers": _endless_interim,
    "slow body": _slow_body,
    "slow head": _slow_head,
    "cut body": _cut_body,
    "cut bomb": _cut_bomb,
    "broken chunks": _broken_chunks,
    "noise": _noise,
    "redirect": _redirect,
    "reset": _reset,
    "silence": _silence,
}


class HostileHttp:
    """The server: `way` is the present way, and `choose` decides within it."""

    def __init__(self) -> None:
        self.way = "costly body"
        self.choose = Random(0)
        self.port = 0
        self.requests = 0
        self._serving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HostileHttp]:
        """Serve until the end of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.hang_up()

    def hang_up(self) -> None:
        """End all connections."""
        for task in self._serving:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                await WAYS[self.way](writer, self.choose)
        except asyncio.CancelledError:
            pass
        finally:
            self._serving.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()
