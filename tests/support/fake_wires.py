"""Scripted servers of Gemini Live and the AI Gateway on loopback, as strict as the real ones.

Both behave alike: "both" in a line calls a tool twice, "time" calls it once, "story" starts a
reply that only an interruption ends, and every other line is repeated. "first tool" calls the first
declared tool of Gemini without arguments. `wrong` lists the protocol violations; a test checks that
it is empty.
"""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from google.genai import types
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

SOUND = b64encode(bytes(2400)).decode()
"""50 ms at 24 kHz."""


@dataclass
class Fake:
    """A record of what one fake server received."""

    port: int = 0
    setups: list[dict[str, Any]] = field(default_factory=list)
    history: list[tuple[str, str]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    heard: int = 0
    """Bytes of audio."""
    pictures: list[str] = field(default_factory=list)
    instructions: list[str] = field(default_factory=list)
    """Instructions in force on each connection of Gemini."""
    said: list[str] = field(default_factory=list)
    """Texts that the client added for the voice of a continuous session."""
    wrong: list[str] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    """Set after every message to a continuous session."""
    sockets: list[ServerConnection] = field(default_factory=list)
    wants_key: bool = True
    """False if the test checks credentials itself."""

    async def until(self, reached: Callable[[], bool]) -> None:
        """Wait until the condition is true; it is checked after every message."""
        async with asyncio.timeout(15):
            while not reached():
                self.news.clear()
                await self.news.wait()


@asynccontextmanager
async def running(talk: Callable[[Fake, ServerConnection], Any]) -> AsyncIterator[Fake]:
    """Serve each connection with `talk`."""
    fake = Fake()

    async def accept(socket: ServerConnection) -> None:
        fake.sockets.append(socket)
        try:
            with suppress(ConnectionClosed):
                await talk(fake, socket)
        except AssertionError as breach:
            fake.wrong.append(str(breach))
            await socket.close(1007, "Request contains an invalid argument.")

    server: Server
    async with serve(accept, "127.0.0.1", 0) as server:
        fake.port = next(iter(server.sockets)).getsockname()[1]
        yield fake


def calls_of(text: str) -> int:
    """Return how many calls a line causes; a reported call was made already."""
    if "(The tool " in text:
        return 0
    return 2 if "both" in text else 1 if "time" in text else 0


# --------------------------------------------------------------------------- Gemini Live


class Gemini:
    """One connection of the fake Gemini Live."""

    def __init__(self, fake: Fake, socket: ServerConnection) -> None:
        self.fake, self.socket = fake, socket
        self.setup: dict[str, Any] = {}
        self.seeding = self.active = self.telling = False
        self.sound = self.handles = 0
        self.calls: set[str] = set()
        self.cancelled: set[str] = set()
        self.number = 1000 * len(fake.sockets)

    @property
    def thinks(self) -> bool:
        return "extended-thinking" in self.setup["model"]

    @property
    def declared(self) -> list[dict[str, Any]]:
        return [
            each for group in self.setup.get("tools", ()) for each in group["functionDeclarations"]
        ]

    def check_setup(self) -> None:
        """Check what the server refuses, but the package's types permit."""
        level = self.setup["generationConfig"].get("thinkingConfig", {}).get("thinkingLevel")
        assert level in ({"LOW", "MEDIUM", "HIGH"} if self.thinks else {None}), "thinking level"
        for function in self.declared:
            name, behavior = function["name"], function.get("behavior")
            assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}", name), f"name {name}"
            assert behavior == "NON_BLOCKING" or not self.thinks, "behavior"
            assert "additionalProperties" not in json.dumps(function.get("parameters")), "schema"

    async def send(self, **message: object) -> None:
        # The real server sends its JSON in binary frames.
        await self.socket.send(json.dumps(message).encode())

    async def content(self, **facts: object) -> None:
        await self.send(serverContent=facts)

    async def hold(self) -> None:
        first = json.loads(await self.socket.recv())
        assert list(first) == ["setup"], "setup comes first"
        self.setup = first["setup"]
        self.fake.setups.append(self.setup)
        config = {**self.setup}
        types.RealtimeInputConfig.model_validate(config.pop("realtimeInputConfig", {}))
        types.LiveClientMessage.model_validate({"setup": config})
        self.check_setup()
        self.instruct()
        self.seeding = "historyConfig" in self.setup
        await self.send(setupComplete={})
        await self.resumable()
        async for frame in self.socket:
            message = json.loads(frame)
            assert len(message) == 1, "one key in a frame"
            assert "setup" not in message, "setup comes once"
            types.LiveClientMessage.model_validate(message)
            ((key, said),) = message.items()
            await getattr(self, f"on_{key}")(said)

    def instruct(self) -> None:
        """Note the instructions in force: a resumed session keeps those it began with."""
        parts = self.setup.get("systemInstruction", {}).get("parts", [])
        is_resumed = "handle" in self.setup.get("sessionResumption", {})
        kept = self.fake.instructions[-1] if is_resumed else "".join(p["text"] for p in parts)
        self.fake.instructions.append(kept)

    async def resumable(self) -> None:
        """Offer a handle to resume the conversation."""
        if self.setup.get("sessionResumption") is not None:
            self.handles += 1
            handle = f"handle-{self.handles}"
            await self.send(sessionResumptionUpdate={"newHandle": handle, "resumable": True})

    @property
    def takes_content(self) -> bool:
        return "gemini-3.1" not in self.setup["model"] or self.seeding

    async def on_contextUpdate(self, said: dict[str, Any]) -> None:
        assert self.takes_content, "Request contains an invalid argument."
        self.setup |= said

    async def on_clientContent(self, said: dict[str, Any]) -> None:
        assert self.takes_content, "Request contains an invalid argument."
        await self.interrupt()
        for turn in said.get("turns", []):
            text = "".join(part.get("text", "") for part in turn["parts"])
            self.fake.history.append((turn["role"], text))
            blobs = [part["inlineData"] for part in turn["parts"] if "inlineData" in part]
            self.fake.pictures += [f"data:{b['mimeType']};base64,{b['data']}" for b in blobs]
        if said.get("turnComplete"):
            if self.seeding:
                self.seeding = False
            else:
                await self.answer(self.fake.history[-1][1])

    async def on_realtimeInput(self, said: dict[str, Any]) -> None:
        assert not self.seeding, "history has not ended"
        manual = self.setup["realtimeInputConfig"]["automaticActivityDetection"]["disabled"]
        if "text" in said:
            await self.interrupt()
            await self.answer(said["text"])
        elif "audio" in said:
            assert said["audio"]["mimeType"] == "audio/pcm;rate=16000"
            assert self.active or not manual, "sound outside of an activity"
            self.sound += len(b64decode(said["audio"]["data"]))
            self.fake.heard += len(b64decode(said["audio"]["data"]))
            if not manual and self.sound >= 32_000:
                await self.spoken("spoken words")
        elif "activityStart" in said:
            assert manual, "activity is found by itself"
            self.active = True
            await self.interrupt()
        elif "activityEnd" in said:
            assert self.active, "no activity to end"
            self.active = False
            await self.spoken("spoken words")

    async def on_toolResponse(self, said: dict[str, Any]) -> None:
        for result in said["functionResponses"]:
            assert isinstance(result["response"], dict), "a result is an object"
            assert "scheduling" not in result, "scheduling is not supported for this model"
            assert result["id"] in self.calls | self.cancelled, "nobody asked"
            self.calls.discard(result["id"])
            self.fake.results.append(result["response"])
        if not self.calls and result["id"] not in self.cancelled:
            await self.say("So it is.")

    async def spoken(self, text: str) -> None:
        self.sound = 0
        await self.interrupt()
        half = len(text) // 2
        await self.content(inputTranscription={"text": text[:half]})
        await self.content(inputTranscription={"text": text[half:]})
        await self.answer(text)

    async def interrupt(self) -> None:
        if self.telling:
            self.telling = False
            await self.content(interrupted=True)
            await self.content(turnComplete=True)

    async def answer(self, text: str) -> None:
        if not self.thinks:
            # Input cancels blocking calls; the server does not say so.
            self.cancelled |= self.calls
            self.calls.clear()
        await self.content(modelTurn={"parts": [{"text": "**Thinking**", "thought": True}]})
        if "first tool" in text and "(The tool " not in text:
            self.number += 1
            self.calls.add(f"call-{self.number}")
            call = {"id": f"call-{self.number}", "name": self.declared[0]["name"], "args": {}}
            await self.send(toolCall={"functionCalls": [call]})
        elif calls := calls_of(text):
            made = []
            for _ in range(calls):
                self.number += 1
                self.calls.add(f"call-{self.number}")
                zone = {"zone": "Asia/Tokyo"}
                made.append({"id": f"call-{self.number}", "name": "current_time", "args": zone})
            await self.send(toolCall={"functionCalls": made})
        elif "story" in text:
            self.telling = True
            await self.piece("Once upon a time")
        else:
            await self.say(f"You said {text}.")

    async def piece(self, text: str) -> None:
        blob = {"mimeType": "audio/pcm;rate=24000", "data": SOUND}
        await self.content(outputTranscription={"text": text})
        await self.content(modelTurn={"parts": [{"inlineData": blob}]})

    async def say(self, text: str) -> None:
        head, _, tail = text.partition(" ")
        await self.piece(head)
        await self.piece(f" {tail}")
        await self.content(generationComplete=True)
        usage = {"promptTokenCount": 10, "responseTokenCount": 5, "totalTokenCount": 15}
        await self.send(serverContent={"turnComplete": True}, usageMetadata=usage)
        await self.resumable()


