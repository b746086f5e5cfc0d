"""A scripted provider of phone calls on loopback: signed webhooks, requests, control sockets.

It behaves like OpenAI. A call rings until it is accepted, rejected or given up; then the control
socket is open to any number of programs. Each requested response is answered by `on_response`.
`wrong` lists the violations of the wire; a test checks that it is empty.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx
import uvicorn
from openai.types.realtime import RealtimeClientEvent
from openai.types.realtime.call_accept_params import CallAcceptParams
from pydantic import TypeAdapter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

KEY = "sk-planted-0123456789"
SECRET = "whsec_" + b64encode(b"planted secret of a webhook").decode()
_CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
_ACCEPT: TypeAdapter[Any] = TypeAdapter(CallAcceptParams)


def signed(body: bytes, webhook_id: str = "wh_1", at: float | None = None) -> dict[str, str]:
    """Return the headers of a webhook, signed as Standard Webhooks describes."""
    sent = str(int(time.time() if at is None else at))
    key = b64decode(SECRET.removeprefix("whsec_"))
    text = f"{webhook_id}.{sent}.".encode() + body
    signature = b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": sent,
        "webhook-signature": f"v1,{signature}",
    }


def event_body(call_id: str, caller: str = "+15551230000", kind: str = "") -> bytes:
    """Return the body of the webhook for a call."""
    live = call_id.startswith("live_")
    kind = kind or ("live.transport.incoming" if live else "realtime.call.incoming")
    data: dict[str, Any] = {"session_id" if live else "call_id": call_id}
    data |= {"type": "sip"} if live else {}
    data["sip_headers"] = [
        {"name": "From", "value": f'"Ann" <sip:{caller}@phone.example>;tag=1'},
        {"name": "To", "value": "<sip:+15550009999@sip.example>"},
    ]
    event = {"id": f"evt_{call_id}", "object": "event", "created_at": int(time.time())}
    return json.dumps({**event, "type": kind, "data": data}).encode()


@dataclass(eq=False)
class Call:
    """One call at the provider."""

    call_id: str
    state: str = "ringing"
    """ringing, talking, rejected or over."""
    session: dict[str, Any] = field(default_factory=dict)
    """The body of `accept`."""
    tools: list[str] = field(default_factory=list)
    code: int = 0
    target: str = ""
    sockets: list[WebSocket] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    """The frames of all programs."""
    number: int = 0

    def id(self, kind: str) -> str:
        self.number += 1
        return f"{kind}_{self.call_id}_{self.number}"

    async def send(self, kind: str, **fields: object) -> None:
        """Send a frame to every program."""
        frame = json.dumps({"type": kind, "event_id": self.id("event"), **fields})
        for socket in tuple(self.sockets):
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.send_text(frame)

    # ------------------------------------------------------------------ what happens on the phone

    async def hear(self, words: str) -> None:
        """Let the caller say something; the model does not answer by itself."""
        item_id = self.id("item")
        await self.send("input_audio_buffer.speech_started", item_id=item_id, audio_start_ms=0)
        await self.send("input_audio_buffer.speech_stopped", item_id=item_id, audio_end_ms=900)
        await self.send("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        part = {"type": "input_audio", "transcript": None}
        item = {"id": item_id, "type": "message", "role": "user", "content": [part]}
        await self.send("conversation.item.added", item=item, previous_item_id=None)
        await self.send(
            "conversation.item.input_audio_transcription.completed",
            item_id=item_id, content_index=0, transcript=words,
            usage={"type": "duration", "seconds": 1.0},
        )  # fmt: skip

    async def speak(self, words: str, tool: str = "", arguments: str = "{}") -> str:
        """Let the model say something and, if it is named, call a tool; return the call's id."""
        response: dict[str, Any] = {
            "id": self.id("resp"), "object": "realtime.response", "output": [],
        }  # fmt: skip
        at = {"response_id": response["id"], "output_index": 0}
        await self.send("response.created", response={**response, "status": "in_progress"})
        if words:
            item = {"id": self.id("item"), "type": "message", "role": "assistant"}
            part = {**at, "item_id": item["id"], "content_index": 0}
            await self.send("response.output_item.added", **at, item={**item, "content": []})
            await self.send("output_audio_buffer.started", response_id=response["id"])
            spoken = "response.output_audio_transcript"
            await self.send(f"{spoken}.delta", **part, delta=words)
            await self.send(f"{spoken}.done", **part, transcript=words)
            content = [{"type": "output_audio", "transcript": words}]
            done = {**item, "status": "completed", "content": content}
            await self.send("response.output_item.done", **at, item=done)
        call_id = await self.call(at, tool, arguments) if tool else ""
        usage = {"total_tokens": 15, "input_tokens": 10, "output_tokens": 5}
        finished = {**response, "status": "completed", "status_details": None, "usage": usage}
        await self.send("response.done", response=finished)
        if words:
            await self.send("output_audio_buffer.stopped", response_id=response["id"])
        return call_id

    async def call(self, at: dict[str, Any], tool: str, arguments: str) -> str:
        call_id = self.id("call")
        item = {"id": self.id("item"), "type": "function_call", "name": tool, "call_id": call_id}
        of_call = {**at, "item_id": item["id"], "call_id": call_id}
        await self.send("response.output_item.added", **at, item={**item, "arguments": ""})
        await self.send(
            "response.function_call_arguments.done", **of_call, name=tool, arguments=arguments
        )
        done = {**item, "arguments": arguments, "status": "completed"}
        await self.send("response.output_item.done", **at, item=done)
        return call_id

    async def end(self) -> None:
        """Let the caller hang up."""
        self.state = "over"
        for socket in tuple(self.sockets):
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(1000)

    def outputs(self) -> dict[str, str]:
        """The results of tools by the id of their call."""
        items = [f["item"] for f in self.received if f["type"] == "conversation.item.create"]
        results = [item for item in items if item["type"] == "function_call_output"]
        return {item["call_id"]: item["output"] for item in results}


