"""The list of models of a server: the clear choice, and answers that are no list."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bombs import BOMB, NESTED
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from voicechat.errors import Secret, UsageError
from voicechat.session import served_models
from voicechat.session.served_models import served_model
from voicechat.system.dial_target import DialTarget

DEFAULT = "gpt-realtime-2.1"


def entries(*names: str, **more: object) -> list[dict[str, Any]]:
    return [{"id": name, "object": "model", **more} for name in names]


@asynccontextmanager
async def listing(body: bytes | None, status: int = 200, **more: str) -> AsyncIterator[DialTarget]:
    """Answer each request with this body, or not at all; yield the target of the socket."""
    requests: list[Request] = []
    ended = asyncio.Event()

    async def answer(socket: ServerConnection, request: Request) -> Response:
        requests.append(request)
        if body is None:
            await ended.wait()
        headers = Headers({"Content-Length": str(len(body or b"")), "Location": "/", **more})
        return Response(status, "As you see", headers, body or b"")

    async def talk(socket: ServerConnection) -> None:
        raise AssertionError("a list is no socket")

    async with serve(talk, "127.0.0.1", 0, process_request=answer) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        key = {"Authorization": Secret("Bearer planted")}
        yield DialTarget(f"ws://127.0.0.1:{port}/v1/realtime?model={DEFAULT}", key)
        ended.set()
    assert {request.path for request in requests} <= {"/v1/models", "/v1/models/capabilities"}
    assert all(request.headers["Authorization"] == "Bearer planted" for request in requests)


def listed(models: list[dict[str, Any]]) -> bytes:
    return json.dumps({"object": "list", "data": models}).encode()


@pytest.mark.parametrize(
    ("models", "name"),
    [
        (entries("one"), "one"),
        (entries("a", DEFAULT, "b"), DEFAULT),
        (entries("whisper", "qwen", "gpt-realtime"), "gpt-realtime"),
        (entries("whisper", task="automatic-speech-recognition") + entries("qwen"), "qwen"),
        (entries("a", capabilities=["chat"]) + entries("loop"), "loop"),
        (entries("a", capabilities=["chat"]) + entries("b", capabilities=["realtime_audio"]), "b"),
        (entries("one", "with space", "", "x" * 300), "one"),
        (entries("one\x1b[2J", "two"), "two"),
    ],
)
async def test_a_clear_choice(models, name) -> None:
    async with listing(listed(models)) as target:
        assert await served_model(target, DEFAULT) == name


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        (
            entries("llama", "qwen"),
            "127.0.0.1 has several models. Choose one with --model: llama, qwen.",
        ),
        (entries(*"abcdefghij"), "Choose one with --model: a, b, c, d, e, f, g, h, …"),
        (entries(), "127.0.0.1 lists no model for conversations."),
        (entries("kokoro", task="text-to-speech"), "lists no model for conversations."),
    ],
)
async def test_an_unclear_choice_names_the_models(models, sentence) -> None:
    async with listing(listed(models)) as target:
        with pytest.raises(UsageError) as unclear:
            await served_model(target, DEFAULT)
    assert sentence in str(unclear.value)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"detail":"Not Found"}', 404),
        (listed(entries("one")), 401),
        (listed(entries("one")), 302),
        (b"", 200),
        (b"<html>", 200),
        (b'{"data": 7}', 200),
        (b"[" * 100_000, 200),
        (listed(entries("x" * 2_000_000)), 200),
    ],
)
async def test_an_answer_that_is_no_list(body, status) -> None:
    async with listing(body, status) as target:
        assert await served_model(target, DEFAULT) is None


async def test_a_compressed_list() -> None:
    body = gzip.compress(listed(entries("one")))
    async with listing(body, **{"Content-Encoding": "gzip"}) as target:
        assert await served_model(target, DEFAULT) == "one"
    async with listing(BOMB, **{"Content-Encoding": NESTED}) as target:
        assert await served_model(target, DEFAULT) is None


async def test_a_server_that_never_answers_is_used_without_a_list(monkeypatch) -> None:
    monkeypatch.setattr(served_models, "DEADLINE_S", 0.05)
    async with listing(None) as target:
        assert await served_model(target, DEFAULT) is None
