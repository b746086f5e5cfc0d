"""Text-to-speech servers on loopback that behave as the sources of their providers say.

Each speaks with a sound that depends on the text alone: `sound_of`. `wrong` holds what the real
server would refuse without a documented error.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, ClassVar

from http_stub import CUT, HttpStub, SeenRequest
from openai.types.audio.speech_create_params import SpeechCreateParams
from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

_PARAMS = TypeAdapter[Any](SpeechCreateParams)
KEY = "sk-planted-0123456789abcdef"
TYPES = {"mp3": "audio/mpeg", "opus": "audio/opus", "aac": "audio/aac", "flac": "audio/flac",
         "wav": "audio/wav", "pcm": "audio/pcm"}  # fmt: skip


def sound_of(text: str) -> bytes:
    """Return PCM16: 20 samples for each character, which no other text has."""
    seed = hashlib.sha256(text.encode()).digest() * (len(text) * 40 // 32 + 1)
    return seed[: len(text) * 40]


def wav_of(pcm: bytes, rate: int = 24_000, size: int = 0xFFFF_FFFF) -> bytes:
    """Return a WAV file as servers stream it: with sizes that are not known yet."""
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", size, b"WAVE", b"fmt ", 16, 1, 1, rate, 2 * rate, 2, 16,
        b"data", size,
    )  # fmt: skip
    return head + pcm


def encoded_of(text: str, audio_format: str) -> bytes:
    """Return the file for a text; of compressed formats a stand-in."""
    if audio_format == "pcm":
        return sound_of(text)
    if audio_format == "wav":
        return wav_of(sound_of(text))
    return audio_format.encode() + sound_of(text)


class OpenAISpeech(HttpStub):
    """OpenAI, `POST /v1/audio/speech`: validated with the types of the package `openai`.

    Texts beyond 4096 characters, unknown voices and other keys are errors in its shape. Models
    that begin with gpt- stream server-sent events when asked; tts-1 does not know them. Source:
    OpenAI API reference, "Create speech".
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.arrived = asyncio.Semaphore(0)
        """Released for each text."""
        self.wrong: list[str] = []
        self.cuts_at: int | None = None
        """Number of the request whose answer is cut off, from 0."""
        self.fails: list[tuple[int, dict[str, Any]]] = []
        """Statuses and errors of the next requests."""
        self.has_events = True

    def answer_post(self, request: SeenRequest) -> None:
        self.status, self.headers = 200, {}
        if self.fails:
            self._refuse(*self.fails.pop(0))
            return
        if request.line != "POST /v1/audio/speech HTTP/1.1":
            self._refuse(404, {"message": "Invalid URL", "code": None})
            return
        if request.headers.get("authorization") != f"Bearer {KEY}":
            said = f"Incorrect API key provided: {request.headers.get('authorization')}."
            self._refuse(401, {"message": said, "code": "invalid_api_key"})
            return
        body = json.loads(request.body)
        try:
            _PARAMS.validate_python(body)
        except ValidationError as error:
            self.wrong.append(str(error))
        if unknown := set(body) - set(SpeechCreateParams.__annotations__):
            self.wrong.append(f"unknown fields {unknown}")
        if body["model"].startswith("tts-1") and {"instructions", "stream_format"} & set(body):
            self.wrong.append("a field that tts-1 does not have")
        self._speak(body)

    def _speak(self, body: dict[str, Any]) -> None:
        text, voice = body["input"], body["voice"]
        if len(text) > 4096:
            self._refuse(400, {"message": "String too long.", "code": "string_above_max_length"})
            return
        if voice == "nobody":
            self._refuse(400, {"message": "Input should be 'alloy'.", "code": None})
            return
        self.texts.append(text)
        self.arrived.release()
        data = encoded_of(text, body["response_format"])
        parts = [data[start : start + 1_001] for start in range(0, len(data), 1_001)]
        if body.get("stream_format") == "sse" and self.has_events:
            self.headers = {"Content-Type": "text/event-stream; charset=utf-8"}
            deltas = [{"type": "speech.audio.delta", "audio": base64.b64encode(part).decode()}
                      for part in parts]  # fmt: skip
            usage = {"input_tokens": 10, "output_tokens": 100, "total_tokens": 110}
            done = {"type": "speech.audio.done", "usage": usage}
            self.chunks = [f"data: {json.dumps(each)}\n\n".encode() for each in (*deltas, done)]
        else:
            self.headers = {"Content-Type": TYPES[body["response_format"]]}
            self.chunks = parts
        if self.cuts_at == len(self.texts) - 1:
            self.chunks = [*self.chunks[: len(self.chunks) // 2], CUT]

    def _refuse(self, status: int, error: dict[str, Any]) -> None:
        self.status = status
        self.headers = {"Content-Type": "application/json"}
        body = {"error": {"type": "invalid_request_error", "param": None, **error}}
        self.chunks = [json.dumps(body).encode()]


class XaiSpeech(HttpStub):
    """xAI, `POST /v1/tts`: the fields, codecs, speeds and errors of its docs and of `@ai-sdk/xai`.

    Source: xAI docs, "Text to Speech"; `xai-speech-model.ts`, `xai-error.ts`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[dict[str, Any]] = []
        self.wrong: list[str] = []

    def answer_post(self, request: SeenRequest) -> None:
        body = json.loads(request.body)
        self.bodies.append(body)
        self.status, self.headers = 200, {"Content-Type": "audio/pcm"}
        codec = body.get("output_format", {}).get("codec")
        if request.line != "POST /v1/tts HTTP/1.1" or request.headers.get("authorization") is None:
            self.wrong.append(request.line)
        if not {"text", "voice_id", "language", "output_format"} <= set(body):
            self.wrong.append(f"fields are missing in {body}")
        if set(body) - {"text", "voice_id", "language", "output_format", "speed"}:
            self.wrong.append(f"unknown fields in {body}")
        if body["voice_id"] == "nobody":
            self.status, self.headers = 400, {"Content-Type": "application/json"}
            self.chunks = [
                b'{"code": "Client specified an invalid argument", "error": "No voice."}'
            ]
            return
        if codec not in {"mp3", "wav", "pcm", "mulaw", "alaw"}:
            self.wrong.append(f"the codec {codec}")
        self.chunks = [encoded_of(body["text"], codec)]


class GatewaySpeech(HttpStub):
    """The AI Gateway, `POST /v4/ai/speech-model`. Source: `@ai-sdk/gateway`,
    `gateway-speech-model.ts` (headers, body and the schema of the answer)."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.usage: dict[str, Any] | None = {"inputCharacters": 6}

    def answer_post(self, request: SeenRequest) -> None:
        body = json.loads(request.body)
        self.bodies.append(body)
        self.status, self.headers = 200, {"Content-Type": "application/json"}
        wanted = {
            "authorization": f"Bearer {KEY}", "ai-speech-model-specification-version": "4",
            "ai-gateway-protocol-version": "0.0.1", "ai-gateway-auth-method": "api-key",
        }  # fmt: skip
        if request.line != "POST /v4/ai/speech-model HTTP/1.1":
            self.wrong.append(request.line)
        self.wrong += [f"{n}: {request.headers.get(n)}" for n, v in wanted.items()
                       if request.headers.get(n) != v]  # fmt: skip
        known = {"text", "voice", "outputFormat", "instructions", "speed", "language"}
        if unknown := set(body) - known - {"providerOptions"}:
            self.wrong.append(f"unknown fields {unknown}")
        if body.get("voice") == "nobody":
            self.status = 400
            error = {"message": "No such voice.", "type": "invalid_request_error"}
            self.chunks = [json.dumps({"error": error, "generationId": "gen_1"}).encode()]
            return
        data = encoded_of(body["text"], body["outputFormat"])
        warnings = [{"type": "unsupported", "feature": "speed"},
                    {"type": "other", "message": "Slow today."}]  # fmt: skip
        answer: dict[str, Any] = {"audio": base64.b64encode(data).decode(), "warnings": warnings}
        if self.usage is not None:
            answer["usage"] = self.usage
        whole = json.dumps(answer).encode()
        self.chunks = [whole[:50], whole[50:]]


class GoogleSpeech(HttpStub):
    """Gemini, `generateContent` with sound: validated with the types of `google-genai`.

    3.8 answers with WAV, earlier models with PCM. Source: `@ai-sdk/google`,
    `google-speech-model.ts`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[dict[str, Any]] = []
        self.wrong: list[str] = []
        self.rate = 24_000

    def answer_post(self, request: SeenRequest) -> None:
        from google.genai import types

        body = json.loads(request.body)
        self.bodies.append(body)
        self.status, self.headers = 200, {"Content-Type": "application/json; charset=UTF-8"}
        try:
            for content in body["contents"]:
                types.Content.model_validate(content)
            types.GenerationConfig.model_validate(body["generationConfig"])
        except ValidationError as error:
            self.wrong.append(str(error))
        if request.headers.get("x-goog-api-key") != KEY:
            self.status = 400
            refusal = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT"}
            self.chunks = [json.dumps({"error": refusal}).encode()]
            return
        text = body["contents"][0]["parts"][0]["text"]
        if text == "Forbidden.":
            self.chunks = [b'{"promptFeedback": {"blockReason": "SAFETY"}}']
            return
        is_wav = "gemini-3.8" in request.line
        data = wav_of(sound_of(text), self.rate) if is_wav else sound_of(text)
        kind = "audio/wav" if is_wav else f"audio/L16;codec=pcm;rate={self.rate}"
        inline = {"mimeType": kind, "data": base64.b64encode(data).decode()}
        usage = {"promptTokenCount": 5, "candidatesTokenCount": 50, "totalTokenCount": 55}
        content = {"role": "model", "parts": [{"inlineData": inline}]}
        answer = {"candidates": [{"content": content, "finishReason": "STOP"}],
                  "usageMetadata": usage}  # fmt: skip
        self.chunks = [json.dumps(answer, indent=2).encode() + b"\n"]


class SpeechSocket(ABC):
    """The half of a provider's socket that both of them share. `received` holds the frames."""

    protocols: ClassVar[list[Subprotocol] | None] = None

    def __init__(self) -> None:
        self.port = 0
        self.received: list[dict[str, Any]] = []
        self.arrived = asyncio.Semaphore(0)
        """Released for each part of the text."""
        self.path = ""
        self.request_headers: dict[str, str] = {}
        self.fails = False
        self.closes = False

    @property
    def text(self) -> str:
        return "".join(each.get("delta", "") for each in self.received)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.path = socket.request.path
        self.request_headers = {n.lower(): v for n, v in socket.request.headers.raw_items()}
        async for frame in socket:
            message = json.loads(frame)
            self.received.append(message)
            if message["type"].endswith("text-delta") or message["type"] == "text.delta":
                self.arrived.release()
                await self.speak(socket, message["delta"])
            elif message["type"].endswith(("text-done", "text.done")):
                await self.finish(socket)

    @abstractmethod
    async def speak(self, socket: ServerConnection, delta: str) -> None:
        """Answer a part of the text."""

    @abstractmethod
    async def finish(self, socket: ServerConnection) -> None:
        """Answer the end of the text."""


class XaiSpeechSocket(SpeechSocket):
    """xAI, `wss://api.x.ai/v1/tts`: settings in the address, deltas both ways, `audio.done`.

    Source: xAI docs, "Streaming Text to Speech".
    """

    async def speak(self, socket: ServerConnection, delta: str) -> None:
        if self.fails:
            await socket.send(json.dumps({"type": "error", "message": "Voice is busy."}))
            return
        if self.closes:
            await socket.close(1011, "internal error")
            return
        audio = base64.b64encode(sound_of(delta)).decode()
        await socket.send(json.dumps({"type": "audio.delta", "delta": audio}))

    async def finish(self, socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "audio.done", "trace_id": "trace_1"}))


