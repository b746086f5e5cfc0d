"""A fake OpenAI that is called over WebRTC: aiortc as the provider's side, on loopback.

A call answers like `fake_openai.OpenAI`; its sound is Opus over RTP instead of JSON. Every reply
is a tone. `network` makes the way to the client lossy; `wrong` lists the protocol violations.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtcdatachannel import RTCDataChannel
from fake_openai import OpenAI
from fake_wires import Fake
from http_stub import HttpStub, SeenRequest

from voicechat.speech.pcm import Samples, rms
from voicechat.speech.webrtc_audio import IncomingSound, OutgoingSound

RATE = 24_000
VOICE = 500.0
"""RMS from which a block is speech."""
PAUSE_BLOCKS = 15
"""Blocks of silence, 20 ms each, that end a turn."""


def tone(seconds: float, pitch: float = 440.0) -> Samples:
    """Return a tone at 24 kHz."""
    axis = np.arange(int(seconds * RATE)) / RATE
    return (9_000 * np.sin(2 * np.pi * pitch * axis)).astype(np.int16)


@dataclass
class Network:
    """The way from the provider to the client."""

    loss: float = 0.0
    """Share of packets that are lost."""
    jitter_s: float = 0.0
    """Each packet is delayed by 0 to this many seconds."""
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def spoil(self, peer: RTCPeerConnection) -> None:
        """Lose and delay the packets that a connected peer sends."""
        path = peer.getTransceivers()[0].sender.transport.transport
        send = path._send

        async def lossy(data: bytes) -> None:
            if self.random.random() < self.loss:
                return
            await asyncio.sleep(self.random.random() * self.jitter_s)
            with suppress(ConnectionError):
                await send(data)

        async def soon(data: bytes) -> None:
            late.add(task := asyncio.ensure_future(lossy(data)))
            task.add_done_callback(late.discard)

        late: set[asyncio.Future[None]] = set()
        path._send = soon if self.loss or self.jitter_s else send


class Channel:
    """A data channel in the place of a socket."""

    def __init__(self, channel: RTCDataChannel, request: SeenRequest) -> None:
        self.request = SimpleNamespace(path=request.line.split()[1], headers=request.headers)
        self.subprotocol = None
        self._channel = channel
        self._queue: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        channel.on("message", self._queue.put_nowait)
        channel.on("close", lambda: self._queue.put_nowait(None))

    async def send(self, frame: str) -> None:
        if self._channel.readyState == "open":
            self._channel.send(frame)

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (frame := await self._queue.get()) is not None:
            yield frame


class HearingOpenAI(OpenAI):
    """A connection that detects turns in what it hears: speech, then a pause."""

    turns: list[str]
    """What the next spoken turns mean; then "spoken words"."""
    interrupts = True
    """Speech interrupts replies."""
    _quiet = _blocks = 0

    async def hear(self, block: Samples) -> None:
        """Take 20 ms of the microphone."""
        level = rms(block)
        self._blocks += 1
        self._quiet = 0 if level > VOICE else self._quiet + 1
        if not self.spoken and not self._quiet:
            self.spoken = self.id("item")
            where = {"item_id": self.spoken}
            await self.send(
                "input_audio_buffer.speech_started", **where, audio_start_ms=20 * self._blocks
            )
            if self.interrupts:
                await self.interrupt()
        elif self.spoken and self._quiet >= PAUSE_BLOCKS:
            ended_ms = 20 * (self._blocks - PAUSE_BLOCKS)
            where = {"item_id": self.spoken}
            await self.send("input_audio_buffer.speech_stopped", **where, audio_end_ms=ended_ms)
            await self.commit()
            await self.reply()

    async def interrupt(self) -> None:
        """End the response because the user speaks."""
        await self.end("cancelled", "turn_detected")

    async def commit(self) -> None:
        await super().commit()
        if self.turns:
            self.last = self.turns.pop(0)


class Call(HearingOpenAI):
    """One call."""

    path = "/v1/realtime/calls"

    def __init__(
        self, calls: FakeCalls, peer: RTCPeerConnection, channel: Channel, sound: OutgoingSound
    ) -> None:
        super().__init__(calls.fake, channel)  # type: ignore[arg-type]
        self.calls_server, self.peer, self.out = calls, peer, sound
        self.turns, self.interrupts = calls.turns, calls.interrupts
        self.incoming: IncomingSound | None = None
        self.sounding: dict[str, Any] = {}
        """The response whose sound is being sent."""
        self.sent_ms: dict[str, float] = {}
        """Sound that was sent, by item."""
        self.truncated: list[tuple[str, int]] = []
        self.refused: list[tuple[str, int]] = []
        """Truncations to more than was sent."""
        self.cleared: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.loud: list[float] = []
        """Levels of the blocks received from the microphone."""

    async def hold(self) -> None:
        """Serve the call until it ends."""
        self.tasks.append(asyncio.create_task(self._listen()))
        try:
            await super().hold()
        finally:
            for task in self.tasks:
                task.cancel()

    def detection(self, session: dict[str, Any]) -> object:
        """The connection negotiates the formats, so the session names none."""
        for side in session["audio"].values():
            assert "format" not in side, "formats over WebRTC"
        return super().detection(session)

    # ------------------------------------------------------------------ the microphone

    async def _listen(self) -> None:
        assert self.incoming is not None
        while True:
            block = np.frombuffer(await self.incoming.read(), "<i2")
            self.sound += len(block) * 2
            self.fake.heard += len(block) * 2
            self.loud.append(rms(block))
            self.fake.news.set()
            if not self.manual:
                await self.hear(block)

    async def interrupt(self) -> None:
        await super().interrupt()
        await self._clear()

    # ------------------------------------------------------------------ the voice

    async def speak(self) -> None:
        response_id = self.running["id"]
        where: dict[str, Any] = {"response_id": response_id, "output_index": 0}
        item: dict[str, Any] = {"id": self.id("item"), "type": "message", "role": "assistant"}
        of_part: dict[str, Any] = {**where, "item_id": item["id"], "content_index": 0}
        is_story = "story" in self.last
        text = "So it is." if self.last == "results" else f"You said {self.last}."
        text = "Once upon a time" if is_story else text
        spoken = "response.output_audio_transcript"
        await self.send("response.output_item.added", **where, item={**item, "content": []})
        await self.send(f"{spoken}.delta", **of_part, delta=text)
        self.items.add(item["id"])
        self.sounding = {"response_id": response_id, "item_id": item["id"]}
        self._sent_before = self.out.sent_s
        seconds = 20.0 if is_story else self.calls_server.reply_s
        self.out.write(tone(seconds).astype("<i2").tobytes())
        if self.calls_server.reports:
            await self.send("output_audio_buffer.started", response_id=response_id)
        self.tasks.append(asyncio.create_task(self._sent(dict(self.sounding))))
        if is_story:
            if self.calls_server.streams_words:
                self.tasks.append(asyncio.create_task(self._more_words(of_part)))
            return
        await self.send("response.output_audio.done", **of_part)
        await self.send(f"{spoken}.done", **of_part, transcript=text)
        await self.message_done(where, item, text)

    async def _more_words(self, of_part: dict[str, Any]) -> None:
        sounding = dict(self.sounding)
        while self.sounding == sounding:
            await asyncio.sleep(0.1)
            await self.send("response.output_audio_transcript.delta", **of_part, delta=" and so")

    async def _sent(self, sounding: dict[str, Any]) -> None:
        """Report the end of the sound when the last of it was sent."""
        await self.out.empty.wait()
        if self.sounding == sounding:
            self._note_sent()
            self.sounding = {}
            if self.calls_server.reports:
                response_id = sounding["response_id"]
                await self.send("output_audio_buffer.stopped", response_id=response_id)

    def _note_sent(self) -> None:
        self.sent_ms[self.sounding["item_id"]] = (self.out.sent_s - self._sent_before) * 1000

    async def _clear(self) -> None:
        if not self.sounding:
            return
        self._note_sent()
        sounding, self.sounding = self.sounding, {}
        self.out.clear()
        self.cleared.append(sounding["response_id"])
        if self.calls_server.reports:
            await self.send("output_audio_buffer.cleared", response_id=sounding["response_id"])

    async def on_output_audio_buffer_clear(self, said: dict[str, Any]) -> None:
        await self._clear()

    async def on_conversation_item_truncate(self, said: dict[str, Any]) -> None:
        item_id, ms = said["item_id"], said["audio_end_ms"]
        assert item_id in self.sent_ms, "an item whose sound was not cleared"
        assert ms > 0, "nothing was heard"
        if ms > self.sent_ms[item_id] + 40:
            # When the event of an interruption was lost, the client hears the silence after it.
            self.refused.append((item_id, ms))
            message = (
                f"Audio content of {self.sent_ms[item_id]:.0f}ms is already shorter than {ms}ms"
            )
            error = {"type": "invalid_request_error", "message": message}
            await self.send("error", error={**error, "event_id": said["event_id"]})
            return
        self.truncated.append((item_id, ms))
        await self.send(
            "conversation.item.truncated", item_id=item_id, content_index=0, audio_end_ms=ms
        )


class FakeCalls(HttpStub):
    """Answers `POST /v1/realtime/calls`, both body shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = Fake()
        self.calls: list[Call] = []
        self.network = Network()
        self.interrupts = True
        """The server's turn detection interrupts its replies."""
        self.reports = True
        """The server reports the state of its buffer."""
        self.streams_words = False
        """More words of a story come every 100 ms, as real providers send them."""
        self.reply_s = 0.4
        self.turns: list[str] = []
        """What the next spoken turns mean; then "spoken words"."""
        self.sessions: list[dict[str, Any]] = []
        """Sessions that came with the offers."""
        self.refuse: tuple[int, bytes] | None = None
        """Status and body instead of an answer."""
        self._peers: list[RTCPeerConnection] = []
        self._incoming: dict[RTCPeerConnection, IncomingSound] = {}
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def call(self) -> Call:
        """The newest call."""
        return self.calls[-1]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (f.partition(": ") for f in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        headers["Authorization"] = headers.get("authorization", "")
        seen = SeenRequest(line, headers, body)
        self.seen.append(seen)
        if line.startswith("GET"):
            # The handshake of a WebSocket whose headers a proxy has dropped.
            writer.write(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n")
            return False
        status, content = self.refuse or (201, (await self._answered(seen)).encode())
        extra = f"Content-Type: application/sdp\r\nDate: {formatdate(usegmt=True)}\r\n"
        where = "Location: /v1/realtime/calls/rtc_1\r\n"
        writer.write(f"HTTP/1.1 {status} X\r\n{extra}{where}".encode())
        writer.write(f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
        return True

    async def _answered(self, seen: SeenRequest) -> str:
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.append(peer)
        sound = OutgoingSound(RATE, limit_s=30)

        @peer.on("datachannel")
        def opened(channel: RTCDataChannel) -> None:
            self._tasks.append(asyncio.create_task(self._hold(peer, channel, seen, sound)))

        await peer.setRemoteDescription(RTCSessionDescription(self._offer(seen), "offer"))
        self._incoming[peer] = IncomingSound(peer.getReceivers()[0], RATE)
        peer.addTrack(sound.track)
        await peer.setLocalDescription(await peer.createAnswer())
        return str(peer.localDescription.sdp)

    def _offer(self, seen: SeenRequest) -> str:
        kind = seen.headers["content-type"]
        if kind == "application/sdp":
            return seen.body.decode()
        boundary = kind.partition("boundary=")[2].encode()
        parts = seen.body.split(b"--" + boundary)[1:-1]
        found = dict(_part(part) for part in parts)
        self.sessions.append(json.loads(found["session"]))
        return found["sdp"].decode()

    async def _hold(
        self,
        peer: RTCPeerConnection,
        channel: RTCDataChannel,
        seen: SeenRequest,
        sound: OutgoingSound,
    ) -> None:
        assert channel.label == "oai-events"
        call = Call(self, peer, Channel(channel, seen), sound)
        call.incoming = self._incoming.pop(peer)
        self.fake.sockets.append(call.socket)
        self.calls.append(call)
        self.network.spoil(peer)
        self.fake.news.set()
        try:
            await call.hold()
        except AssertionError as breach:
            self.fake.wrong.append(str(breach))
            await peer.close()

    async def close(self) -> None:
        """End all calls."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(
            *self._tasks, *(peer.close() for peer in self._peers), return_exceptions=True
        )


def _part(part: bytes) -> tuple[str, bytes]:
    """Return name and content of a part of a form."""
    head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
    name = head.decode().partition('name="')[2].partition('"')[0]
    return name, content.removesuffix(b"\r\n")


Calls = TypeVar("Calls", bound=FakeCalls)


@asynccontextmanager
async def running(calls: Calls) -> AsyncIterator[Calls]:
    """Run a fake until the end of the block; fail if the protocol was violated."""
    server = await asyncio.start_server(calls.serve, "127.0.0.1", 0)
    calls.port = calls.fake.port = server.sockets[0].getsockname()[1]
    try:
        yield calls
    finally:
        server.close()
        await calls.close()
    assert calls.fake.wrong == []


def fake_calls() -> AbstractAsyncContextManager[FakeCalls]:
    """Run a fake of realtime calls until the end of the block."""
    return running(FakeCalls())
