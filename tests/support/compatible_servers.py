"""Scripted servers of LocalAI, Hugging Face speech-to-speech, speaches and vLLM on loopback.

Each behaves as its source says: how it announces the session, which values it refuses, and the
names and order of its events. A line that contains "time" causes a tool call; every other line is
repeated. Half a second of audio is a turn with the words "spoken words". `received` holds the
client's messages, `wrong` what the real server would not survive.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from fake_wires import SOUND
from openai.types.beta.realtime import RealtimeServerEvent as BetaServerEvent
from openai.types.realtime import RealtimeClientEvent, SessionUpdateEvent
from openai.types.realtime.realtime_session_create_request import RealtimeSessionCreateRequest
from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

_BETA = TypeAdapter[Any](BetaServerEvent)
_GA_CLIENT = TypeAdapter[Any](RealtimeClientEvent)
Json = dict[str, Any]
HALF_A_SECOND = 24_000
"""Bytes of PCM16 at 24 kHz."""
SPOKEN = "spoken words"
_BUFFER = "input_audio_buffer"
_TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


class CompatibleServer(ABC):
    """One server; a connection at a time."""

    models: ClassVar[list[Json] | None] = None
    """Entries of `GET /v1/models`; None for a server without a list."""

    def __init__(self) -> None:
        self.port = 0
        self.received: list[Json] = []
        self.queries: list[dict[str, list[str]]] = []
        self.wrong: list[str] = []
        self.session: Json = {}
        self.line = ""
        self.number = 0
        self.heard = 0
        """Bytes of audio since the latest turn."""

    def sent(self, kind: str) -> list[Json]:
        """Return the client's messages of this type."""
        return [message for message in self.received if message["type"] == kind]

    def answer(self, socket: ServerConnection, request: Request) -> Response | None:
        """Answer an HTTP request, or return None to accept a socket."""
        path = urlsplit(request.path).path
        if path == "/v1/models" and self.models is not None:
            body = json.dumps({"object": "list", "data": self.models})
            return socket.respond(HTTPStatus.OK, body)
        if path != "/v1/realtime":
            return socket.respond(HTTPStatus.NOT_FOUND, '{"detail": "Not Found"}')
        return None

    async def talk(self, socket: ServerConnection) -> None:
        """Talk on one connection until it ends."""
        self.socket = socket
        assert socket.request is not None
        self.queries.append(parse_qs(urlsplit(socket.request.path).query))
        await self.greet()
        async for frame in socket:
            message: Json = json.loads(frame)
            self.received.append(message)
            await self.take(message)

    @abstractmethod
    async def greet(self) -> None:
        """Send the first frame."""

    @abstractmethod
    async def take(self, message: Json) -> None:
        """Take a message of the client."""

    async def listen(self, message: Json) -> None:
        """Take a block of audio; after half a second of it the turn ends."""
        self.heard += len(b64decode(message["audio"]))
        if self.heard >= HALF_A_SECOND:
            self.heard, self.line = 0, SPOKEN
            await self.end_turn()

    @abstractmethod
    async def end_turn(self) -> None:
        """Send the events of a spoken turn."""

    def id(self, kind: str) -> str:
        self.number += 1
        return f"{kind}_{self.number}"

    async def send(self, kind: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"type": kind, "event_id": self.id("event"), **fields}))

    @property
    def calls_tool(self) -> bool:
        return "time" in self.line and bool(self.session.get("tools"))


