"""The voices that a provider lists, and what a session does with them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from voicechat.config.options import Options
from voicechat.errors import Secret, UsageError
from voicechat.providers.provider import Provider
from voicechat.session.model import ChosenModel
from voicechat.session.served_voices import served_voices

LIST = {"voices": [
    {"voice_id": "eve", "name": "Eve"}, {"voice_id": "una"}, {"voice_id": "eve"},
    {"voice_id": "a b"}, {"voice_id": 3}, {"voice_id": "x\x1b"}, None,
]}  # fmt: skip


@asynccontextmanager
async def listing(body: bytes, status: int = 200) -> AsyncIterator[str]:
    """Answer each request with this body; yield the base URL."""

    async def answer(socket: ServerConnection, request: Request) -> Response:
        assert request.path == "/v1/tts/voices"
        assert request.headers["Authorization"] == "Bearer planted"
        return Response(status, "OK", Headers({"Content-Length": str(len(body))}), body)

    async def talk(socket: ServerConnection) -> None:
        raise AssertionError("a list is no socket")

    async with serve(talk, "127.0.0.1", 0, process_request=answer) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1"


def chosen(
    monkeypatch: pytest.MonkeyPatch, base: str, voice: str, flag: bool = True
) -> ChosenModel:
    # An address of the user's own may have any voices.
    monkeypatch.setattr(ChosenModel, "_has_other_server", lambda model: False)
    return ChosenModel(
        Options(
            model="xai", voice=voice, base_url=base, keys={"XAI_API_KEY": Secret("planted")},
            origins={"voice": "--voice" if flag else "config.toml:1: voice"},
        ),
        tuple, lambda text: None,
    )  # fmt: skip


async def test_a_listed_voice_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(json.dumps(LIST).encode()) as base:
        model = chosen(monkeypatch, base, "una")
        await model.find()
        assert model.choice.voices == ("eve", "una")
        assert model.settings.voice == "una"
        assert model.unsupported_settings == []


async def test_a_voice_that_is_not_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing(json.dumps(LIST).encode()) as base:
        with pytest.raises(UsageError, match="has no voice 'nobody'"):
            await chosen(monkeypatch, base, "nobody").find()
        from_file = chosen(monkeypatch, base, "nobody", flag=False)
        await from_file.find()
        assert from_file.settings.voice is None
        assert "The default voice speaks" in from_file.unsupported_settings[0]


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 404), (b"[]", 200), (b'{"voices": 3}', 200), (b"{", 200)]
)
async def test_without_a_list_the_provider_decides(
    body: bytes, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listing(body, status) as base:
        model = chosen(monkeypatch, base, "una")
        await model.find()
        assert model.settings.voice == "una"
        target = model.choice.codec().endpoint()
        assert await served_voices(target, "tts/voices") == ()


def test_providers_have_no_list_unless_they_say_so() -> None:
    assert Provider("toy").voice_list is None