async def gemini(fake: Fake, socket: ServerConnection) -> None:
    """Serve one connection as Gemini Live does."""
    await Gemini(fake, socket).hold()


# --------------------------------------------------------------------------- AI Gateway


class Gateway:
    """One connection of the fake gateway, with a model of OpenAI behind it."""

    def __init__(self, fake: Fake, socket: ServerConnection) -> None:
        self.fake, self.socket = fake, socket
        self.number = 1000 * len(fake.sockets)
        self.running = ""
        self.last = ""
        self.calls: set[str] = set()
        self.sound = 0
        self.spoken = ""
        """The item of the turn being spoken."""

    async def send(self, kind: str, **fields: object) -> None:
        await self.socket.send(json.dumps({"type": kind, **fields, "raw": {}}))

    def id(self, kind: str) -> str:
        self.number += 1
        return f"{kind}_{self.number}"

    async def hold(self) -> None:
        if self.fake.wants_key:
            self.look()
        first = json.loads(await self.socket.recv())
        assert first["type"] == "session-update", "the configuration comes first"
        self.fake.setups.append(first["config"])
        await self.send("session-created", sessionId="s")
        await self.send("session-updated")
        async for frame in self.socket:
            assert isinstance(frame, str), "text frames"
            said = json.loads(frame)
            await getattr(self, "on_" + said.pop("type").replace("-", "_"))(**said)

    def look(self) -> None:
        request = self.socket.request
        assert request is not None
        assert request.headers["Authorization"] == "Bearer planted-key"
        assert request.headers["ai-gateway-protocol-version"] == "0.0.1"
        assert not self.socket.subprotocol, "a header and a subprotocol"

    async def on_session_update(self, config: dict[str, Any], eventId: str = "") -> None:
        self.fake.setups.append(config)
        await self.send("session-updated")

    async def on_input_audio_append(self, audio: str) -> None:
        self.sound += len(b64decode(audio))
        self.fake.heard += len(b64decode(audio))
        if self.fake.setups[-1]["turnDetection"]["type"] == "disabled":
            return
        if not self.spoken:
            self.spoken = self.id("item")
            await self.send("speech-started", itemId=self.spoken)
            await self.on_response_cancel()
        if self.sound >= 48_000:
            await self.send("speech-stopped", itemId=self.spoken)
            await self.on_input_audio_commit()
            await self.on_response_create()

    async def on_input_audio_clear(self) -> None:
        self.sound = 0

    async def on_input_audio_commit(self) -> None:
        assert self.sound, "an empty buffer"
        self.sound = 0
        self.last = "spoken words"
        item, self.spoken = self.spoken or self.id("item"), ""
        await self.send("audio-committed", itemId=item)
        await self.send("input-transcription-completed", itemId=item, transcript=self.last)

    async def on_conversation_item_create(self, item: dict[str, Any]) -> None:
        if item["type"] == "function-call-output":
            assert item["callId"] in self.calls, "nobody asked"
            self.calls.discard(item["callId"])
            self.fake.results.append({"output": item["output"]})
            self.last = "" if self.calls else "results"
        else:
            self.last = item["text"]
            self.fake.history.append((item["role"], item["text"]))

    async def on_conversation_item_truncate(self, **fields: object) -> None:
        assert set(fields) == {"itemId", "contentIndex", "audioEndMs"}

    async def on_response_cancel(self) -> None:
        if self.running:
            running, self.running = self.running, ""
            await self.send("response-done", responseId=running, status="cancelled")

    async def on_response_create(self, options: dict[str, Any] | None = None) -> None:
        assert not self.running, "one response at a time"
        assert not self.calls, "results are missing"
        self.last = (options or {}).get("instructions") or self.last
        response = self.id("resp")
        await self.send("response-created", responseId=response)
        if calls := calls_of(self.last):
            for _ in range(calls):
                await self.call(response)
        else:
            await self.speak(response)
        if not self.running:
            usage = {"inputTokens": 10, "outputTokens": 5}
            done = {"responseId": response, "status": "completed", "usage": usage}
            await self.send("response-done", **done)

    async def call(self, response: str) -> None:
        call = self.id("call")
        self.calls.add(call)
        of_call = {"responseId": response, "itemId": self.id("item"), "callId": call}
        arguments = '{"zone": "Asia/Tokyo"}'
        await self.send("output-item-added", responseId=response, itemId=of_call["itemId"])
        await self.send("function-call-arguments-delta", **of_call, delta=arguments)
        named = {"name": "current_time", "arguments": arguments}
        await self.send("function-call-arguments-done", **of_call, **named)

    async def speak(self, response: str) -> None:
        of_item = {"responseId": response, "itemId": self.id("item")}
        await self.send("output-item-added", **of_item)
        await self.send("audio-delta", **of_item, delta=SOUND)
        if "story" in self.last:
            self.running = response
            await self.send("audio-transcript-delta", **of_item, delta="Once upon a time")
            return
        text = "So it is." if self.last == "results" else f"You said {self.last}."
        await self.send("audio-transcript-delta", **of_item, delta=text)
        await self.send("audio-done", **of_item)
        await self.send("audio-transcript-done", **of_item, transcript=text)
        await self.send("output-item-done", **of_item)


async def gateway(fake: Fake, socket: ServerConnection) -> None:
    """Serve one connection as the AI Gateway does."""
    await Gateway(fake, socket).hold()
