"""A fake OpenAI Live that is called over WebRTC: `fake_live.Live` with its sound on tracks."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager

import numpy as np
from aiortc import RTCPeerConnection
from aiortc.rtcdatachannel import RTCDataChannel
from fake_calls import Channel, FakeCalls, running, tone
from fake_live import STEP, Live
from http_stub import SeenRequest
from openai.types.live.media_session_config_param import MediaSessionConfigParam

from voicechat.speech.webrtc_audio import IncomingSound, OutgoingSound


class LiveCall(Live):
    """One call. The request has started the session."""

    def __init__(
        self, calls: FakeLiveCalls, channel: Channel, sound: OutgoingSound, incoming: IncomingSound
    ) -> None:
        super().__init__(calls.fake, channel)  # type: ignore[arg-type]
        self.out, self.incoming = sound, incoming
        self.session = calls.sessions[-1]

    async def hold(self) -> None:
        assert self.socket.request is not None
        assert self.socket.request.headers["Authorization"] == "Bearer planted-key"
        assert self.socket.request.path == "/v1/live/sessions"
        await self.send("session.started", session={**self.session, "id": "live_1"})
        listening = asyncio.create_task(self._listen())
        try:
            async for message in self.frames():
                kind = message["type"]
                assert kind != "session.start", "the request starts the session"
                if kind != "session.close":
                    await getattr(self, "on_" + kind.replace(".", "_"))(message)
        finally:
            listening.cancel()

    async def _listen(self) -> None:
        while True:
            block = np.frombuffer(await self.incoming.read(), "<i2")
            # A codec leaves faint noise where silence was.
            await self.hear(np.where(np.abs(block) > 100, block, 0).astype("<i2").tobytes())

    async def step(self) -> None:
        text = self.speech.popleft() if self.speech else None
        times = {"start_ms": self.clock, "end_ms": self.clock + 100}
        self.clock += 100
        if text:
            await self.send("session.output_transcript.delta", delta=text, **times)
        self.out.write(bytes(STEP) if text is None else tone(0.1).astype("<i2").tobytes())


class FakeLiveCalls(FakeCalls):
    """Answers `POST /v1/live/sessions`."""

    def _offer(self, seen: SeenRequest) -> str:
        body = json.loads(seen.body)
        assert body.keys() == {"session", "transport"}
        assert body["transport"].keys() == {"type", "sdp"}
        session = body["session"]
        assert {*session} <= {*MediaSessionConfigParam.__annotations__}
        assert "format" not in session.get("audio", {}), "the connection negotiates the format"
        self.sessions.append(session)
        self.fake.setups.append(session)
        return str(body["transport"]["sdp"])

    async def _answered(self, seen: SeenRequest) -> str:
        sdp = await super()._answered(seen)
        transport = {"type": "webrtc", "sdp": sdp}
        return json.dumps({"session": {"id": "live_1"}, "transport": transport})

    async def _hold(
        self,
        peer: RTCPeerConnection,
        channel: RTCDataChannel,
        seen: SeenRequest,
        sound: OutgoingSound,
    ) -> None:
        assert channel.label == "oai-events"
        call = LiveCall(self, Channel(channel, seen), sound, self._incoming.pop(peer))
        self.fake.sockets.append(call.socket)
        self.network.spoil(peer)
        try:
            await call.hold()
        except AssertionError as breach:
            self.fake.wrong.append(str(breach))
            await peer.close()


def fake_live_calls() -> AbstractAsyncContextManager[FakeLiveCalls]:
    """Run a fake of Live calls until the end of the block."""
    return running(FakeLiveCalls())
