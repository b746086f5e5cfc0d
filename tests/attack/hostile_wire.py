"""A realtime provider that attacks its clients: each connection gets one of the ways in `WAYS`."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from http import HTTPStatus
from itertools import count
from logging import CRITICAL, Logger
from random import Random

import wire_examples
from corpus import ESCAPES, MARKUP
from mutation import mutate
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.http11 import Request, Response

WIRES: dict[str, tuple[str, str, str]] = {
    "openai": ("openai/gpt-realtime-2.1", "OPENAI_API_KEY", "openai_ga_server"),
    "azure": ("azure/my-deployment", "AZURE_OPENAI_API_KEY", "openai_ga_server"),
    "xai": ("xai/grok-voice-latest", "XAI_API_KEY", "xai_server"),
    "google": ("google/gemini-3.8-live", "GEMINI_API_KEY", "gemini_server"),
    "gateway": ("gateway/openai/gpt-realtime-2.1", "AI_GATEWAY_API_KEY", "gateway_server"),
    "live": ("openai/gpt-live-1", "OPENAI_API_KEY", "openai_live_server"),
}
"""Model, variable of the key and examples of the frames, by wire."""

KEY = "sk-planted-attack-0123456789abcdef"
SAYING = f"Incorrect key: {KEY}"

TEXTS: tuple[str, ...] = (
    "- " * 20_000,
    "> " * 20_000,
    "".join(f"{'  ' * depth}- deep\n" for depth in range(300)),
    "| a | b |\n|---|---|\n" + "| x | y |\n" * 4_000,
    "|" * 30_000 + "\n" + "|-" * 15_000,
    "**" * 30_000,
    "*a _b " * 10_000,
    "[" * 20_000,
    "[a](" * 15_000,
    "![x][y]" * 8_000,
    "`" * 30_000 + "x",
    "<!--" * 10_000,
    "&#x1F468;&#x200D;" * 5_000,
    "\u202e\u2066" * 15_000,
    "e" + "\u0301" * 60_000,
    "\U0001f468\u200d" * 20_000,
    "x" * 60_000,
    "\n" * 30_000,
    "```\n" + "y\n" * 15_000,
    "https://example.org/" * 3_000,
    "www.a==x" * 1_500,
    "http://<a  - " * 900,
    "1. a\n" * 8_000,
    "\t" * 30_000,
    SAYING,
    *MARKUP,
    *ESCAPES,
)

Send = Callable[[str | bytes], Awaitable[None]]


class HostileWire:
    """The server: `way` and `wire` are the present ones, and `choose` decides within them."""

    def __init__(self) -> None:
        self.wire = "openai"
        self.way = "broken frames"
        self.choose = Random(0)
        self.port = 0
        self.connections = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HostileWire]:
        """Serve until the end of the block."""
        quiet = Logger("the attack", CRITICAL)
        async with serve(
            self._accept, "127.0.0.1", 0, process_request=self._answer, logger=quiet,
            compression=None, ping_interval=None, max_size=None, close_timeout=0.2,
        ) as server:  # fmt: skip
            self.port = next(iter(server.sockets)).getsockname()[1]
            yield self

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        self.connections += 1
        if self.way != "refusals":
            return None
        status = self.choose.choice((HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY))
        response = connection.respond(status, SAYING + "\x1b[2J" * 9_000)
        response.headers["Retry-After"] = self.choose.choice(("0", "-5", "1e400", "never"))
        return response

    async def _accept(self, socket: ServerConnection) -> None:
        with suppress(ConnectionClosed, ConnectionError):
            reading = asyncio.create_task(_read(socket))
            try:
                await WAYS[self.way](socket, self.wire, self.choose)
                await asyncio.sleep(0.2)
                code = self.choose.choice((1000, 1007, 1008, 1011, 1013, 4001))
                await socket.close(code, SAYING)
            finally:
                reading.cancel()


async def _read(socket: ServerConnection) -> None:
    with suppress(WebSocketException, ConnectionError):
        async for _ in socket:
            pass


def _examples(wire: str) -> list[str]:
    return wire_examples.frames(WIRES[wire][2])


async def _broken_frames(socket: ServerConnection, wire: str, choose: Random) -> None:
    examples = _examples(wire)
    await socket.send(examples[0])
    for place in range(3_000):
        frame = examples[place % len(examples)]
        if choose.random() < 0.4:
            frame = mutate(choose, frame, choose.choice(examples))  # type: ignore[assignment]
        await socket.send(frame)


def _texts(wire: str, text: str, numbers: Iterator[int]) -> list[dict[str, object]]:
    """Return the frames of a response with this text."""
    at = next(numbers)
    if wire == "google":
        said = {"outputTranscription": {"text": text}}
        return [{"serverContent": said}, {"serverContent": {"turnComplete": True}}]
    if wire == "gateway":
        where: dict[str, object] = {"responseId": f"r{at}", "itemId": f"i{at}"}
        return [
            {"type": "response-created", "responseId": f"r{at}"},
            {"type": "text-delta", **where, "delta": text},
            {"type": "response-done", "responseId": f"r{at}", "status": "completed"},
        ]
    if wire == "live":
        return [{"type": "session.output_transcript.delta", "delta": text}]
    response: dict[str, object] = {"id": f"r{at}", "status": "in_progress", "output": []}
    where = {"response_id": f"r{at}", "item_id": f"i{at}", "output_index": 0}
    item = {"id": f"i{at}", "type": "message", "role": "assistant", "content": []}
    return [
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "response_id": f"r{at}", "item": item},
        {"type": "response.output_text.delta", **where, "content_index": 0, "delta": text},
        {"type": "response.done", "response": {**response, "status": "completed"}},
    ]


async def _open(socket: ServerConnection, wire: str) -> None:
    """Send what opens a session."""
    await socket.send(_examples(wire)[0])


async def _costly_texts(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    numbers = count(1)
    for _ in range(12):
        for frame in _texts(wire, choose.choice(TEXTS), numbers):
            await socket.send(json.dumps(frame))
        await asyncio.sleep(0.05)


async def _burst_of_texts(socket: ServerConnection, wire: str, choose: Random) -> None:
    """Send long texts at once, so that one drawing lays out all of them."""
    await _open(socket, wire)
    numbers = count(1)
    for _ in range(4):
        for unit in choose.sample(_MARKED, 6):
            for frame in _texts(wire, (unit * 12_000)[:11_900], numbers):
                await socket.send(json.dumps(frame))
        await asyncio.sleep(0.3)


_MARKED = (
    "  - `a` ", "- **a** b c d e f g h i j k l m n o p q r\n", "word *a* and so on, and so on ",
    "| a | b | c d e f g h i j |\n", "1. a b c d e f g h i j k l m n o\n", "> a b `c` d e f g\n",
    "(x*)", "`a` b ", "# a\n\nb c\n", "https://a.example/b c d e f g h i j\n", "\u6f22\u5b57 ",
)  # fmt: skip


async def _streamed_text(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    begin, *rest = _texts(wire, choose.choice(TEXTS), count(1))
    frames = [begin, *rest]
    await socket.send(json.dumps(frames[0]))
    text = choose.choice(TEXTS)
    for at in range(0, min(len(text), 30_000), 30):
        for frame in _texts(wire, text[at : at + 30], iter([1]))[-2:-1] or frames[:1]:
            await socket.send(json.dumps(frame))


async def _flood(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    numbers = count(1)
    for _ in range(3_000):
        for frame in _texts(wire, "and so on ", numbers):
            await socket.send(json.dumps(frame))


async def _huge_frames(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    frames = (
        "[" * 3_000_000,
        '{"type":' * 500_000,
        '{"type": "x", "a": [' + "1e99," * 500_000 + "1]}",
        '{"type": "error", "error": {"message": "' + "\\u001b" * 500_000 + '"}}',
        '{"type": "session.updated", "session": {' + '"a": {},' * 200_000 + '"b": 1}}',
        json.dumps({"serverContent": {"outputTranscription": {"text": "y " * 1_500_000}}}),
        *(json.dumps(frame) for frame in _texts(wire, "z " * 1_500_000, count(9))),
        "9" * 3_000_000,
    )
    for _ in range(6):
        await socket.send(choose.choice(frames))
        await asyncio.sleep(0.05)


def _delta(wire: str, kind: str, text: str) -> dict[str, object]:
    """Return a frame with a piece of the only text of its kind: the reply, a call or the user."""
    ids = {"response_id": "r", "item_id": kind, "call_id": kind, "output_index": 0}
    if wire == "google":
        name = "inputTranscription" if kind == "user" else "outputTranscription"
        return {"serverContent": {name: {"text": text}}}
    if wire == "gateway":
        names = {"text": "text-delta", "call": "function-call-arguments-delta"}
        frame = {"responseId": "r", "itemId": kind, "callId": kind, "delta": text}
        return {
            "type": names.get(kind, "input-transcription-completed"),
            "transcript": text,
            **frame,
        }
    if wire == "live":
        side = "input" if kind == "user" else "output"
        return {"type": f"session.{side}_transcript.delta", "delta": text}
    names = {
        "text": "response.output_text.delta",
        "call": "response.function_call_arguments.delta",
        "user": "conversation.item.input_audio_transcription.delta",
    }
    return {"type": names[kind], **ids, "content_index": 0, "delta": text}


async def _endless_text(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    kind = choose.choice(("text", "call", "user"))
    unit = choose.choice(("word ", "\u0430", "\U0001f468\u200d", "\x1b[2J", "\ud83d", "x"))
    for frame in _texts(wire, "so ", iter([0]))[:-1]:
        await socket.send(json.dumps(frame))
    if wire not in {"google", "gateway", "live"}:
        await socket.send(json.dumps({"type": "response.created", "response": {"id": "r"}}))
    delta = json.dumps(_delta(wire, kind, unit * (1_000_000 // len(unit))))
    for _ in range(300):
        await socket.send(delta)


async def _huge_texts(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    units = (
        "\ud83d",
        "\ude00\ud83d",
        "a\u200d",
        "\x1b",
        "\r\n",
        "\U000e0041",
        "e\u0301",
        "\\u001b",
    )
    for number in range(4):
        text = choose.choice(units) * 1_200_000
        for frame in _texts(wire, text, count(number * 10)):
            await socket.send(json.dumps(frame))


async def _too_large(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    await socket.send(bytes(120_000_000) if choose.random() < 0.5 else "x" * 60_000_000)


async def _fragments(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    await socket.send(b"x" * 100 for _ in range(50_000))


async def _sound(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    sound = b64encode(bytes(choose.choice((3, 480, 2_000_001)))).decode()
    where = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    blob = {"data": sound, "mimeType": "audio/pcm;rate=24000"}
    turn = {"modelTurn": {"parts": [{"inlineData": blob}]}}
    frames = {
        "google": {"serverContent": turn},
        "gateway": {"type": "audio-delta", "responseId": "r", "itemId": "i", "delta": sound},
        "live": {"type": "session.output_audio.delta", "audio": sound, "delta": sound},
    }
    usual = {"type": "response.output_audio.delta", **where, "delta": sound}
    await socket.send(json.dumps({"type": "response.created", "response": {"id": "r"}}))
    for _ in range(60):
        await socket.send(json.dumps(frames.get(wire, usual)))


async def _calls(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    for at in range(150):
        name = choose.choice(("current_time", "run_command", "x" * 10_000, "\x1b[2J", ""))
        arguments = choose.choice(("{}", "[" * 50_000, json.dumps({"a": "\u202e" * 30_000}), "7"))
        ids = {"response_id": f"r{at}", "item_id": f"i{at}", "call_id": f"c{at}"}
        item = {"id": f"i{at}", "type": "function_call", "name": name, "call_id": f"c{at}"}
        done = {"type": "response.function_call_arguments.done", **ids, "name": name}
        call = {"id": f"c{at}", "name": name, "args": {"a": arguments}}
        frames: list[object] = [
            {"type": "response.created", "response": {"id": f"r{at}"}},
            {"type": "response.output_item.added", "response_id": f"r{at}", "item": item},
            {**done, "arguments": arguments},
            {"type": "response.done", "response": {"id": f"r{at}", "status": "completed"}},
        ]
        for frame in [{"toolCall": {"functionCalls": [call]}}] if wire == "google" else frames:
            await socket.send(json.dumps(frame))


async def _pings(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    for number in range(3_000):
        await socket.ping(number.to_bytes(4, "big") * 30)


async def _limits(socket: ServerConnection, wire: str, choose: Random) -> None:
    await _open(socket, wire)
    for number in range(1_000):
        limit = {"name": choose.choice(ESCAPES), "limit": 10**30, "remaining": number - 500}
        limits = [{**limit, "reset_seconds": choose.choice((0, -1, 1e300))}]
        await socket.send(json.dumps({"type": "rate_limits.updated", "rate_limits": limits}))
        usage = {"total_tokens": 2**60, "input_tokens": -5, "output_tokens": 1e300}
        said = {"type": "invalid", "code": KEY, "message": choose.choice(TEXTS)[:5_000]}
        await socket.send(json.dumps({"type": "error", "error": said, "usageMetadata": usage}))


async def _nothing(socket: ServerConnection, wire: str, choose: Random) -> None:
    """Close at once, or after a frame."""
    if choose.random() < 0.5:
        await _open(socket, wire)


WAYS: dict[str, Callable[[ServerConnection, str, Random], Awaitable[None]]] = {
    "broken frames": _broken_frames,
    "costly texts": _costly_texts,
    "burst of texts": _burst_of_texts,
    "streamed text": _streamed_text,
    "flood of responses": _flood,
    "huge frames": _huge_frames,
    "huge texts": _huge_texts,
    "endless text": _endless_text,
    "too large a frame": _too_large,
    "many fragments": _fragments,
    "sound": _sound,
    "tool calls": _calls,
    "pings": _pings,
    "limits and errors": _limits,
    "short connections": _nothing,
    "refusals": _nothing,
}
