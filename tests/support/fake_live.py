"""Scripted servers of OpenAI Live and OpenAI translation on loopback, as strict as the real ones.

Their sessions advance only with the sound they receive: every 100 ms of it bring 100 ms of the
output track, which is silent unless the model speaks. The script is that of `fake_wires`.
"""

from __future__ import annotations

import json
import time
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from fake_wires import Fake, calls_of
from openai import BaseModel
from openai.types.live.client_event import ClientEvent
from openai.types.realtime.realtime_translation_client_event import RealtimeTranslationClientEvent
from pydantic import TypeAdapter
from websockets.asyncio.server import ServerConnection

from voicechat.session import input_clock

BLOCK = 960
"""Bytes in 20 ms at 24 kHz."""
STEP = 4_800
"""Bytes in 100 ms at 24 kHz."""
VOICED = b64encode(b"\x00\x10" * (STEP // 2)).decode()
SILENT = b64encode(bytes(STEP)).decode()
WORDS = ("spoken", " words")


@contextmanager
def fast_input(monkeypatch: pytest.MonkeyPatch, factor: float = 60.0) -> Iterator[None]:
    """Let sessions of continuous models run faster than real time."""
    monotonic = time.monotonic
    fast = SimpleNamespace(monotonic=lambda: monotonic() * factor)
    monkeypatch.setattr(input_clock, "time", fast)
    monkeypatch.setattr(input_clock, "FILL_S", 0.002)
    yield


def strict(value: object) -> None:
    """Raise `AssertionError` for a field that the wire does not have."""
    if isinstance(value, BaseModel):
        assert not value.model_extra, f"unknown fields: {value.model_extra}"
        for name in type(value).model_fields:
            strict(getattr(value, name))
    elif isinstance(value, list):
        for part in value:
            strict(part)


class Continuous:
    """A session with one stream of sound in each direction."""

    client: TypeAdapter[Any]
    append: str

    def __init__(self, fake: Fake, socket: ServerConnection) -> None:
        self.fake, self.socket = fake, socket
        self.clock = self.unplayed = 0
        self.voiced_ms = self.quiet_ms = self.began = 0
        self.speech: deque[str] = deque()
        """Text of each coming 100 ms of speech."""
        self.number = 1000 * len(fake.sockets)

    async def send(self, kind: str, **fields: object) -> None:
        self.number += 1
        frame = {"type": kind, "event_id": f"event_{self.number}", **fields}
        await self.socket.send(json.dumps(frame))

    async def frames(self) -> Any:
        async for frame in self.socket:
            assert isinstance(frame, str), "text frames"
            message = json.loads(frame)
            strict(self.client.validate_python(message))
            if message["type"] != self.append:
                yield message
                continue
            pcm = b64decode(message["audio"])
            for start in range(0, len(pcm), BLOCK):
                await self.hear(pcm[start : start + BLOCK])
            self.fake.news.set()

    async def hear(self, pcm: bytes) -> None:
        ms = len(pcm) // 48
        if any(pcm):
            self.fake.heard += len(pcm)
            self.began = self.began if self.voiced_ms else self.clock
            self.voiced_ms, self.quiet_ms = self.voiced_ms + ms, 0
            if self.voiced_ms >= 100 > self.voiced_ms - ms:
                await self.overheard()
        else:
            self.quiet_ms += ms
        self.unplayed += len(pcm)
        while self.unplayed >= STEP:
            self.unplayed -= STEP
            await self.step()
        if self.voiced_ms >= 100 and self.quiet_ms >= 200:
            self.voiced_ms = 0
            await self.spoken()

    async def step(self) -> None:
        """Play 100 ms of the output track."""
        text = self.speech.popleft() if self.speech else None
        times = {"start_ms": self.clock, "end_ms": self.clock + 100}
        self.clock += 100
        if text:
            await self.send("session.output_transcript.delta", delta=text, **self.times(times))
        sound = SILENT if text is None else VOICED
        await self.send("session.output_audio.delta", delta=sound, **self.sound_times(times))

    def times(self, times: dict[str, int]) -> dict[str, int]:
        return times

    def sound_times(self, times: dict[str, int]) -> dict[str, int]:
        return times

    async def overheard(self) -> None:
        """The user has begun to speak."""
        await self.transcribe(WORDS[0])

    async def spoken(self) -> None:
        """The user has spoken."""
        await self.transcribe(WORDS[1])

    async def transcribe(self, word: str) -> None:
        times = {"start_ms": self.began, "end_ms": self.clock}
        await self.send("session.input_transcript.delta", delta=word, **self.times(times))

    def say(self, text: str) -> None:
        head, _, tail = text.partition(" ")
        self.speech.extend([head, f" {tail}", "", ""])


class Live(Continuous):
    """One session of OpenAI Live, with Responses delegation."""

    client = TypeAdapter(ClientEvent)
    append = "session.input_audio.append"
    filler = ""
    """What the voice says while the backing model works."""

    def __init__(self, fake: Fake, socket: ServerConnection) -> None:
        super().__init__(fake, socket)
        self.items: list[dict[str, Any]] = []
        self.calls: set[str] = set()
        self.session: dict[str, Any] = {}

    async def hold(self) -> None:
        assert self.socket.request is not None
        assert self.socket.request.headers["Authorization"] == "Bearer planted-key"
        assert self.socket.request.path == "/v1/live/sessions"
        async for message in self.frames():
            kind = message["type"]
            if not self.session:
                assert kind == "session.start", "the session has not started"
                self.session = message["session"]
                self.fake.setups.append(self.session)
                about = {"client_event_id": message["event_id"]}
                named = {**self.session, "id": "live_1", "status": "active"}
                await self.send("session.started", session=named, **about)
            elif kind == "session.close":
                usage = {"seconds": round(self.clock / 1000)}
                await self.send("session.closed", reason="close_requested", usage=usage)
                await self.socket.close()
            else:
                await getattr(self, "on_" + kind.replace(".", "_"))(message)

    async def on_session_update(self, message: dict[str, Any]) -> None:
        assert list(message["session"]) == ["delegation"], "the rest cannot change"
        self.session["delegation"]["responses"] |= message["session"]["delegation"]["responses"]
        await self.send("session.updated", session=self.session)

    async def on_session_thinking_append(self, message: dict[str, Any]) -> None:
        assert message["delegation_id"] is None, "the backing model owns all delegations"
        assert len(message["content"].encode()) <= 500
        self.fake.said.append(message["content"])

    async def on_session_instructions_append(self, message: dict[str, Any]) -> None:
        await self.on_session_thinking_append(message)
        if "Stop speaking" in message["content"]:
            self.speech.clear()

    async def on_response_item_create(self, message: dict[str, Any]) -> None:
        item = message["item"]
        self.items.append(item)
        if item["type"] == "function_call_output":
            assert item["call_id"] in self.calls, "the call is not open"
            self.calls.discard(item["call_id"])
            self.fake.results.append({"output": item["output"]})
        elif item["type"] == "message":
            self.fake.history.append((item["role"], item["content"]))

    async def on_response_create(self, message: dict[str, Any]) -> None:
        assert self.items, "nothing was added"
        assert not self.calls, "results are missing"
        last = self.items[-1]
        results = last["type"] == "function_call_output"
        await self.work("results" if results else last["content"])

    async def overheard(self) -> None:
        self.speech.clear()
        await super().overheard()

    async def spoken(self) -> None:
        await super().spoken()
        self.say("You said spoken words.")

    async def backend(self, kind: str, **fields: object) -> None:
        event = {"type": kind, "sequence_number": self.number, **fields}
        await self.send("response.event", delegation_id=f"item_{len(self.items)}", event=event)

    async def work(self, text: str) -> None:
        """Let the backing model answer a line."""
        if self.filler:
            self.say(self.filler)
        response = {"id": f"resp_{self.number}"}
        await self.backend("response.created", response=response)
        reasoning = {"type": "reasoning", "id": f"rs_{self.number}", "summary": []}
        await self.backend("response.output_item.added", item=reasoning, output_index=0)
        calls = 0 if text == "results" else calls_of(text)
        for _ in range(calls):
            await self.call()
        usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
        await self.backend("response.completed", response={**response, "usage": usage})
        if text == "results":
            self.say("So it is.")
        elif "story" in text:
            self.speech.extend(["Once", " upon", " a", " time", *[""] * 10_000])
        elif not calls:
            self.say(f"You said {text}.")
        await self.send("session.usage.updated", usage={"seconds": self.clock / 1000})

    async def call(self) -> None:
        self.number += 1
        call_id, item_id = f"call_{self.number}", f"fc_{self.number}"
        self.calls.add(call_id)
        named = {"type": "function_call", "id": item_id, "call_id": call_id, "name": "current_time"}
        arguments = '{"zone": "Asia/Tokyo"}'
        begun = {**named, "arguments": "", "status": "in_progress"}
        await self.backend("response.output_item.added", item=begun, output_index=1)
        delta = "response.function_call_arguments.delta"
        await self.backend(delta, item_id=item_id, delta=arguments)
        done = {"item_id": item_id, "arguments": arguments}
        await self.backend("response.function_call_arguments.done", **done)
        whole = {**named, "arguments": arguments, "status": "completed"}
        await self.backend("response.output_item.done", item=whole, output_index=1)


class Translation(Continuous):
    """One translation session: every two words become two others."""

    client = TypeAdapter(RealtimeTranslationClientEvent)
    append = "session.input_audio_buffer.append"

    async def hold(self) -> None:
        assert self.socket.request is not None
        assert self.socket.request.headers["Authorization"] == "Bearer planted-key"
        path = "/v1/realtime/translations?model=gpt-realtime-translate"
        assert self.socket.request.path == path
        await self.send("session.created", session={"id": "sess_1", "type": "translation"})
        async for message in self.frames():
            if message["type"] == "session.update":
                self.fake.setups.append(message["session"])
                await self.send("session.updated", session=message["session"])
            else:
                assert message["type"] == "session.close"
                while self.speech:
                    await self.step()
                await self.send("session.closed")
                await self.socket.close()

    def times(self, times: dict[str, int]) -> dict[str, int]:
        return {"elapsed_ms": times["end_ms"]}

    def sound_times(self, times: dict[str, int]) -> dict[str, int]:
        return {"elapsed_ms": times["end_ms"]}

    async def spoken(self) -> None:
        await super().spoken()
        self.say("mots parlés")


async def live(fake: Fake, socket: ServerConnection) -> None:
    """Serve one connection as OpenAI Live does."""
    await Live(fake, socket).hold()


class TalkativeLive(Live):
    """A voice that speaks while the backing model works."""

    filler = "One moment."


async def talkative(fake: Fake, socket: ServerConnection) -> None:
    """Serve one connection whose voice speaks while the backing model works."""
    await TalkativeLive(fake, socket).hold()


async def translation(fake: Fake, socket: ServerConnection) -> None:
    """Serve one connection as OpenAI translation does."""
    await Translation(fake, socket).hold()
