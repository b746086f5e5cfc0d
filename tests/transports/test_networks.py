"""Networks: names with a dead address, proxies with passwords, TLS behind a proxy."""

from __future__ import annotations

import asyncio
import logging
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx
import pytest
from dead_address import name_with_dead_address
from websockets.asyncio.server import serve

from voicechat.system.dial_target import DialTarget
from voicechat.transports.connection_errors import Peer
from voicechat.transports.proxy_address import proxy_of
from voicechat.transports.websocket import DialFailed, dial

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WSS_PROXY", "SOCKS_PROXY")
URL = "wss://voice.invalid/v1/realtime"


@pytest.fixture(autouse=True)
def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


# ------------------------------------------------------------------------------ addresses


async def test_a_dead_address_of_a_name_costs_no_more_than_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def echo(client: Any) -> None:
        async for frame in client:
            await client.send(frame)

    with name_with_dead_address(monkeypatch) as port:
        async with serve(echo, "127.0.0.1", port):
            connection = await dial(DialTarget(f"ws://voice.invalid:{port}/", {}))
            try:
                await connection.send(["hello"])
                assert await anext(aiter(connection)) == "hello"
            finally:
                await connection.close()


# ------------------------------------------------------------------------------ proxies


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, URL, None),
        ({"ALL_PROXY": "http://all:1"}, URL, "http://all:1"),
        ({"ALL_PROXY": "http://all:1"}, "ws://voice.invalid/", "http://all:1"),
        ({"ALL_PROXY": "socks5://all:1"}, URL, "socks5://all:1"),
        ({"ALL_PROXY": "http://all:1", "HTTPS_PROXY": "http://one:2"}, URL, "http://one:2"),
        ({"ALL_PROXY": "http://all:1", "NO_PROXY": "voice.invalid"}, URL, None),
        ({"HTTP_PROXY": "http://one:1"}, URL, None),
    ],
)
def test_the_proxy_of_an_address(
    variables: dict[str, str], url: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        # The variable HTTP_PROXY in capitals is not used in a CGI program.
        monkeypatch.setenv(name.lower(), value)
    assert proxy_of(url) == expected


class Tunnel:
    """An HTTP proxy to one server; `head` is the last request."""

    def __init__(self) -> None:
        self.head = b""
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        # The server behind it does not speak TLS.
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()


@asynccontextmanager
async def tunnel(monkeypatch: pytest.MonkeyPatch, user: str = "") -> AsyncIterator[Tunnel]:
    proxy = Tunnel()
    server = await asyncio.start_server(proxy.answer, "127.0.0.1", 0)
    async with server:
        proxy.port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("https_proxy", f"http://{user}127.0.0.1:{proxy.port}")
        yield proxy


@pytest.mark.parametrize(
    ("encoded", "plain"),
    [
        ("us%40er:p%40ss%3Aword", "us@er:p@ss:word"),
        ("user:pass", "user:pass"),
        ("user:100%25", "user:100%"),
    ],
)
async def test_user_and_password_of_a_proxy_are_decoded(
    encoded: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with tunnel(monkeypatch, f"{encoded}@") as proxy:
        with pytest.raises(DialFailed):
            await dial(DialTarget(URL, {}))
        assert b64encode(plain.encode()) in proxy.head


async def test_a_failure_of_tls_behind_a_proxy_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    async with tunnel(monkeypatch):
        with pytest.raises(DialFailed, match="does not speak TLS"):
            await dial(DialTarget(URL, {}))
        # The loop reports a failed callback in its next iteration.
        for _ in range(3):
            await asyncio.sleep(0)
    assert caplog.records == []


# ------------------------------------------------------------------------------ SOCKS


class SocksProxy:
    """A SOCKS5 proxy (RFC 1928, 1929) that connects every name to this machine."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.user = self.password = b""
        self.port = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, count = await reader.readexactly(2)
        methods = await reader.readexactly(count)
        writer.write(b"\x05\x02" if 2 in methods else b"\x05\x00")
        if 2 in methods:
            _, length = await reader.readexactly(2)
            self.user = await reader.readexactly(length)
            self.password = await reader.readexactly((await reader.readexactly(1))[0])
            writer.write(b"\x01\x00")
        _, _, _, kind = await reader.readexactly(4)
        assert kind == 3, "the proxy resolves the name"
        name = await reader.readexactly((await reader.readexactly(1))[0])
        port = int.from_bytes(await reader.readexactly(2), "big")
        self.names.append(name.decode())
        behind = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(copy(reader, behind[1]))
            tasks.create_task(copy(behind[0], writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(65_536):
            writer.write(piece)
        writer.close()


@asynccontextmanager
async def socks_proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SocksProxy]:
    proxy = SocksProxy()
    async with await asyncio.start_server(proxy.answer, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("ALL_PROXY", f"socks5h://us%40er:word@127.0.0.1:{proxy.port}")
        yield proxy


async def test_a_socks_proxy_carries_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    async def echo(client: Any) -> None:
        await client.send(await client.recv())

    async with serve(echo, "127.0.0.1", 0) as server, socks_proxy(monkeypatch) as proxy:
        port = server.sockets[0].getsockname()[1]
        connection = await dial(DialTarget(f"ws://voice.invalid:{port}/", {}))
        try:
            await connection.send(["hello"])
            assert await anext(aiter(connection)) == "hello"
        finally:
            await connection.close()
        assert (proxy.user, proxy.password) == (b"us@er", b"word")
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://voice.invalid:{port}/")
            assert answer.status_code == httpx.codes.UPGRADE_REQUIRED
    assert proxy.names == ["voice.invalid"] * 2


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_a_proxy_that_does_not_answer_is_named(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{kind}://127.0.0.1:1")
    with pytest.raises(DialFailed, match=r"The proxy set for voice\.invalid does not answer"):
        await dial(DialTarget(URL, {}))


def test_a_socks_proxy_without_its_package_names_the_command() -> None:
    failed = Peer(DialTarget(URL, {})).unreachable(ImportError("python-socks is required"), 1.0)
    assert failed.hint.endswith("pip install 'voicechat[socks]'")
