"""Speech over HTTP, asked for by the client of the openai package."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from urllib.parse import urlsplit

import openai
import pytest
from scripted import TOKEN, ScriptedServer, scripted_server, until

from voicechat.server import http_connection
from voicechat.server.speech_requests import MAX_AT_ONCE, MAX_CHARACTERS, RATE


async def spoken(backend: ScriptedServer, text: str, voice: str, form: str = "pcm") -> bytes:
    """Return the speech of a text."""
    async with backend.client() as client:
        answer = await client.with_options(max_retries=0).audio.speech.create(
            model="any", voice=voice, input=text, response_format=form
        )  # type: ignore[call-overload]
        return answer.content


async def test_text_is_spoken_in_the_named_voice() -> None:
    async with scripted_server() as backend:
        pcm = await spoken(backend, "one two three", "deep")
        assert backend.tts.asked == [("one two three", "deep", 1.0)]
        assert len(pcm) / 2 / RATE == pytest.approx(0.3, abs=0.01)


@pytest.mark.parametrize(
    ("text", "voice", "form", "field"),
    [
        ("", "deep", "pcm", "input"),
        ("x" * (MAX_CHARACTERS + 1), "deep", "pcm", "input"),
        ("hello", "nobody", "pcm", "voice"),
        ("hello", "deep", "mp3", "response_format"),
    ],
    ids=["no text", "long text", "unknown voice", "compressed"],
)
async def test_wrong_request_is_refused(text: str, voice: str, form: str, field: str) -> None:
    async with scripted_server() as backend:
        with pytest.raises(openai.BadRequestError) as raised:
            await spoken(backend, text, voice, form)
        assert raised.value.param == field
        assert backend.tts.asked == []


async def test_requests_at_once_are_limited_and_one_without_a_token_is_refused() -> None:
    async with scripted_server() as backend:
        backend.tts.gate.clear()
        running = [asyncio.create_task(spoken(backend, "one", "deep")) for _ in range(MAX_AT_ONCE)]
        await until(lambda: len(backend.tts.asked) == MAX_AT_ONCE)
        with pytest.raises(openai.InternalServerError, match="speaks other texts"):
            await spoken(backend, "two", "deep")
        backend.tts.gate.set()
        assert all(await asyncio.gather(*running))
        async with backend.client("wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.audio.speech.create(model="any", voice="deep", input="one")


async def test_client_that_leaves_ends_its_speech() -> None:
    async with scripted_server() as backend:
        backend.tts.gate.clear()
        leaving = asyncio.create_task(spoken(backend, "one", "deep"))
        await until(lambda: backend.tts.open_speeches)
        leaving.cancel()
        await until(lambda: not backend.tts.open_speeches)


async def test_wav_has_a_header() -> None:
    async with scripted_server() as backend:
        wav = await spoken(backend, "hello", "deep", "wav")
        assert wav[:4] == b"RIFF"
        assert wav[44:] == await spoken(backend, "hello", "deep")


async def test_a_long_text_is_sent_while_it_is_spoken() -> None:
    text = f"one {'x' * (MAX_CHARACTERS - 8)} end"
    async with scripted_server() as backend, backend.client() as client:
        backend.tts.gate.clear()
        speech = client.with_options(max_retries=0).audio.speech
        request = speech.with_streaming_response.create(
            model="any", voice="deep", input=text, response_format="wav"
        )
        async with request as answer:
            # One word is spoken, the second one waits.
            blocks = answer.iter_bytes()
            heard = bytearray(await anext(blocks))
            assert len(heard) > 44
            assert backend.tts.open_speeches == 1
            backend.tts.gate.set()
            async for block in blocks:
                heard += block
        assert backend.tts.asked == [(text, "deep", 1.0)]
        assert (len(heard) - 44) / 2 / RATE == pytest.approx(0.3, abs=0.01)


async def test_a_client_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "_BLOCK_SECONDS", 0.2)
    async with scripted_server() as backend:
        port = urlsplit(backend.app.url).port
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        narrow.connect(("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=narrow, limit=1_024)
        # 10 MB of sound, more than the system keeps for a socket.
        body = json.dumps({"input": "w " * 2_048, "response_format": "pcm"}).encode()
        head = (
            f"POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        await until(lambda: backend.tts.open_speeches)
        await until(lambda: not backend.tts.open_speeches)
        with contextlib.suppress(ConnectionError):
            assert not (await reader.read()).endswith(b"\r\n0\r\n\r\n")
        writer.close()


async def test_speech_that_fails_within_the_text_is_cut_off() -> None:
    async with scripted_server() as backend:
        backend.tts.pieces = iter([backend.tts.tone] * 3)
        with pytest.raises(openai.APIConnectionError):
            await spoken(backend, "one two three four five", "deep")
        # Before the first sound it is an error with a status.
        backend.tts.pieces = iter([])
        with pytest.raises(openai.InternalServerError):
            await spoken(backend, "one", "deep")