class CallProvider:
    """The provider: its calls, and a client for the receiver of webhooks."""

    def __init__(self) -> None:
        self.calls: dict[str, Call] = {}
        self.wrong: list[str] = []
        self.requests: list[str] = []
        """Method and path of each request."""
        self.refuse: dict[str, int] = {}
        """Status codes for actions that fail, such as `accept`."""
        self.on_request: Callable[[str], object] | None = None
        """Receives the action of each request before it is answered."""
        self.answer_later: dict[str, asyncio.Event] = {}
        """Actions that take effect at once, and whose answer waits."""
        self.port = 0
        self.is_reachable = True
        """False to answer sockets with status 503."""
        self.refused_sockets = 0
        self.on_response: Callable[[Call, dict[str, Any]], Awaitable[object]] | None = None
        """Answers `response.create`; without it, each is answered with "Yes?"."""
        self._news = asyncio.Event()
        self._client: httpx.AsyncClient | None = None
        self._numbers = count(1)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def note(self) -> None:
        """Let `until` check its condition."""
        self._news.set()

    async def until(self, reached: Callable[[], bool], seconds: float = 40) -> None:
        """Wait until the condition is true; it is checked after everything that arrives."""
        async with asyncio.timeout(seconds):
            while not reached():
                self._news.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), 0.2)

    async def ring(
        self, webhook: str, call_id: str, caller: str = "+15551230000"
    ) -> httpx.Response:
        """Let a call ring, and post its webhook."""
        self.calls[call_id] = Call(call_id)
        body = event_body(call_id, caller)
        return await self.post(webhook, body, signed(body, f"wh_{next(self._numbers)}"))

    async def post(self, webhook: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        assert self._client is not None
        return await self._client.post(webhook, content=body, headers=headers)

    def look(self, headers: Any) -> None:
        if headers.get("authorization") != f"Bearer {KEY}":
            self.wrong.append("no key")

    # ------------------------------------------------------------------ the servers

    async def act(self, request: Request) -> Response:
        """Answer `POST …/calls/ID/ACTION` or `…/live/sessions/ID/ACTION`."""
        self.look(request.headers)
        action, call_id = request.path_params["action"], request.path_params["call_id"]
        self.requests.append(f"{action} {call_id}")
        call, body = self.calls.get(call_id), json.loads(await request.body())
        self._news.set()
        if self.on_request is not None:
            self.on_request(action)
        if action in self.refuse:
            error = {"message": f"Bad {KEY} thing.", "type": "x", "param": None, "code": None}
            return JSONResponse({"error": error}, self.refuse[action])
        if call is None or call.state in {"rejected", "over"}:
            return JSONResponse({"error": {"message": "No such call."}}, 404)
        match action:
            case "accept":
                self.accept(call, body)
            case "reject":
                call.state, call.code = "rejected", body["status_code"]
            case "refer":
                call.target = body["target_uri"]
                asyncio.get_running_loop().call_soon(self._end_soon, call)
            case "hangup":
                asyncio.get_running_loop().call_soon(self._end_soon, call)
        if action in self.answer_later:
            await self.answer_later[action].wait()
        return Response()

    def _end_soon(self, call: Call) -> None:
        self.ending = asyncio.ensure_future(call.end())

    def accept(self, call: Call, body: dict[str, Any]) -> None:
        call.session, call.state = body, "talking"
        if not call.call_id.startswith("live_"):
            _ACCEPT.validate_python(body)

    async def join(self, socket: WebSocket) -> None:
        """Serve one control socket."""
        self.look(socket.headers)
        call = self.calls.get(
            socket.path_params.get("call_id") or socket.query_params.get("call_id", "")
        )
        if not self.is_reachable:
            self.refused_sockets += 1
            self._news.set()
            await socket.send_denial_response(JSONResponse({}, 503))
            return
        if call is None or call.state != "talking":
            await socket.send_denial_response(
                JSONResponse({"error": {"message": "No such call."}}, 404)
            )
            return
        await socket.accept()
        call.sockets.append(socket)
        try:
            while True:
                await self.take(call, json.loads(await socket.receive_text()))
                self._news.set()
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            call.sockets.remove(socket)
            self._news.set()

    async def take(self, call: Call, said: dict[str, Any]) -> None:
        """Take one frame of a program."""
        call.received.append(said)
        if call.call_id.startswith("live_"):
            if said["type"] == "session.update":
                await call.send("session.updated", session={"id": call.call_id})
            return
        try:
            _CLIENT.validate_python(said)
        except ValueError as problem:
            self.wrong.append(str(problem)[:300])
        match said["type"]:
            case "session.update":
                tools = said["session"].get("tools")
                if tools is not None:
                    call.tools = [tool["name"] for tool in tools]
                audio = said["session"].get("audio", {})
                if "voice" in audio.get("output", {}) or "format" in str(audio):
                    self.wrong.append("sound changes during the call")
                await call.send("session.updated", session={"type": "realtime"})
            case "response.create":
                await (self.on_response or _answer)(call, said)
            case "conversation.item.create":
                await call.send(
                    "conversation.item.added", item={"id": call.id("i"), **said["item"]}
                )
            case "output_audio_buffer.clear":
                await call.send("output_audio_buffer.cleared", response_id="resp")


async def _answer(call: Call, said: dict[str, Any]) -> object:
    return await call.speak("Yes?")


class _Server(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@asynccontextmanager
async def call_provider() -> AsyncIterator[CallProvider]:
    """Run a provider."""
    provider = CallProvider()
    routes = [
        Route("/v1/realtime/calls/{call_id}/{action}", provider.act, methods=["POST"]),
        Route("/v1/live/sessions/{call_id}/{action}", provider.act, methods=["POST"]),
        WebSocketRoute("/v1/realtime", provider.join),
        WebSocketRoute("/v1/live/sessions/{call_id}/attach", provider.join),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), port=0, log_config=None, ws="websockets-sansio", lifespan="off",
        timeout_graceful_shutdown=1, access_log=False,
    )  # fmt: skip
    server = _Server(config)
    server.capture_signals = nullcontext  # type: ignore[assignment, method-assign]
    running = asyncio.create_task(server.serve())
    try:
        await asyncio.wait_for(server.listening.wait(), 10)
        provider.port = server.servers[0].sockets[0].getsockname()[1]
        async with httpx.AsyncClient(trust_env=False, timeout=20, verify=False) as client:
            provider._client = client
            yield provider
    finally:
        server.should_exit = True
        for call in provider.calls.values():
            await call.end()
        await asyncio.wait({running}, timeout=5)
