"""The HTTP side of the server: access control and broken clients."""

from __future__ import annotations

import asyncio
import base64
import gc
import inspect
import socket
from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import pytest
from scripted import TOKEN, ScriptedServer, check, scripted_server, silence, tone, until
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from voicechat.cli.serve import serve as serve_command
from voicechat.errors import UsageError
from voicechat.server import send_queue
from voicechat.server.app import ServeOptions, serve
from voicechat.server.engine_protocols import Say
from voicechat.server.realtime.client_shapes import EVENTS

BEARER = {"Authorization": f"Bearer {TOKEN}"}


async def get(backend: ScriptedServer, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """Send a raw HTTP request; return its status and JSON body."""
    host = backend.app.url.split("/")[2]
    reader, writer = await asyncio.open_connection(*host.split(":"))
    fields = {"Host": host, **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    writer.write(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    status, _, body = answer.partition(b"\r\n\r\n")
    return int(status.split()[1]), msgspec.json.decode(body)


UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/healthz", {}, 200),
        ("/v1/models", BEARER, 200),
        ("/v1/models", {}, 401),
        ("/v1/realtime?model=m", UPGRADE, 401),
        (f"/v1/realtime?token={TOKEN}", UPGRADE, 401),
        ("/v1/realtime", {**UPGRADE, "Authorization": "Bearer wrong"}, 401),
        ("/v1/realtime", {**UPGRADE, "Authorization": TOKEN}, 401),
        ("/v1/realtime", {**UPGRADE, "Authorization": f"Basic {TOKEN}"}, 401),
        ("/v1/realtime", {**UPGRADE, "Authorization": "Bearer \xff"}, 401),
        ("/v1/realtime", {**UPGRADE, **BEARER, "Origin": "https://evil.example"}, 403),
        ("/v1/realtime", {**UPGRADE, **BEARER, "Origin": "null"}, 403),
        ("/v1/realtime", {**UPGRADE, **BEARER, "Origin": "http://localhost:1"}, 403),
        ("/v1/realtime", {**UPGRADE, **BEARER, "Host": "evil.example"}, 403),
        ("/v1/realtime", {**UPGRADE, **BEARER, "Host": "127.0.0.1.evil.example:80"}, 403),
        ("/v1/realtime", {**UPGRADE, **BEARER, "Host": "[::1"}, 403),
        ("/v1/realtime", BEARER, 426),
        ("/elsewhere", BEARER, 404),
        ("/", {}, 404),
    ],
)
async def test_access_control(path: str, headers: dict[str, str], status: int) -> None:
    async with scripted_server() as backend:
        found, body = await get(backend, path, **headers)
        assert found == status
        assert ("error" in body) == (status != 200)
        assert TOKEN not in str(body)
        assert backend.app.pipelines == []


async def test_connection_limit_refuses_and_then_accepts_again() -> None:
    async with scripted_server(max_connections=2) as backend:
        sockets = [
            await connect(backend.app.url, additional_headers=BEARER, proxy=None) for _ in "12"
        ]
        with pytest.raises(InvalidStatus) as refused:
            await connect(backend.app.url, additional_headers=BEARER, proxy=None)
        answer = refused.value.response
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
        assert b"Try again later" in answer.body
        assert b"--max-connections" in answer.body
        await sockets[0].close()
        await gone(backend, 1)
        third = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
        assert check(await third.recv())["type"] == "session.created"
        for socket in (sockets[1], third):
            await socket.close()


async def test_twenty_clients_are_answered() -> None:
    async with scripted_server() as backend:
        sockets = [
            await connect(backend.app.url, additional_headers=BEARER, proxy=None) for _ in range(20)
        ]
        for socket in sockets:
            await socket.send(frame("response.create"))
        for socket in sockets:
            async with asyncio.timeout(20):
                while check(await socket.recv())["type"] != "response.done":
                    continue
            await socket.close()


async def test_a_session_without_turn_detection_opens_no_detector() -> None:
    async with scripted_server() as backend:
        backend.stt.texts = ["words"]
        async with connect(backend.app.url, additional_headers=BEARER, proxy=None) as socket:
            manual = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
            await socket.send(frame("session.update", session=manual))
            audio = base64.b64encode(tone(200)).decode()
            await socket.send(frame("input_audio_buffer.append", audio=audio))
            await socket.send(frame("input_audio_buffer.commit"))
            async with asyncio.timeout(20):
                while not check(await socket.recv())["type"].endswith("completed"):
                    continue
            (pipeline,) = backend.app.pipelines
            assert pipeline._detector is None


async def gone(backend: ScriptedServer, left: int = 0) -> None:
    """Wait until this many connections are left."""
    await until(lambda: len(backend.app.pipelines) <= left)


def frame(kind: str, **fields: Any) -> str:
    return msgspec.json.encode({"type": kind, **fields}).decode()


async def test_client_that_disconnects_during_a_response_leaves_nothing_behind() -> None:
    async with scripted_server() as backend:
        backend.assistant.gate.clear()
        before = len(asyncio.all_tasks())
        for _ in range(20):
            socket = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
            audio = base64.b64encode(tone(300)).decode()
            await socket.send(frame("input_audio_buffer.append", audio=audio))
            await socket.send(frame("response.create"))
            async with asyncio.timeout(5):
                while check(await socket.recv())["type"] != "response.created":
                    continue
            socket.transport.abort()
            await socket.wait_closed()
        await gone(backend)
        await until(lambda: backend.assistant.open_replies == backend.tts.open_speeches == 0)
        await until(lambda: not backend.stt.running)
        gc.collect()
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_oversized_frame_closes_with_1009() -> None:
    async with scripted_server() as backend:
        socket = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
        with suppress(ConnectionClosed):
            await socket.send("x" * (17 * 1024 * 1024))
        await socket.wait_closed()
        assert socket.close_code == 1009
        await gone(backend)


async def test_client_that_does_not_read_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_queue, "SEND_SECONDS", 0.2)
    async with scripted_server() as backend:
        backend.assistant.answer = lambda request: (Say("word " * 50) for _ in range(10_000))
        host = backend.app.url.split("/")[2]
        reader, writer = await asyncio.open_connection(*host.split(":"), limit=1024)
        fields = {"Host": host, **UPGRADE, **BEARER}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        writer.write(f"GET /v1/realtime HTTP/1.1\r\n{head}\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        body = frame("response.create").encode()
        writer.write(bytes([0x81, 0x80 | len(body)]) + bytes(4) + body)
        await until(lambda: bool(backend.assistant.requests))
        await gone(backend)
        assert backend.assistant.open_replies == 0
        writer.transport.abort()


async def test_expired_session_is_reported_and_closed() -> None:
    async with scripted_server(session_seconds=0.05) as backend:
        socket = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
        assert check(await socket.recv())["type"] == "session.created"
        assert check(await socket.recv())["error"]["code"] == "session_expired"
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1001


async def test_connections_share_stt_without_mixing_their_words() -> None:
    async with scripted_server() as backend:
        backend.stt.texts = ["first", "second"]
        sockets = [
            await connect(backend.app.url, additional_headers=BEARER, proxy=None) for _ in "12"
        ]
        manual = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        audio = base64.b64encode(tone(200)).decode()
        for socket in sockets:
            await socket.send(frame("session.update", session=manual))
            await socket.send(frame("input_audio_buffer.append", audio=audio))
        for socket in sockets:
            await socket.send(frame("input_audio_buffer.commit"))
            async with asyncio.timeout(5):
                while not (event := check(await socket.recv()))["type"].endswith("completed"):
                    continue
            assert event["transcript"] == ("first" if socket is sockets[0] else "second")
        for socket in sockets:
            await socket.close()
        assert [round(size / 32) for size in backend.stt.heard] == [200, 200]


async def test_announcements_wait_for_a_connection() -> None:
    async with scripted_server() as backend:
        backend.assistant.on_announcement("Your timer rings.")
        socket = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
        async with asyncio.timeout(5):
            while (event := check(await socket.recv()))["type"] != "response.done":
                continue
        assert "timer" in str(event)
        await socket.close()


async def test_long_append_does_not_block_other_connections() -> None:
    async with scripted_server() as backend:
        one, two = [
            await connect(backend.app.url, additional_headers=BEARER, proxy=None) for _ in "12"
        ]
        audio = base64.b64encode(silence(60_000)).decode()
        await one.send(frame("input_audio_buffer.append", audio=audio))
        await one.send(frame("input_audio_buffer.clear"))
        await two.send(frame("response.create"))
        async with asyncio.timeout(5):
            while check(await two.recv())["type"] != "response.done":
                continue
            while check(await one.recv())["type"] != "input_audio_buffer.cleared":
                continue
        await one.close()
        await two.close()


async def test_half_open_handshakes_do_not_block_new_connections() -> None:
    async with scripted_server() as backend:
        host, port = backend.app.url.split("/")[2].split(":")
        slow = [await asyncio.open_connection(host, port) for _ in range(200)]
        for _, writer in slow:
            writer.write(b"GET /v1/realtime HTTP/1.1\r\nX-Slow: ")
        socket = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
        assert check(await socket.recv())["type"] == "session.created"
        await socket.close()
        for _, writer in slow:
            writer.transport.abort()


async def test_sessions_live_on_without_file_descriptors(caplog: pytest.LogCaptureFixture) -> None:
    resource = pytest.importorskip("resource", reason="limits are of POSIX")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with scripted_server() as backend:
        living = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
        host, port = backend.app.url.split("/")[2].split(":")
        with socket.socket() as client:  # has the lowest free descriptor
            client.setblocking(False)
            resource.setrlimit(resource.RLIMIT_NOFILE, (client.fileno() + 1, limits[1]))
            try:
                client.connect_ex((host, int(port)))
                await until(lambda: "out of system resource" in caplog.text)
                await living.send(frame("response.create"))
                async with asyncio.timeout(20):
                    while check(await living.recv())["type"] != "response.done":
                        continue
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        await living.close()


@pytest.mark.parametrize("seed", range(3))
async def test_no_sequence_of_frames_ends_a_connection(seed: int) -> None:
    chance = Random(seed)
    words = [
        "root",
        "none",
        "auto",
        "text",
        "audio",
        "realtime",
        "message",
        "user",
        None,
        7,
        [],
        {},
    ]
    names = ["session", "item", "response", "audio", "type", "role", "content", "input", "id"]

    def random_object(depth: int) -> Any:
        if depth == 0:
            return chance.choice(words)
        return {chance.choice(names): random_object(chance.randrange(depth)) for _ in range(3)}

    sounds = [base64.b64encode(part).decode() for part in (tone(90), silence(300), tone(1), b"x")]
    async with scripted_server() as backend:
        socket = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
        for _ in range(300):
            fields = {**random_object(3), "type": chance.choice(sorted(EVENTS))}
            if chance.random() < 0.7:
                fields["audio"] = chance.choice(sounds)
            await socket.send(msgspec.json.encode(fields), text=True)
        # A random update may have been valid, too; only this one has these instructions.
        last = {"type": "realtime", "instructions": "after all other frames"}
        await socket.send(frame("session.update", session=last))
        async with asyncio.timeout(10):
            while (
                check(await socket.recv()).get("session", {}).get("instructions")
                != (last["instructions"])
            ):
                continue
        await socket.close()


def test_unknown_voice_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nobody"):
        serve(ServeOptions(port=0, voice="nobody"))


def test_remote_access_needs_an_option() -> None:
    with pytest.raises(UsageError):
        serve(ServeOptions(host="0.0.0.0", port=0))


def test_the_default_port_is_not_the_one_of_another_realtime_server() -> None:
    """The defaults of speaches and vLLM, of LocalAI, and of Hugging Face speech-to-speech."""
    (port,) = {ServeOptions().port, inspect.signature(serve_command).parameters["port"].default}
    assert port not in {8000, 8080, 8765}
