"""Wyoming servers for tests: the real `wyoming` package on a free port of this machine."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

with warnings.catch_warnings():
    # wyoming.audio imports audioop where Python still has it.
    warnings.simplefilter("ignore", DeprecationWarning)
    from wyoming.asr import Transcript, TranscriptChunk, TranscriptStart, TranscriptStop
    from wyoming.audio import AudioChunk, AudioStart, AudioStop
    from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info, TtsProgram, TtsVoice
    from wyoming.server import AsyncEventHandler, AsyncTcpServer
    from wyoming.tts import Synthesize, SynthesizeStart, SynthesizeStop, SynthesizeStopped
from wyoming.error import Error
from wyoming.event import Event

SELF = Attribution("tests", "http://localhost")
MODEL = AsrModel("tiny", SELF, True, None, None, ["en"])
VOICE = TtsVoice("joe", SELF, True, None, None, ["en"])


class WyomingStub:
    """One server: what it offers, how it answers, and what it received.

    Set `fails` to "refuse" (closes each connection), "hang", "error", "cut" (ends in the middle),
    "deaf" (ends at the first sound), "chatter" (sends other events only), "nonsense" or "huge".
    """

    def __init__(self, streaming: bool = False) -> None:
        self.streaming = streaming
        self.offers_asr = self.offers_tts = True
        self.fails = ""
        self.texts: list[str] = ["hello"]
        self.chunks: list[str] = []
        self.format = (22_050, 2, 1)
        self.sound = bytes(44_100)
        self.gate = asyncio.Event()
        self.gate.set()
        self.received: list[Event] = []
        self.heard: list[bytes] = []
        self.connections = 0
        self.lost = asyncio.Event()
        """Set when a client drops a connection."""
        self.port = 0
        self._server: Any = None

    @property
    def url(self) -> str:
        return f"wyoming://127.0.0.1:{self.port}"

    @property
    def info(self) -> Info:
        asr = AsrProgram("whisper", SELF, True, None, None, [MODEL], self.streaming)
        tts = TtsProgram("piper", SELF, True, None, None, [VOICE], self.streaming)
        return Info(asr=[asr] if self.offers_asr else [], tts=[tts] if self.offers_tts else [])

    async def start(self) -> None:
        """Listen: on a free port first, later again on the same one."""
        server = AsyncTcpServer("127.0.0.1", self.port)
        await server.start(lambda reader, writer: _Handler(self, reader, writer))
        listening: Any = server._server
        self.port = listening.sockets[0].getsockname()[1]
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None

    def of_type(self, kind: str) -> list[Event]:
        return [event for event in self.received if event.type == kind]


class _Handler(AsyncEventHandler):
    def __init__(self, stub: WyomingStub, *streams: Any) -> None:
        super().__init__(*streams)
        self.stub = stub
        self.sound = bytearray()
        self.streaming = False
        stub.connections += 1

    async def handle_event(self, event: Event) -> bool:
        stub = self.stub
        if stub.fails == "refuse":
            return False
        if stub.fails == "chatter":
            while not self.writer.is_closing():
                await self.write_event(Event("pong"))
        if Describe.is_type(event.type):
            await self.write_event(stub.info.event())
            return True
        stub.received.append(event)
        if AudioChunk.is_type(event.type):
            chunk = AudioChunk.from_event(event)
            assert (chunk.rate, chunk.width, chunk.channels) == (16_000, 2, 1)
            self.sound += chunk.audio
            return stub.fails != "deaf"
        answers: dict[str, Callable[[Event], Awaitable[bool]]] = {
            AudioStop().event().type: self._transcribe,
            Synthesize("").event().type: self._synthesize,
            SynthesizeStart().event().type: self._start,
            SynthesizeStop().event().type: self._stop,
        }
        answer = answers.get(event.type)
        return await answer(event) if answer is not None else True

    async def _failed(self) -> bool:
        """Fail in the scripted way; return True if it did."""
        match self.stub.fails:
            case "hang":
                await self.reader.read()
            case "error":
                await self.write_event(Error("out of\x1b memory").event())
            case "nonsense":
                self.writer.write(b"[1]\n")
                await self.writer.drain()
            case "huge":
                self.writer.write(b'{"type": "audio-chunk", "payload_length": 99999999999}\n')
                await self.writer.drain()
            case "":
                return False
        return True

    async def _transcribe(self, _event: Event) -> bool:
        stub = self.stub
        stub.heard.append(bytes(self.sound))
        if await self._failed():
            return False
        if stub.streaming:
            await self.write_event(TranscriptStart().event())
            for chunk in stub.chunks:
                await self.write_event(TranscriptChunk(chunk).event())
        await stub.gate.wait()
        text = stub.texts.pop(0) if len(stub.texts) > 1 else stub.texts[0]
        await self.write_event(Transcript(text).event())
        if stub.streaming:
            await self.write_event(TranscriptStop().event())
        return False

    async def _start(self, _event: Event) -> bool:
        self.streaming = True
        return True

    async def _synthesize(self, _event: Event) -> bool:
        # A server that streams has the text already; the whole one is for older servers.
        return True if self.streaming else await self._speak()

    async def _stop(self, _event: Event) -> bool:
        alive = await self._speak() and await self._speak()
        await self.write_event(SynthesizeStopped().event())
        return alive

    async def _speak(self) -> bool:
        stub = self.stub
        if stub.fails != "cut" and await self._failed():
            return False
        await self.write_event(AudioStart(*stub.format).event())
        half = len(stub.sound) // 4 * 2
        await self.write_event(AudioChunk(*stub.format, stub.sound[:half]).event())
        if stub.fails == "cut":
            return False
        await stub.gate.wait()
        await self.write_event(AudioChunk(*stub.format, stub.sound[half:]).event())
        await self.write_event(AudioStop().event())
        return True

    async def disconnect(self) -> None:
        self.stub.lost.set()


@asynccontextmanager
async def wyoming_server(streaming: bool = False) -> AsyncIterator[WyomingStub]:
    stub = WyomingStub(streaming)
    await stub.start()
    try:
        yield stub
    finally:
        await stub.stop()
