"""Scripted servers of OpenAI, Azure and xAI on loopback, as strict as the real ones.

They answer like the fakes of `fake_wires`. Frames of OpenAI and Azure are validated in both
directions with the classes of the openai package.
"""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from fake_wires import SOUND, Fake, calls_of
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter
from scripted import check
from websockets.asyncio.server import ServerConnection

_CLIENT = TypeAdapter(RealtimeClientEvent)
_HEARD = "conversation.item.input_audio_transcription.completed"
SECOND = 48_000
"""Bytes of a second of sound."""


class OpenAI:
    """One connection of the fake OpenAI Realtime."""

    path = "/v1/realtime?model=gpt-realtime-2.1"
    headers: Mapping[str, str] = {"Authorization": "Bearer planted-key"}
    usage: Mapping[str, Any] = {"total_tokens": 15, "input_tokens": 10, "output_tokens": 5}

    longest_id = 32

    def __init__(self, fake: Fake, socket: ServerConnection) -> None:
        self.fake, self.socket = fake, socket
        self.number = 1000 * len(fake.sockets)
        self.manual = False
        self.running: dict[str, str] = {}
        self.calls: set[str] = set()
        self.items: set[str] = set()
        self.last = ""
        self.sound = 0
        self.spoken = ""
        """The item of the turn being spoken."""

    def id(self, kind: str) -> str:
        self.number += 1
        return f"{kind}_{self.number}"

    async def send(self, kind: str, **fields: object) -> None:
        frame = json.dumps({"type": kind, "event_id": self.id("event"), **fields})
        await self.socket.send(self.strict(frame))

    def strict(self, frame: str) -> str:
        check(frame)
        return frame

    def read(self, frame: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(frame)
        _CLIENT.validate_python(said)
        return said

    def look(self) -> None:
        request = self.socket.request
        assert request is not None
        assert request.path == self.path
        for name, value in self.headers.items():
            assert request.headers[name] == value
        assert "planted-key" not in request.path
        assert not self.socket.subprotocol, "a header and a subprotocol"

    async def hold(self) -> None:
        if self.fake.wants_key:
            self.look()
        await self.greet()
        async for frame in self.socket:
            assert isinstance(frame, str), "text frames"
            said = self.read(frame)
            await getattr(self, "on_" + said["type"].replace(".", "_"))(said)

    async def greet(self) -> None:
        await self.send("session.created", session={"type": "realtime", "model": "m"})

    # ------------------------------------------------------------------ client events

    async def on_session_update(self, said: dict[str, Any]) -> None:
        session = said["session"]
        self.fake.setups.append(session)
        self.manual = self.detection(session) is None
        await self.send("session.updated", session={"type": "realtime", "model": "m"})

    def detection(self, session: dict[str, Any]) -> object:
        return session["audio"]["input"].get("turn_detection")

    async def on_input_audio_buffer_append(self, said: dict[str, Any]) -> None:
        size = len(b64decode(said["audio"]))
        self.sound += size
        self.fake.heard += size
        if self.manual:
            return
        if not self.spoken:
            self.spoken = self.id("item")
            where = {"item_id": self.spoken}
            await self.send("input_audio_buffer.speech_started", **where, audio_start_ms=0)
            await self.end("cancelled", "turn_detected")
        if self.sound >= SECOND:
            where = {"item_id": self.spoken}
            await self.send("input_audio_buffer.speech_stopped", **where, audio_end_ms=1000)
            await self.commit()
            await self.reply()

    async def on_input_audio_buffer_clear(self, said: dict[str, Any]) -> None:
        self.sound, self.spoken = 0, ""
        await self.send("input_audio_buffer.cleared")

    async def on_input_audio_buffer_commit(self, said: dict[str, Any]) -> None:
        assert self.sound >= SECOND // 10, "too little sound"
        await self.commit()

    async def commit(self) -> None:
        item_id, self.spoken, self.sound = self.spoken or self.id("item"), "", 0
        self.last = "spoken words"
        part = {"type": "input_audio", "transcript": None}
        item = {"id": item_id, "type": "message", "role": "user", "content": [part]}
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        await self.send("conversation.item.added", item=item)
        heard: dict[str, Any] = {"item_id": item_id, "content_index": 0, "transcript": self.last}
        usage = {"type": "duration", "seconds": 1.0}
        await self.send(_HEARD, **heard, usage=usage)

    async def on_conversation_item_create(self, said: dict[str, Any]) -> None:
        item = said["item"]
        for name in ("id", "call_id"):
            assert len(item.get(name, "")) <= self.longest_id, f"{name} is too long"
        if item["type"] == "message":
            *shown, part = item["content"]
            assert all(each["type"] == "input_image" for each in shown)
            self.fake.pictures += [each["image_url"] for each in shown]
            wanted = {"user": "input_text", "assistant": "output_text", "system": "input_text"}
            assert part["type"] == wanted[item["role"]]
            self.last = part["text"]
            self.fake.history.append((item["role"], self.last))
        elif item["type"] == "function_call":
            self.calls.add(item["call_id"])
            self.fake.history.append(("call", item["name"]))
        else:
            assert item["call_id"] in self.calls, "nobody asked"
            self.calls.discard(item["call_id"])
            self.fake.results.append({"output": item["output"]})
            self.last = "" if self.calls else "results"
        item = {"id": self.id("item"), **item}
        self.items.add(item["id"])
        await self.send("conversation.item.added", item=item)

    async def on_conversation_item_delete(self, said: dict[str, Any]) -> None:
        assert said["item_id"] in self.items, "there is no such item"
        self.items.discard(said["item_id"])
        await self.send("conversation.item.deleted", item_id=said["item_id"])

    async def on_conversation_item_truncate(self, said: dict[str, Any]) -> None:
        assert 0 < said["audio_end_ms"] <= 50
        where = {name: said[name] for name in ("item_id", "content_index", "audio_end_ms")}
        await self.send("conversation.item.truncated", **where)

    async def on_response_cancel(self, said: dict[str, Any]) -> None:
        await self.end("cancelled", "client_cancelled")

    async def on_response_create(self, said: dict[str, Any]) -> None:
        wanted = said.get("response", {})
        if wanted.get("conversation") == "none":
            await self.aside(wanted)
            return
        assert not self.running, "one response at a time"
        assert not self.calls, "results are missing"
        self.last = wanted.get("instructions") or self.last
        await self.reply()

    async def aside(self, wanted: dict[str, Any]) -> None:
        """Answer out of band, with the first words of the instructions."""
        response: dict[str, Any] = {"id": self.id("resp"), "object": "realtime.response"}
        response |= {"output": [], "metadata": wanted["metadata"], "conversation_id": None}
        await self.send("response.created", response={**response, "status": "in_progress"})
        where = {"response_id": response["id"], "item_id": self.id("item"), "output_index": 0}
        text = f"Aside: {wanted['instructions'].splitlines()[-1]}"
        await self.send("response.output_text.done", **where, content_index=0, text=text)
        done = {**response, "status": "completed", "usage": dict(self.usage)}
        await self.send("response.done", response=done)

    # ------------------------------------------------------------------ server events

    async def reply(self) -> None:
        self.running = {"id": self.id("resp"), "object": "realtime.response"}
        response: dict[str, Any] = {**self.running, "status": "in_progress", "output": []}
        await self.send("response.created", response=response)
        if calls := calls_of(self.last):
            for index in range(calls):
                await self.call(index)
        else:
            await self.speak()
        if "story" not in self.last:
            await self.end("completed")

    async def end(self, status: str, reason: str | None = None) -> None:
        if not self.running:
            return
        details = {"type": status, "reason": reason} if reason else None
        response: dict[str, Any] = {
            **self.running,
            "status": status,
            "status_details": details,
            "output": [],
        }
        self.running = {}
        await self.send("response.done", response={**response, "usage": dict(self.usage)})

    async def call(self, index: int) -> None:
        call_id, item_id = self.id("call"), self.id("item")
        self.calls.add(call_id)
        where: dict[str, Any] = {"response_id": self.running["id"], "output_index": index}
        arguments = '{"zone": "Asia/Tokyo"}'
        item = {
            "id": item_id, "type": "function_call", "name": "current_time", "call_id": call_id,
            "arguments": "",
        }  # fmt: skip
        of_call: dict[str, Any] = {**where, "item_id": item_id, "call_id": call_id}
        await self.send("response.output_item.added", **where, item=item)
        await self.send("response.function_call_arguments.delta", **of_call, delta=arguments)
        named = {"name": "current_time", "arguments": arguments}
        await self.send("response.function_call_arguments.done", **of_call, **named)
        item |= {"arguments": arguments, "status": "completed"}
        await self.send("response.output_item.done", **where, item=item)

    async def speak(self) -> None:
        where: dict[str, Any] = {"response_id": self.running["id"], "output_index": 0}
        item: dict[str, Any] = {"id": self.id("item"), "type": "message", "role": "assistant"}
        of_part: dict[str, Any] = {**where, "item_id": item["id"], "content_index": 0}
        await self.send("response.output_item.added", **where, item={**item, "content": []})
        self.items.add(item["id"])
        await self.send("response.output_audio.delta", **of_part, delta=SOUND)
        spoken = "response.output_audio_transcript"
        if "story" in self.last:
            await self.send(f"{spoken}.delta", **of_part, delta="Once upon a time")
            return
        text = "So it is." if self.last == "results" else f"You said {self.last}."
        await self.send(f"{spoken}.delta", **of_part, delta=text)
        await self.send("response.output_audio.done", **of_part)
        await self.send(f"{spoken}.done", **of_part, transcript=text)
        await self.message_done(where, item, text)

    async def message_done(self, where: dict[str, Any], item: dict[str, Any], text: str) -> None:
        content = [{"type": "output_audio", "transcript": text}]
        done = {**item, "status": "completed", "content": content}
        await self.send("response.output_item.done", **where, item=done)
        await self.send("conversation.item.done", item=done)


class Azure(OpenAI):
    """One connection of the fake Azure OpenAI."""

    path = "/openai/v1/realtime?model=my-deployment"
    headers: Mapping[str, str] = {"api-key": "planted-key"}


class Grok(OpenAI):
    """One connection of the fake xAI; each method documents its deviation."""

    path = "/v1/realtime?model=grok-voice-latest"
    longest_id = 64
    fresh = False
    refused_truncation = False
    billed = 0

    def id(self, kind: str) -> str:
        """Ids are longer than OpenAI accepts."""
        return f"{super().id(kind)}-{'0' * 30}"

    def strict(self, frame: str) -> str:
        return frame

    def read(self, frame: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(frame)
        return said

    async def greet(self) -> None:
        session = {"id": "s", "turn_detection": {"type": None}}
        self.manual = True
        await self.send("session.created", session=session)
        await self.send("conversation.created", conversation={"id": "c"})
        await self.send("ping", timestamp=1)

    def detection(self, session: dict[str, Any]) -> object:
        """Turn detection is at the top level; there is no semantic one."""
        wanted = session["turn_detection"]
        assert wanted is None or wanted["type"] == "server_vad"
        return wanted

    async def on_input_audio_buffer_append(self, said: dict[str, Any]) -> None:
        """Without turn detection, audio during a response aborts it without an end."""
        assert not (self.manual and self.running), "sound during a reply"
        await super().on_input_audio_buffer_append(said)

    async def on_input_audio_buffer_clear(self, said: dict[str, Any]) -> None:
        self.fresh = True
        await super().on_input_audio_buffer_clear(said)

    async def on_input_audio_buffer_commit(self, said: dict[str, Any]) -> None:
        """Without turn detection, a commit starts the response; otherwise it is ignored."""
        if self.manual:
            await super().on_input_audio_buffer_commit(said)
            await self.reply()

    async def on_conversation_item_create(self, said: dict[str, Any]) -> None:
        self.fresh = True
        await super().on_conversation_item_create(said)

    async def on_conversation_item_truncate(self, said: dict[str, Any]) -> None:
        """Older servers refuse it, with an error that names no event."""
        assert not self.refused_truncation, "truncated again after a refusal"
        self.refused_truncation = True
        message = f"Unknown event type: {said['type']}"
        await self.send("error", error={"type": "invalid_request_error", "message": message})

    async def on_response_create(self, said: dict[str, Any]) -> None:
        """A request without new input is dropped without an error."""
        if self.fresh:
            await super().on_response_create(said)

    async def reply(self) -> None:
        self.fresh = False
        await super().reply()

    async def end(self, status: str, reason: str | None = None) -> None:
        """Usage is outside the response, and its seconds are a running total."""
        if self.running:
            self.billed += 2
            response = {"id": self.running["id"], "status": status, "usage": {}}
            response["status_details"] = "unimplemented"
            self.running = {}
            usage = {**self.usage, "billable_audio_seconds": self.billed}
            await self.send("response.done", response=response, usage=usage)

    async def message_done(self, where: dict[str, Any], item: dict[str, Any], text: str) -> None:
        """The end of an item has no content, and there is no `conversation.item.done`."""
        await self.send("response.output_item.done", **where, item=item)


async def openai(fake: Fake, socket: ServerConnection) -> None:
    """Serve one connection as OpenAI does."""
    await OpenAI(fake, socket).hold()


async def azure(fake: Fake, socket: ServerConnection) -> None:
    """Serve one connection as Azure does."""
    await Azure(fake, socket).hold()


async def grok(fake: Fake, socket: ServerConnection) -> None:
    """Serve one connection as xAI does."""
    await Grok(fake, socket).hold()