@asynccontextmanager
async def serving(server: CompatibleServer) -> AsyncIterator[CompatibleServer]:
    """Serve until the end of the block; then check that the client sent nothing wrong."""

    async def accept(socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await server.talk(socket)

    async with serve(accept, "127.0.0.1", 0, process_request=server.answer) as running:
        server.port = next(iter(running.sockets)).getsockname()[1]
        yield server
    assert server.wrong == []


class GaServer(CompatibleServer):
    """The events that LocalAI and speech-to-speech share."""

    async def respond(self) -> None:
        response = {"id": self.id("resp"), "object": "realtime.response", "status": "in_progress"}
        await self.send("response.created", response=response)
        where = {"response_id": response["id"], "output_index": 0}
        if self.calls_tool:
            await self.call(where)
        else:
            await self.message(where, f"You said {self.line}.")
        await self.send("response.done", response={**response, "status": "completed"})

    async def call(self, where: Json) -> None:
        call = {
            "id": self.id("item"), "type": "function_call", "call_id": self.id("call"),
            "name": "current_time", "arguments": '{"zone": "Asia/Tokyo"}', "status": "completed",
        }  # fmt: skip
        await self.send("response.output_item.added", item=call, **where)
        done = {name: call[name] for name in ("call_id", "name", "arguments")}
        await self.send(
            "response.function_call_arguments.done", item_id=call["id"], **done, **where
        )
        await self.send("response.output_item.done", item=call, **where)

    async def message(self, where: Json, text: str) -> None:
        item: Json = {
            "id": self.id("item"), "type": "message", "role": "assistant",
            "status": "in_progress", "content": [],
        }  # fmt: skip
        await self.send("response.output_item.added", item=item, **where)
        part = {**where, "item_id": item["id"], "content_index": 0}
        if self.session.get("output_modalities") == ["text"]:
            await self.send("response.output_text.delta", delta=text, **part)
            await self.send("response.output_text.done", text=text, **part)
            content = {"type": "output_text", "text": text}
        else:
            await self.send("response.output_audio_transcript.delta", delta=text, **part)
            await self.send("response.output_audio.delta", delta=SOUND, **part)
            await self.send("response.output_audio.done", **part)
            await self.send("response.output_audio_transcript.done", transcript=text, **part)
            content = {"type": "output_audio", "transcript": text}
        item = {**item, "status": "completed", "content": [content]}
        await self.send("response.output_item.done", item=item, **where)


class LocalAI(GaServer):
    """mudler/LocalAI, `core/http/endpoints/openai/realtime.go`.

    The session names the pipeline's transcription model; an update with another one fails as a
    whole, with an error that names no event. A model that is no pipeline gets an error and a closed
    socket. `session.update` with a session that is not GA is ignored (`types.SessionUnion`).
    """

    models: ClassVar[list[Json] | None] = [
        {"id": name, "object": "model"}
        for name in ("silero-vad-ggml", "whisper-large-turbo", "qwen3-4b", "tts-1", "voice-loop")
    ]
    capabilities: ClassVar[dict[str, list[str] | None]] = {
        "silero-vad-ggml": ["vad"], "whisper-large-turbo": ["transcript"], "qwen3-4b": ["chat"],
        "tts-1": ["tts"], "voice-loop": None,
    }  # fmt: skip
    pipeline = "voice-loop"

    def answer(self, socket: ServerConnection, request: Request) -> Response | None:
        if request.path == "/v1/models/capabilities":
            data = [{"id": n, "capabilities": c} for n, c in self.capabilities.items()]
            return socket.respond(HTTPStatus.OK, json.dumps({"object": "list", "data": data}))
        return super().answer(socket, request)

    async def greet(self) -> None:
        if self.queries[-1].get("model") != [self.pipeline]:
            await self.error("invalid_model", "Model is not a pipeline model")
            self.socket.transport.abort()
            return
        vad = {
            "type": "server_vad", "create_response": True, "prefix_padding_ms": 300,
            "silence_duration_ms": 500, "threshold": 0.5,
        }  # fmt: skip
        transcription = {"model": "whisper-large-turbo"}
        self.session = {
            "id": "sess_1", "object": "realtime.session", "type": "realtime",
            "model": self.pipeline, "instructions": "You are a helpful voice assistant.",
            "audio": {
                "input": {"turn_detection": vad, "transcription": transcription},
                "output": {"voice": "en_US-amy"},
            },
        }  # fmt: skip
        await self.send("session.created", session=self.session)

    async def error(self, code: str, message: str) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message}
        await self.send("error", error=error)

    async def take(self, message: Json) -> None:
        match message["type"]:
            case "session.update":
                await self.update(message["session"])
            case "conversation.item.create":
                item = message["item"]
                if item.get("role") == "user":
                    self.line = item["content"][0]["text"]
                elif item["type"] == "function_call_output":
                    self.line = "thanks"
                await self.send("conversation.item.added", item={"status": "completed", **item})
            case "response.create":
                await self.respond()
            case "input_audio_buffer.append":
                await self.listen(message)

    async def end_turn(self) -> None:
        # Each event names an item of its own, and the item comes after its transcript.
        await self.send(f"{_BUFFER}.speech_started", audio_start_ms=300)
        await self.send(f"{_BUFFER}.speech_stopped", audio_end_ms=800)
        await self.send(f"{_BUFFER}.committed", item_id=self.id("item"), previous_item_id="unknown")
        await self.send(
            _TRANSCRIBED, item_id=self.id("item"), content_index=0, transcript=self.line
        )
        content = [{"type": "input_audio", "transcript": self.line}]
        item = {"id": self.id("item"), "type": "message", "role": "user", "content": content}
        await self.send("conversation.item.added", item={**item, "status": "completed"})
        await self.respond()

    async def update(self, session: Json) -> None:
        if session.get("type") != "realtime":
            return
        heard = session.get("audio", {}).get("input", {})
        model = (heard.get("transcription") or {}).get("model", "")
        if model not in {"", "whisper-large-turbo"}:
            await self.error("session_update_error", "Failed to update session")
            return
        if (vad := heard.get("turn_detection")) and "silence_duration_ms" not in vad:
            self.wrong.append("an update without silence_duration_ms ends turns at once")
        self.session |= {name: value for name, value in session.items() if name != "audio"}
        await self.send("session.updated", session=self.session)