class GatewaySpeechSocket(SpeechSocket):
    """The AI Gateway, subprotocol `ai-gateway-speech.v1`: validated as its server does.

    Frames of the server are parts of the AI SDK. It closes with 1000 after `finish`. Source:
    `@ai-sdk/provider-utils`, `speech-stream-envelope.ts`.
    """

    kinds: ClassVar[dict[str, type | tuple[type, ...]]] = {
        "instructions": str, "language": str, "speed": (int, float), "voice": str,
        "outputFormat": dict, "providerOptions": dict, "type": str,
    }  # fmt: skip
    protocols = [Subprotocol("ai-gateway-speech.v1")]  # noqa: RUF012
    audio_format: ClassVar[dict[str, Any]] = {"type": "audio/pcm", "rate": 24_000}

    async def speak(self, socket: ServerConnection, delta: str) -> None:
        start, *deltas = self.received
        assert start["type"] == "speech-stream.start"
        assert all(isinstance(value, self.kinds[name]) for name, value in start.items())
        assert len(json.dumps(self.received[-1])) < 64 << 10
        if len(deltas) == 1:
            warnings = [{"type": "unsupported", "feature": "speed"}]
            await socket.send(json.dumps({"type": "stream-start", "warnings": warnings}))
        if self.fails:
            error = {"type": "invalid_request_error", "message": "No such voice."}
            await socket.send(json.dumps({"type": "error", "error": error}))
            await socket.close(1008)
            return
        audio = base64.b64encode(sound_of(delta)).decode()
        part = {"type": "audio", "audio": audio, "audioFormat": self.audio_format}
        await socket.send(json.dumps(part))

    async def finish(self, socket: ServerConnection) -> None:
        if not self.closes:
            usage = {"inputCharacters": len(self.text)}
            await socket.send(json.dumps({"type": "finish", "usage": usage}))
        await socket.close(1000)


@asynccontextmanager
async def socket_of(server: SpeechSocket) -> AsyncIterator[SpeechSocket]:
    """Run a socket until the end of the block."""

    async def talk(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await server.talk(socket)

    async with serve(talk, "127.0.0.1", 0, subprotocols=server.protocols) as running:
        server.port = next(iter(running.sockets)).getsockname()[1]
        yield server
