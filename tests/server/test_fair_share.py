"""Clients that misbehave cost other clients no more than their fair share."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec
import pytest
from scripted import TOKEN, ScriptedServer, check, scripted_server, tone, until
from websockets.asyncio.client import ClientConnection, connect

from voicechat.server import fair_share
from voicechat.server.access import AccessCheck
from voicechat.server.fair_share import Allowance, FairShare
from voicechat.server.realtime.server_frames import sound_text
from voicechat.server.realtime.server_protocol import ServerProtocol

BEARER = {"Authorization": f"Bearer {TOKEN}"}
TEXT = {"conversation": "none", "output_modalities": ["text"], "input": []}


def frame(kind: str, **fields: Any) -> str:
    return msgspec.json.encode({"type": kind, **fields}).decode()


async def opened(backend: ScriptedServer) -> ClientConnection:
    """Open a session, and read its first event."""
    client = await connect(backend.app.url, additional_headers=BEARER, proxy=None)
    assert check(await client.recv())["type"] == "session.created"
    return client


async def ask(client: ClientConnection) -> None:
    """Wait for the answer to a request."""
    await client.send(frame("response.create", response=TEXT))
    async with asyncio.timeout(10):
        while check(await client.recv())["type"] != "response.done":
            continue


async def test_broken_events_of_one_client_do_not_hold_up_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fair_share, "EVENTS", 8.0)
    seen: list[ServerProtocol] = []
    receive = ServerProtocol.receive

    def counted(protocol: ServerProtocol, raw: str | bytes) -> Any:
        seen.append(protocol)
        return receive(protocol, raw)

    monkeypatch.setattr(ServerProtocol, "receive", counted)
    async with scripted_server() as backend:
        attacker, honest = await opened(backend), await opened(backend)
        attacker.transport.write(b"\x81\x82\x00\x00\x00\x00{}" * 20_000)
        await until(lambda: len(seen) > 8)
        before = len(seen)
        await ask(honest)
        handled = len(seen) - before
        # A turn of the event loop handles a few of them, however many have arrived.
        assert handled < 200
        attacker.transport.abort()
        honest.transport.abort()


async def test_many_handshakes_at_once_do_not_hold_up_a_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handshakes: list[str] = []
    check_handshake = AccessCheck.open

    def counted(access: AccessCheck, path: str, *rest: Any) -> Any:
        handshakes.append(path)
        return check_handshake(access, path, *rest)

    monkeypatch.setattr(AccessCheck, "open", counted)
    monkeypatch.setattr(fair_share, "OPENINGS", 2.0)
    async with scripted_server() as backend:
        honest = await opened(backend)
        host, port = backend.app.url.split("/")[2].split(":")
        fields = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13")
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
        head = (f"Host: {host}:{port}", f"Authorization: Bearer {TOKEN}", *fields, key)
        request = "\r\n".join(("GET /v1/realtime HTTP/1.1", *head, "", "")).encode()
        others = [socket.create_connection((host, int(port))) for _ in range(90)]
        for one in others:
            one.sendall(request)
        await ask(honest)
        assert len(handshakes) < 60
        await until(lambda: len(handshakes) == 91)
        for one in others:
            one.close()
        honest.transport.abort()


async def test_sound_is_no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    paid: list[float] = []

    async def pay(_: FairShare, seconds: float) -> None:
        paid.append(seconds)

    monkeypatch.setattr(fair_share, "EVENTS", 2.0)
    monkeypatch.setattr(fair_share, "PER_SECOND", 0.0)
    monkeypatch.setattr(FairShare, "pay", pay)
    async with scripted_server() as backend:
        client = await opened(backend)
        for _ in range(20):
            await client.send(frame("input_audio_buffer.append", audio=sound_text(tone(20))))
        for _ in range(5):
            await client.send(frame("input_audio_buffer.append", audio="AAA="))
        await until(lambda: len(paid) == 3)
        client.transport.abort()


def test_the_allowance_grows_with_time() -> None:
    now = [5.0]
    allowance = Allowance(2.0, 10.0, lambda: now[0])
    assert [allowance.take() for _ in range(3)] == [True, True, False]
    now[0] = 5.15
    assert [allowance.take() for _ in range(2)] == [True, False]
    now[0] = 99.0
    assert [allowance.take() for _ in range(3)] == [True, True, False]
