"""TLS of the server: certificates, wrong files, and the warning without encryption."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path

import pytest
from certificates import certificate
from scripted import TOKEN, check, scripted_server
from websockets.asyncio.client import connect

from voicechat.errors import ServerError, UsageError
from voicechat.server.app import ServeOptions, serve
from voicechat.server.tls import server_context


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    return certificate(tmp_path_factory.mktemp("tls"))


async def test_a_session_and_a_request_over_tls(files: tuple[Path, Path]) -> None:
    chain, key = files
    trusting = ssl.create_default_context(cafile=str(chain))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with scripted_server(tls_cert=chain, tls_key=key) as backend:
        assert backend.app.url.startswith("wss://127.0.0.1:")
        async with connect(
            backend.app.url, ssl=trusting, additional_headers=bearer, proxy=None
        ) as socket:
            assert check(await socket.recv())["type"] == "session.created"
        host = backend.app.url.split("/")[2]
        reader, writer = await asyncio.open_connection(*host.split(":"), ssl=trusting)
        writer.write(f"POST /v1/realtime HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        async with asyncio.timeout(5):
            answer = await reader.read()
        assert answer.split()[1] == b"405"
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "method_not_allowed"
        writer.close()


async def test_half_open_tls_does_not_block_other_clients(files: tuple[Path, Path]) -> None:
    chain, key = files
    trusting = ssl.create_default_context(cafile=str(chain))
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with scripted_server(tls_cert=chain, tls_key=key) as backend:
        host, port = backend.app.url.split("/")[2].split(":")
        slow = [await asyncio.open_connection(host, port) for _ in range(100)]
        for _, writer in slow:
            writer.write(b"\x16\x03\x01\x02\x00\x01")
        async with connect(
            backend.app.url, ssl=trusting, additional_headers=bearer, proxy=None
        ) as socket:
            assert check(await socket.recv())["type"] == "session.created"
        for _, writer in slow:
            writer.transport.abort()


def test_the_key_may_be_in_the_same_file(files: tuple[Path, Path], tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(path.read_bytes() for path in files))
    assert server_context(both, None) is not None


def test_files_that_cannot_be_used_are_a_usage_error(files: tuple[Path, Path]) -> None:
    chain, key = files
    missing = chain.with_name("missing.pem")
    for public, private, words in (
        (None, key, "--tls-cert"),
        (missing, key, "Check --tls-cert"),
        (chain, missing, "Check --tls-key"),
        (chain, None, "no certificate with its private key"),
        (key, chain, "no certificate with its private key"),
        (chain, chain.with_name("encrypted.pem"), "encrypted"),
    ):
        with pytest.raises(UsageError) as refused:
            serve(ServeOptions(port=0, tls_cert=public, tls_key=private))
        assert words in str(refused.value)


def test_remote_access_without_tls_is_reported(
    capsys: pytest.CaptureFixture[str],
    files: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ServerError("This test needs no engines.", "")

    monkeypatch.setattr("voicechat.server.app.create_engines", refuse)
    chain, key = files
    for options, warned in (
        ({"host": "0.0.0.0", "allow_remote": True}, True),
        ({"host": "0.0.0.0", "allow_remote": True, "tls_cert": chain, "tls_key": key}, False),
        ({"host": "127.0.0.1", "allow_remote": True}, False),
    ):
        with pytest.raises(ServerError):
            serve(ServeOptions(port=0, **options))
        warnings = [json.loads(line)["warning"] for line in capsys.readouterr().err.splitlines()]
        assert ["without encryption" in text for text in warnings] == [True] * warned
