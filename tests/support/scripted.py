"""Scripted engines, and strict validation of frames with the classes of the openai package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import msgspec
import numpy as np
from openai import AsyncOpenAI
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from voicechat.errors import Secret
from voicechat.server.app import App
from voicechat.server.detector_pool import DetectorPool
from voicechat.server.engine_protocols import (
    AssistantOutput,
    AssistantRequest,
    Message,
    Partial,
    Say,
    SpokenWords,
)
from voicechat.server.engine_startup import EngineSet
from voicechat.server.serve_options import ServeOptions
from voicechat.server.turn_end import TurnEnd

TOKEN = "a-token-for-tests"
_EVENTS = TypeAdapter(RealtimeServerEvent)
CLASSES = {
    get_args(kind.model_fields["type"].annotation)[0]: kind
    for kind in get_args(get_args(RealtimeServerEvent)[0])
}


def check(frame: str | bytes) -> dict[str, Any]:
    """Decode a frame after the class of the openai package has validated every field."""
    raw: dict[str, Any] = msgspec.json.decode(frame)
    event = _EVENTS.validate_python(raw)
    assert type(event) is CLASSES[raw["type"]]
    return raw


class Loud:
    """A speech detector: any loud sample is speech."""

    window = 512

    def probability(self, pcm: bytes) -> float:
        return 1.0 if np.abs(np.frombuffer(pcm, "<i2").astype(int)).max() > 2000 else 0.0

    def reset(self) -> None:
        pass


class ScriptedStt:
    """Returns the scripted texts in order; partials come at scripted sizes of the utterance."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self.texts = list(texts)
        self.heard: list[int] = []
        self.running = 0
        self.dropped = self.settled = self.resumed = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.partials: dict[int, Partial] = {}
        """Partials, keyed by the size of the utterance in bytes after which they come."""

    async def open(self) -> None:
        pass

    def utterance(
        self, on_partial: Callable[[Partial], None], *, dictation: bool = False
    ) -> ScriptedUtterance:
        self.running += 1
        return ScriptedUtterance(self, on_partial)

    async def close(self) -> None:
        pass


class ScriptedUtterance:
    def __init__(self, stt: ScriptedStt, on_partial: Callable[[Partial], None]) -> None:
        self._stt = stt
        self._on_partial = on_partial
        self._fed = 0

    def feed(self, pcm: bytes) -> None:
        before, self._fed = self._fed, self._fed + len(pcm)
        for size, partial in self._stt.partials.items():
            if before < size <= self._fed:
                self._on_partial(partial)

    def settle(self) -> None:
        self._stt.settled += 1

    def resume(self) -> None:
        self._stt.resumed += 1

    async def finish(self) -> str:
        stt = self._stt
        try:
            await stt.gate.wait()
            stt.heard.append(self._fed)
            if stt.error is not None:
                raise stt.error
            return stt.texts.pop(0) if stt.texts else ""
        finally:
            stt.running -= 1

    def drop(self) -> None:
        self._stt.running -= 1
        self._stt.dropped += 1


class ScriptedAssistant:
    """Replies with the result of `answer`; by default it repeats the last message."""

    def __init__(self) -> None:
        self.on_announcement: Callable[[str], None] = lambda words: None
        self.requests: list[AssistantRequest] = []
        self.answer: Callable[[AssistantRequest], Iterable[AssistantOutput]] = _echo
        self.gate = asyncio.Event()
        self.gate.set()
        self.open_replies = 0

    async def open(self) -> None:
        pass

    async def reply(self, request: AssistantRequest) -> AsyncIterator[AssistantOutput]:
        self.requests.append(request)
        self.open_replies += 1
        try:
            await self.gate.wait()
            for thought in self.answer(request):
                yield thought
                await asyncio.sleep(0)
        finally:
            self.open_replies -= 1

    async def end_chance(self, text: str) -> float:
        return float(text.endswith((".", "!", "?")))

    async def close(self) -> None:
        pass


def _echo(request: AssistantRequest) -> list[AssistantOutput]:
    last = request.messages[-1] if request.messages else Message("user", "nothing")
    return [Say(f"You said {last.text or 'nothing'}.")]


class ScriptedTts:
    """Every word is 100 ms of a tone at 22,050 Hz."""

    rate = 22_050
    names: tuple[str, ...] = ("plain", "deep")

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, float]] = []
        self.open_speeches = 0
        self.gate = asyncio.Event()
        self.gate.set()
        time = np.arange(self.rate // 10) / self.rate
        self.tone = (np.sin(time * 2 * np.pi * 300) * 8000).astype("<i2").tobytes()
        self.pieces: Iterator[bytes] | None = None
        """The sound of the next words, instead of the tone."""

    async def open(self) -> None:
        pass

    async def speak(
        self, text: str, voice: str | None = None, speed: float = 1.0
    ) -> AsyncIterator[SpokenWords]:
        self.asked.append((text, voice, speed))
        self.open_speeches += 1
        words = text.split(" ")
        try:
            for place, word in enumerate(words):
                await asyncio.sleep(0)
                sound = next(self.pieces) if self.pieces is not None else self.tone
                yield SpokenWords(word if place == len(words) - 1 else f"{word} ", sound)
                await self.gate.wait()
        finally:
            self.open_speeches -= 1

    async def close(self) -> None:
        pass


class ScriptedServer:
    """A running server on scripted engines."""

    def __init__(self, app: App, stt: ScriptedStt, assistant: ScriptedAssistant, tts: ScriptedTts):
        self.app, self.stt, self.assistant, self.tts = app, stt, assistant, tts

    def client(self, token: str = TOKEN) -> AsyncOpenAI:
        """Return a client of the openai package for this server."""
        root = self.app.url.replace("ws://", "http://").removesuffix("/realtime")
        return AsyncOpenAI(api_key=token, base_url=root)


@asynccontextmanager
async def scripted_server(
    turn_end: TurnEnd | None = None, **options: Any
) -> AsyncIterator[ScriptedServer]:
    """Start a server on scripted engines; stop it at the end."""
    stt, assistant, tts = ScriptedStt(), ScriptedAssistant(), ScriptedTts()
    app = App(
        ServeOptions(port=0, token=Secret(TOKEN), **options),
        EngineSet(stt, assistant, tts, DetectorPool(Loud), turn_end),
    )
    await app.start()
    try:
        yield ScriptedServer(app, stt, assistant, tts)
    finally:
        await app.stop()


def tone(ms: int, rate: int = 24_000) -> bytes:
    """Return loud PCM16."""
    time = np.arange(rate * ms // 1000) / rate
    return (np.sin(time * 2 * np.pi * 440) * 12_000).astype("<i2").tobytes()


def silence(ms: int, rate: int = 24_000) -> bytes:
    """Return silent PCM16."""
    return bytes(rate * ms // 1000 * 2)


async def until(true: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait until the condition is true; fail at the deadline."""
    for _ in range(round(seconds * 200)):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come true")
