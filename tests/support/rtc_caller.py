"""A caller over WebRTC: aiortc with the few lines of OpenAI's guide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from httpx import AsyncClient, Response
from scripted import TOKEN, check, until

from voicechat.speech.webrtc_audio import IncomingSound, OutgoingSound

RATE = 24_000


class RtcCaller:
    """One side of a call: its events, its microphone and what it hears."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.microphone = OutgoingSound(RATE, limit_s=60)
        transceiver = self.connection.addTransceiver(self.microphone.track, "sendrecv")
        self.speaker = IncomingSound(transceiver.receiver, RATE)
        self.channel = self.connection.createDataChannel("oai-events")
        self.channel.on("message", self._take)
        self.events: list[dict[str, Any]] = []
        self.heard = bytearray()
        self._listening: asyncio.Task[None] | None = None

    def _take(self, frame: str) -> None:
        self.events.append(check(frame))

    async def offer(self) -> str:
        await self.connection.setLocalDescription()
        return str(self.connection.localDescription.sdp)

    async def accept(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        while True:
            self.heard += await self.speaker.read()

    @property
    def loudness(self) -> int:
        """The largest sample heard."""
        return _largest(self.heard)

    @property
    def is_quiet(self) -> bool:
        """True if nothing was heard in the last 200 ms."""
        return _largest(self.heard[-RATE * 2 // 5 :]) < 200

    def send(self, kind: str, **fields: Any) -> None:
        self.channel.send(msgspec.json.encode({"type": kind, **fields}).decode())

    def find(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind so far."""
        return [event for event in self.events if event["type"] == kind]

    @property
    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    async def event(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for an event; return the latest."""
        await until(lambda: len(self.find(kind)) >= count)
        return self.find(kind)[-1]

    async def close(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
        await self.connection.close()


def _largest(pcm: bytearray) -> int:
    return int(np.abs(np.frombuffer(bytes(pcm), "<i2").astype(int)).max(initial=0))


def calls_url(app_url: str, rest: str = "") -> str:
    return app_url.replace("ws", "http", 1) + "/calls" + rest


async def post_offer(app_url: str, offer: str, token: str = TOKEN, **more: Any) -> Response:
    """Send an offer as `application/sdp`."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
    async with AsyncClient(trust_env=False, verify=False) as client:
        return await client.post(calls_url(app_url), content=offer, headers=headers, **more)


@asynccontextmanager
async def rtc_call(app_url: str, token: str = TOKEN) -> AsyncIterator[RtcCaller]:
    """Call a server; yield the caller when its channel is open and the session exists."""
    caller = RtcCaller()
    try:
        answer = await post_offer(app_url, await caller.offer(), token)
        assert answer.status_code == 201, answer.text
        await caller.accept(answer.text)
        await caller.event("session.created")
        yield caller
    finally:
        await caller.close()
