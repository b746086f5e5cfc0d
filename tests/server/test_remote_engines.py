"""A server whose engines run elsewhere: over real sockets, from the options to the wire."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from http_stub import http_stub
from scripted import TOKEN, Loud, silence, tone
from scripted import ScriptedServer as Backend
from socket_events import append, events_until
from user_speech import spoken
from wyoming_servers import wyoming_server

from voicechat.errors import Secret, UsageError
from voicechat.server.app import App
from voicechat.server.engine_startup import create_engines
from voicechat.server.serve_options import RemoteEngine, ServeOptions
from voicechat.server.stt.remote_stt import RemoteStt
from voicechat.server.tts.remote_tts import RemoteTts


def chat_words(text: str) -> bytes:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]})}\n\n".encode()


@asynccontextmanager
async def serving(said: list[str], **options: Any) -> AsyncIterator[Any]:
    """Serve with these options; yield a client connection."""
    made = ServeOptions(port=0, token=Secret(TOKEN), **options)
    engines = create_engines(made, said.append)
    engines.detectors._make = Loud
    await engines.open(lambda name, done: None)
    app = App(made, engines)
    await app.start()
    try:
        backend = Backend(app, None, None, None)  # type: ignore[arg-type]
        async with backend.client().realtime.connect(model="any") as connection:
            yield connection
    finally:
        await app.stop()
        await engines.close()


async def converse(connection: Any, speech: bytes = tone(800)) -> tuple[str, str, int]:
    """Say something, at 24 kHz; return the transcript, the reply and its length in samples."""
    await events_until(connection, "session.created")
    await append(connection, silence(400) + speech + silence(1_000))
    events = await events_until(connection, "response.done")
    (heard,) = [e["transcript"] for e in events if e["type"].endswith("transcription.completed")]
    content = events[-1]["response"]["output"][0]["content"][0]["transcript"]
    sound = [e["delta"] for e in events if e["type"] == "response.output_audio.delta"]
    return heard, content, sum(len(base64.b64decode(each)) for each in sound) // 2


async def test_each_piece_may_run_on_a_server_of_its_own() -> None:
    said: list[str] = []
    async with wyoming_server() as stt, wyoming_server() as tts, http_stub() as chat:
        stt.texts = ["tell me a story"]
        chat.models = b'{"data": [{"id": "qwen3"}]}'
        chat.chunks = [chat_words("Once upon a time.")]
        async with serving(
            said,
            stt=RemoteEngine(stt.url, language="en"),
            tts=RemoteEngine(tts.url, voice="joe"),
            chat_url=chat.url,
        ) as connection:
            heard, reply, samples = await converse(connection)
    assert (heard, reply) == ("tell me a story", "Once upon a time.")
    # The voice sends one second at 22,050 Hz.
    assert abs(samples - 24_000) < 50
    assert tts.of_type("synthesize")[0].data["voice"] == {"name": "joe"}
    assert said == []


async def test_openai_compatible_recognizer_and_voice() -> None:
    said: list[str] = []
    async with http_stub() as stt, http_stub() as tts:
        stt.chunks = [b'{"text": "what is two plus two"}']
        tts.headers = {"Content-Type": "audio/pcm"}
        tts.chunks = [bytes(48_000)]
        key = Secret("sk-1")
        async with serving(
            said, stt=RemoteEngine(stt.url, key=key), tts=RemoteEngine(tts.url, key=key)
        ) as connection:
            heard, reply, samples = await converse(connection)
    assert (heard, samples) == ("what is two plus two", 24_000)
    assert "4" in reply or "four" in reply.lower()
    assert len(stt.posts) == 1
    assert stt.posts[0].headers["authorization"] == "Bearer sk-1"
    assert said == []


async def test_dead_servers_are_named_and_the_built_in_engines_take_over() -> None:
    said: list[str] = []
    async with wyoming_server() as stt, http_stub() as tts:
        pass
    await stt.stop()
    async with serving(said, stt=RemoteEngine(stt.url), tts=RemoteEngine(tts.url)) as connection:
        heard, _, samples = await converse(connection, spoken("What time is it?", "user").tobytes())
    assert heard.lower().startswith("what time is it")
    assert samples > 4_800
    ending = "does not answer; the built-in one takes over. Check that it is running."
    assert sorted(said) == [
        f"The speech recognizer at {stt.url} {ending}",
        f"The voice at {tts.url} {ending}",
    ]


@pytest.mark.parametrize(
    ("url", "kind"), [("wyoming://h:1", "Wyoming"), ("https://h/v1", "Endpoint")]
)
def test_the_address_selects_the_protocol(url: str, kind: str) -> None:
    engines = create_engines(ServeOptions(stt=RemoteEngine(url), tts=RemoteEngine(url)))
    assert isinstance(engines.stt, RemoteStt)
    assert isinstance(engines.tts, RemoteTts)
    assert kind in type(engines.stt.recognizer).__name__
    assert kind in type(engines.tts._voice).__name__


def test_a_wrong_address_is_refused() -> None:
    with pytest.raises(UsageError):
        create_engines(ServeOptions(stt=RemoteEngine("wyoming://h")))