class SpeechToSpeech(GaServer):
    """huggingface/speech-to-speech, `api/openai_realtime/` (`service.py`, `websocket_router.py`).

    Needs no model and has no list of models. Every message is validated with the classes of the
    openai package, and an invalid one is an error of the type `unknown_or_invalid_event` without a
    code. All fields of the announced session are there, most of them null.
    """

    slots = 1

    async def greet(self) -> None:
        if self.slots == 0:
            message = "All 0 session slots are in use. Disconnect an existing client first."
            await self.send("error", error=self.mistake("session_limit_reached", message))
            await self.socket.close(1008, "All session slots are in use")
            return
        session = RealtimeSessionCreateRequest.model_validate({
            "type": "realtime", "audio": {"input": {}, "output": {}},
        })  # fmt: skip
        self.session = session.model_dump()
        await self.send("session.created", session=self.session)

    def mistake(self, kind: str, message: str, event_id: str | None = None) -> Json:
        return {
            "type": kind, "message": message, "code": None, "param": None, "event_id": event_id,
        }  # fmt: skip

    async def take(self, message: Json) -> None:
        try:
            _GA_CLIENT.validate_python(message)
        except ValidationError:
            kind, text = "unknown_or_invalid_event", f"Unknown or invalid event: {message['type']}"
            error = self.mistake(kind, text, message.get("event_id"))
            await self.send("error", error=error)
            return
        match message["type"]:
            case "session.update":
                update = SessionUpdateEvent.model_validate(message).session
                self.session |= update.model_dump(exclude_unset=True)
                await self.send("session.updated", session=self.session)
            case "conversation.item.create":
                item = message["item"]
                if item["type"] == "message":
                    self.line = item["content"][0]["text"]
                else:
                    self.line = "thanks"
                await self.send("conversation.item.created", item=item)
            case "response.create":
                await self.respond()
            case "input_audio_buffer.append":
                await self.listen(message)

    async def end_turn(self) -> None:
        item_id = self.id("item")
        await self.send(f"{_BUFFER}.speech_started", item_id=item_id, audio_start_ms=300)
        await self.send(f"{_BUFFER}.speech_stopped", item_id=item_id, audio_end_ms=800)
        usage = {"type": "duration", "seconds": 0.5}
        await self.send(
            _TRANSCRIBED, item_id=item_id, content_index=0, transcript=self.line, usage=usage
        )
        await self.respond()


