"""The voices that a provider lists, and what a session does with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from session_driver import SessionDriver, online
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from voicechat.config.options import Options
from voicechat.errors import Secret, UsageError
from voicechat.line_mode.slash_commands import run_command
from voicechat.providers.provider import Provider
from voicechat.session import served_models
from voicechat.session.model import ChosenModel
from voicechat.session.served_voices import served_voices
from voicechat.session.session import Session

LIST = {"voices": [
    {"voice_id": "eve", "name": "Eve"}, {"voice_id": "una"}, {"voice_id": "eve"},
    {"voice_id": "a b"}, {"voice_id": 3}, {"voice_id": "x\x1b"}, None,
]}  # fmt: skip
CUSTOM = {"voices": [{"voice_id": "k3x9m2pq", "name": "My voice"}]}
PATHS = ("tts/voices", "custom-voices")


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the lists all the time they need: a busy machine must not look like a silent server."""
    monkeypatch.setattr(served_models, "DEADLINE_S", 60.0)


def as_body(value: object) -> bytes:
    return json.dumps(value).encode()


@asynccontextmanager
async def listing(
    body: bytes = as_body(LIST), status: int = 200, custom: bytes = as_body(CUSTOM)
) -> AsyncIterator[str]:
    """Serve the two lists and a session that says nothing; yield the base URL."""
    bodies = {"/v1/tts/voices": body, "/v1/custom-voices": custom}

    async def answer(socket: ServerConnection, request: Request) -> Response | None:
        assert request.headers["Authorization"] == "Bearer planted"
        if request.path.startswith("/v1/realtime"):
            return None
        found = bodies[request.path]
        return Response(status, "OK", Headers({"Content-Length": str(len(found))}), found)

    async def talk(socket: ServerConnection) -> None:
        await socket.send('{"type": "session.created", "session": {"id": "s"}}')
        async for _ in socket:
            pass

    async with serve(talk, "127.0.0.1", 0, process_request=answer) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1"


def wanted(base: str, voice: str | None = None, flag: bool = True) -> Options:
    return Options(
        model="xai", voice=voice, base_url=base, keys={"XAI_API_KEY": Secret("planted")},
        origins={"voice": "--voice" if flag else "config.toml:1: voice"}, with_sound=False,
    )  # fmt: skip


def chosen(
    monkeypatch: pytest.MonkeyPatch, base: str, voice: str, flag: bool = True
) -> ChosenModel:
    # An address of the user's own may have any voices.
    monkeypatch.setattr(ChosenModel, "_has_other_server", lambda model: False)
    return ChosenModel(wanted(base, voice, flag), tuple, lambda text: None)


@pytest.mark.parametrize("voice", ["una", "k3x9m2pq"])
async def test_a_listed_voice_is_used(monkeypatch: pytest.MonkeyPatch, voice: str) -> None:
    async with listing() as base:
        model = chosen(monkeypatch, base, voice)
        await model.find()
        assert model.voices == ("eve", "una", "k3x9m2pq")
        assert model.settings.voice == voice
        assert model.unsupported_settings == []


async def test_a_voice_that_is_not_listed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listing() as base:
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
    async with listing(body, status, custom=body) as base:
        model = chosen(monkeypatch, base, "una")
        await model.find()
        assert model.settings.voice == "una"
        target = model.choice.codec().endpoint()
        listed = await served_voices(target, PATHS)
        assert (listed.names, listed.complete) == ((), False)


@pytest.mark.parametrize("custom", [b"{", as_body({**CUSTOM, "pagination_token": "t"})])
async def test_a_list_in_part_refuses_no_voice(
    custom: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with listing(custom=custom) as base:
        model = chosen(monkeypatch, base, "other")
        await model.find()
        assert model.settings.voice == "other"
        assert model.voices[:2] == ("eve", "una")


def _lists_voices(task: asyncio.Task[object]) -> bool:
    return getattr(task.get_coro(), "__name__", "") == "list_voices"


async def test_a_running_session_accepts_the_voices_of_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ChosenModel, "_has_other_server", lambda model: False)
    async with listing() as base:
        not_connected = Session(wanted(base))
        assert run_command(not_connected, "/voice Una") == "The voice is Una."
        session = Session(wanted(base))
        async with online(SessionDriver(session)), asyncio.timeout(60):
            await asyncio.gather(*filter(_lists_voices, asyncio.all_tasks()))
            assert run_command(session, "/voice k3x9m2pq") == "The voice is k3x9m2pq."
            assert run_command(session, "/voice UNA") == "The voice is una."
            assert "eve, una, k3x9m2pq" in str(run_command(session, "/voice"))
            with pytest.raises(UsageError, match="has no voice 'nobody'"):
                run_command(session, "/voice nobody")


def test_providers_have_no_list_unless_they_say_so() -> None:
    assert Provider("toy").voice_lists == ()