class Speaches(CompatibleServer):
    """speaches-ai/speaches, `realtime/` and `types/realtime.py`.

    The query has to name the language model; the list of models holds only those that transcribe or
    speak. The session is flat. A format and the padding of the turn detection are errors, but the
    update applies. A transcription of null and a semantic turn detection make an event invalid, and
    so does an unknown type. A new response has the status incomplete.
    """

    models: ClassVar[list[Json] | None] = [
        {"id": "Systran/faster-distil-whisper-small.en", "object": "model", "owned_by": "Systran",
         "task": "automatic-speech-recognition"},
        {"id": "speaches-ai/Kokoro-82M-v1.0-ONNX", "object": "model", "owned_by": "speaches-ai",
         "task": "text-to-speech"},
    ]  # fmt: skip

    def answer(self, socket: ServerConnection, request: Request) -> Response | None:
        if request.path.startswith("/v1/realtime") and "model=" not in request.path:
            return socket.respond(HTTPStatus.FORBIDDEN, "")
        return super().answer(socket, request)

    async def send(self, kind: str, **fields: Any) -> None:
        if kind.startswith(("response.text", "response.audio", "response.function", "error")):
            _BETA.validate_python({"type": kind, "event_id": "event", **fields})
        await super().send(kind, **fields)

    async def greet(self) -> None:
        self.session = {
            "id": "sess_1", "model": self.queries[-1]["model"][0],
            "modalities": ["audio", "text"], "instructions": "Your knowledge cutoff is 2023-10.",
            "speech_model": "speaches-ai/Kokoro-82M-v1.0-ONNX", "voice": "af_heart",
            "input_audio_format": "pcm16", "output_audio_format": "pcm16",
            "input_audio_transcription": {
                "model": "Systran/faster-distil-whisper-small.en", "language": None,
            },
            "turn_detection": {
                "type": "server_vad", "threshold": 0.6, "prefix_padding_ms": 300,
                "silence_duration_ms": 350, "create_response": True, "barge_in_delay_ms": 400,
            },
            "temperature": 0.8, "tools": [], "tool_choice": "auto",
            "max_response_output_tokens": "inf", "no_response_token": "*",
            "no_speech_prob_threshold": 0.6,
        }  # fmt: skip
        await self.send("session.created", session=self.session)

    async def error(self, message: str) -> None:
        await self.send("error", error={"type": "invalid_request_error", "message": message})

    async def take(self, message: Json) -> None:
        match message["type"]:
            case "session.update":
                await self.update(message["session"])
            case "conversation.item.create":
                item = {"status": "completed", "object": "realtime.item", **message["item"]}
                if item["type"] == "message":
                    self.line = item["content"][0]["text"]
                else:
                    self.line = "thanks"
                await self.send("conversation.item.created", item=item, previous_item_id=None)
            case "response.create":
                for name in ("conversation", "input", "output_audio_format", "metadata"):
                    if name in message.get("response", {}):
                        await self.unsupported(f"response.{name}")
                await self.respond()
            case "input_audio_buffer.append":
                await self.listen(message)
            case kind if kind.startswith(("input_audio_buffer.", "response.cancel")):
                pass
            case _:
                await self.error("Invalid client event: 1 validation error(s)")

    async def end_turn(self) -> None:
        item_id = self.id("item")
        await self.send(f"{_BUFFER}.speech_started", item_id=item_id, audio_start_ms=300)
        await self.send(
            f"{_BUFFER}.partial_transcription", item_id=item_id, transcript=self.line[:6]
        )
        await self.send(f"{_BUFFER}.speech_stopped", item_id=item_id, audio_end_ms=800)
        await self.send(f"{_BUFFER}.committed", item_id=item_id, previous_item_id=None)
        item = {
            "id": item_id, "type": "message", "role": "user", "status": "completed",
            "content": [{"type": "input_audio", "transcript": None}],
        }  # fmt: skip
        await self.send("conversation.item.created", item=item, previous_item_id=None)
        await self.send(_TRANSCRIBED, item_id=item_id, content_index=0, transcript=self.line)
        await self.respond()

    async def unsupported(self, name: str) -> None:
        why = "The server either does not support this field or it is not configurable."
        await self.error(f"Specifying `{name}` is not supported. {why}")

    async def update(self, session: Json) -> None:
        vad = session.get("turn_detection") or {}
        transcription = session.get("input_audio_transcription", {"model": ""})
        if transcription is None or vad.get("type", "server_vad") != "server_vad":
            await self.error("Invalid client event: 1 validation error(s)")
            return
        for name in ("input_audio_format", "output_audio_format"):
            if name in session:
                await self.unsupported(f"session.{name}")
        if "prefix_padding_ms" in vad:
            await self.unsupported("session.turn_detection.prefix_padding_ms")
        self.session |= {name: value for name, value in session.items() if name in self.session}
        await self.send("session.updated", session=self.session)

    async def respond(self) -> None:
        response: Json = {
            "id": self.id("resp"), "object": "realtime.response", "status": "incomplete",
            "output": [], "modalities": self.session["modalities"],
        }  # fmt: skip
        await self.send("response.created", response=response)
        where = {"response_id": response["id"], "output_index": 0}
        make: Callable[[Json], Any] = self.call if self.calls_tool else self.message
        item = await make(where)
        await self.send("response.output_item.done", item=item, **where)
        done = {**response, "status": "completed", "output": [item]}
        await self.send("response.done", response=done)

    async def call(self, where: Json) -> Json:
        item = {
            "id": self.id("item"), "type": "function_call", "status": "incomplete",
            "call_id": self.id("call"), "name": "current_time", "arguments": "",
        }  # fmt: skip
        await self.send("response.output_item.added", item=item, **where)
        place = {**where, "item_id": item["id"], "call_id": item["call_id"]}
        arguments = '{"zone": "Asia/Tokyo"}'
        await self.send("response.function_call_arguments.delta", delta=arguments, **place)
        await self.send("response.function_call_arguments.done", arguments=arguments, **place)
        return {**item, "arguments": arguments, "status": "completed"}

    async def message(self, where: Json) -> Json:
        text = f"You said {self.line}."
        item: Json = {
            "id": self.id("item"), "type": "message", "role": "assistant",
            "status": "incomplete", "content": [],
        }  # fmt: skip
        await self.send("response.output_item.added", item=item, **where)
        await self.send("conversation.item.created", item=item, previous_item_id=None)
        part = {**where, "item_id": item["id"], "content_index": 0}
        if self.session["modalities"] == ["text"]:
            await self.send("response.text.delta", delta=text, **part)
            await self.send("response.text.done", text=text, **part)
            content = {"type": "text", "text": text}
        else:
            await self.send("response.audio_transcript.delta", delta=text, **part)
            await self.send("response.audio.delta", delta=SOUND, **part)
            await self.send("response.audio.done", **part)
            await self.send("response.audio_transcript.done", transcript=text, **part)
            content = {"type": "audio", "transcript": text, "audio": ""}
        return {**item, "status": "completed", "content": [content]}


class Vllm(CompatibleServer):
    """vllm-project/vllm, `entrypoints/openai/realtime/` (`connection.py`, `protocol.py`).

    Announces an id and a time instead of a session, and only transcribes.
    """

    models: ClassVar[list[Json] | None] = [
        {"id": "mistralai/Voxtral-Mini-4B", "object": "model", "owned_by": "vllm"}
    ]

    async def greet(self) -> None:
        created = {"type": "session.created", "id": "sess-1", "created": 1_790_000_000}
        await self.socket.send(json.dumps(created))

    async def take(self, message: Json) -> None:
        self.wrong.append(f"{message['type']} after a session that cannot hold a conversation")

    async def end_turn(self) -> None:
        """Never happens: the client closes the connection."""
