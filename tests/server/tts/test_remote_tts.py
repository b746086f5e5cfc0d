"""Remote voices over real sockets, and the built-in voice behind them."""

import asyncio
import io
import json
import struct
import wave
from contextlib import aclosing, asynccontextmanager

import numpy as np
import pytest
from bombs import BOMB, NESTED
from http_stub import CUT, HANG, http_stub
from scripted import ScriptedTts, until
from wyoming_servers import wyoming_server

from voicechat.errors import Secret, UsageError
from voicechat.server.tts import remote_tts
from voicechat.server.tts.remote_tts import RemoteTts
from voicechat.server.tts.speech_endpoint import SpeechEndpoint
from voicechat.server.tts.wyoming_tts import WyomingVoice

TEXT = "It is half past nine. And all is well."
TAKEN_OVER = "the built-in one takes over."
HUNG_SECONDS, PATIENT_SECONDS = 0.2, 30.0
"""Deadlines for a server that hangs, and for one that answers."""
PARTS = ["It is half past nine. ", "And all is well."]


class Builtin(ScriptedTts):
    rate = 24_000


class Rig:
    """A remote voice, the built-in one behind it, and the sentences for the user."""

    def __init__(self, voice, sound_seconds=PATIENT_SECONDS):
        self.builtin, self.said = Builtin(), []
        self.tts = RemoteTts(voice, self.builtin, self.said.append, sound_seconds)

    async def speak(self, text=TEXT, *more):
        return [piece async for piece in self.tts.speak(text, *more)]

    @property
    def builtin_texts(self):
        return [text for text, _, _ in self.builtin.asked]


@asynccontextmanager
async def on_wyoming(streaming=False, voice=None, **deadlines):
    async with wyoming_server(streaming) as server:
        rig = Rig(WyomingVoice(server.url, 24_000, voice), **deadlines)
        try:
            yield server, rig
        finally:
            await rig.tts.close()


@asynccontextmanager
async def on_http(deadlines=None, **options):
    async with http_stub() as server:
        rig = Rig(SpeechEndpoint(server.url, 24_000, **options), **(deadlines or {}))
        try:
            yield server, rig
        finally:
            await rig.tts.close()


def texts(pieces):
    return "".join(piece.text for piece in pieces)


def seconds(pieces):
    return sum(len(piece.pcm) for piece in pieces) / 48_000


def wav(length=44_100, rate=22_050, size=None):
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.full(length // 2, 900, "<i2").tobytes())
    made = content.getvalue()
    return made if size is None else made[:40] + struct.pack("<I", size) + made[44:]


# --------------------------------------------------------------------------------- Wyoming


async def test_wyoming_speaks_clause_by_clause():
    async with on_wyoming(voice="joe") as (server, rig):
        await rig.tts.open()
        pieces = await rig.speak()
        asked = [event.data for event in server.of_type("synthesize")]
        assert asked == [{"text": part.strip(), "voice": {"name": "joe"}} for part in PARTS]
        assert [piece.text for piece in pieces][:3] == ["It ", "is ", "half "]
        assert texts(pieces) == TEXT
        assert seconds(pieces) == pytest.approx(2.0, abs=0.001)
        assert rig.said == rig.builtin_texts == []


async def test_wyoming_streams_a_whole_text_where_the_server_can():
    async with on_wyoming(streaming=True) as (server, rig):
        await rig.tts.open()
        pieces = await rig.speak()
        assert texts(pieces) == TEXT
        assert seconds(pieces) == pytest.approx(2.0, abs=0.001)
        assert [event.type for event in server.received] == [
            "synthesize-start",
            "synthesize-chunk",
            "synthesize",
            "synthesize-stop",
        ]
        assert rig.said == []


async def test_words_are_spoken_while_the_sound_still_comes():
    async with on_wyoming() as (server, rig):
        await rig.tts.open()
        server.gate.clear()
        async with aclosing(rig.tts.speak("It is half past nine.")) as pieces:
            first = await anext(pieces)
            assert first.text == "It "
            assert len(first.pcm) > 0
            server.gate.set()
            rest = [piece async for piece in pieces]
        assert texts([first, *rest]) == "It is half past nine."


async def test_closing_the_iterator_drops_the_connection():
    async with on_wyoming() as (server, rig):
        await rig.tts.open()
        server.lost.clear()
        server.fails = "hang"
        asking = asyncio.create_task(anext(rig.tts.speak(TEXT)))
        await until(lambda: server.received)
        asking.cancel()
        async with asyncio.timeout(5):
            await server.lost.wait()
        assert rig.said == []


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("fails", "sentence"),
    [
        ("refuse", "ended the connection"),
        ("hang", "stopped answering"),
        ("error", "failed: out of\ufffd memory"),
        ("nonsense", "sent something that is not Wyoming"),
        ("huge", "sent something that is not Wyoming"),
    ],
)
async def test_the_built_in_voice_takes_over(fails, sentence, streaming):
    deadline = HUNG_SECONDS if fails == "hang" else PATIENT_SECONDS
    async with on_wyoming(streaming, sound_seconds=deadline) as (server, rig):
        await rig.tts.open()
        server.fails = fails
        assert texts(await rig.speak(TEXT, "deep", 1.5)) == TEXT
        assert rig.builtin.asked[0][1:] == ("deep", 1.5)
        assert "".join(rig.builtin_texts) == TEXT
        assert rig.said == [f"The voice at {server.url} {sentence}; the built-in one takes over."]


async def test_a_server_that_dies_in_the_middle_of_a_clause_leaves_the_rest_to_the_other():
    async with on_wyoming() as (server, rig):
        await rig.tts.open()
        server.fails = "cut"
        pieces = await rig.speak()
        assert texts(pieces) == TEXT
        assert PARTS[0].endswith(rig.builtin_texts[0])
        assert 0 < len(rig.builtin_texts[0]) < len(PARTS[0])
        assert rig.builtin_texts[1] == PARTS[1]
        assert len(rig.said) == 1


async def test_a_dead_server_is_named_at_the_start_and_used_when_it_runs():
    async with on_wyoming() as (server, rig):
        rig.tts.outage._first = rig.tts.outage._delay = 0.01
        await server.stop()
        await rig.tts.open()
        (said,) = rig.said
        assert said == (
            f"The voice at {server.url} does not answer; the built-in one takes over. "
            "Check that it is running."
        )
        assert texts(await rig.speak()) == TEXT
        assert rig.builtin_texts == PARTS
        await server.start()
        await until(lambda: rig.tts.outage.usable)
        assert texts(await rig.speak()) == TEXT
        assert rig.builtin_texts == PARTS
        assert len(rig.said) == 1


@pytest.mark.parametrize("sound", [(22_050, 1, 1), (1, 2, 1), ("x", 2, 1)])
async def test_sound_that_cannot_be_played(sound):
    async with on_wyoming() as (server, rig):
        await rig.tts.open()
        server.format = sound
        assert texts(await rig.speak("Hello.")) == "Hello."
        assert rig.builtin_texts == ["Hello."]


async def test_no_sound_at_all_is_a_failure():
    async with on_wyoming() as (server, rig):
        await rig.tts.open()
        server.sound = b""
        assert texts(await rig.speak("Hello.")) == "Hello."
        assert rig.said == [
            f"The voice at {server.url} sent no sound; the built-in one takes over."
        ]


async def test_a_text_without_letters_is_not_sent():
    async with on_wyoming() as (server, rig):
        await rig.tts.open()
        for text in ("", " ", "…", "\n\n"):
            assert texts(await rig.speak(text)) == text
        assert texts(await rig.speak("a \ud800")) == "a \ufffd"
        assert len(server.of_type("synthesize")) == 1


async def test_a_server_that_cannot_speak_is_named():
    async with on_wyoming() as (server, rig):
        server.offers_tts = False
        await rig.tts.open()
        (said,) = rig.said
        assert said == (
            f"The server at {server.url} does not speak; the built-in one takes over. "
            "Check the address."
        )


@pytest.mark.parametrize("url", ["wyoming://", "wyoming://host", "tcp://h:1", "wyoming://h:x"])
def test_an_invalid_address_is_refused(url):
    with pytest.raises(UsageError, match="must look like wyoming://localhost:10300"):
        WyomingVoice(url, 24_000)


# -------------------------------------------------------------------------------- endpoints


async def test_the_request_for_speech():
    async with on_http(model="kokoro", voice="heart", key=Secret("sk-1")) as (server, rig):
        server.chunks = [wav()]
        await rig.tts.open()
        pieces = await rig.speak("Hello there.", None, 9.0)
        (post,) = server.posts
        assert post.line == "POST /v1/audio/speech HTTP/1.1"
        assert post.headers["authorization"] == "Bearer sk-1"
        assert json.loads(post.body) == {
            "model": "kokoro",
            "input": "Hello there.",
            "voice": "heart",
            "response_format": "wav",
            "speed": 4.0,
        }
        assert [piece.text for piece in pieces] == ["Hello ", "there."]
        assert seconds(pieces) == pytest.approx(1.0, abs=0.001)


async def test_defaults_of_the_request():
    async with on_http() as (server, rig):
        server.chunks = [wav()]
        await rig.speak("Hello.")
        body = json.loads(server.posts[0].body)
        assert (body["model"], body["voice"], body["speed"]) == ("tts-1", "alloy", 1.0)
        assert "authorization" not in server.posts[0].headers


@pytest.mark.parametrize("size", [None, 0, 0xFFFFFFFF])
async def test_a_wav_in_chunks_of_any_size(size):
    async with on_http() as (server, rig):
        content = wav(size=size)
        server.chunks = [content[:1], content[1:43], content[43:45], content[45:20_000]]
        server.chunks += [content[20_000:]]
        pieces = await rig.speak("Hello there.")
        assert seconds(pieces) == pytest.approx(1.0, abs=0.001)
        assert rig.said == []


async def test_chunks_after_the_sound_are_not_played():
    async with on_http() as (server, rig):
        server.chunks = [wav(), b"LIST\4\0\0\0abcd", bytes(50_000)]
        assert seconds(await rig.speak("Hello.")) == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize(
    ("kind", "rate"), [("audio/pcm", 24_000), ("audio/pcm;rate=16000", 16_000)]
)
async def test_raw_pcm(kind, rate):
    async with on_http() as (server, rig):
        server.headers = {"Content-Type": kind}
        server.chunks = [bytes(rate + 1), bytes(rate - 1)]
        assert seconds(await rig.speak("Hello.")) == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize(
    ("status", "kind", "chunks", "sentence"),
    [
        (200, "audio/mpeg", [b"ID3\3" + bytes(900)], "sent audio/mpeg, which cannot be played"),
        (200, "text/html", [b"<html>"], "sent text/html, which cannot be played"),
        (200, "", [b"\xff\xfb\x90\x00"], "sent unnamed content, which cannot be played"),
        (200, "audio/wav", [], "sent no sound"),
        (200, "audio/wav", [wav(0)], "sent no sound"),
        (200, "audio/wav", [wav()[:1_000], CUT], "ended its answer early"),
        (200, "audio/wav", [HANG], "stopped answering"),
        (401, "", [b"{}"], "refused the key"),
        (500, "", [b'{"error": {"message": "no\\u001b GPU"}}'], "refused (500): no\ufffd GPU"),
        (307, "", [], "redirects to another address"),
    ],
)
async def test_an_endpoint_that_fails_is_named_and_replaced(status, kind, chunks, sentence):
    deadline = HUNG_SECONDS if HANG in chunks else PATIENT_SECONDS
    async with on_http({"sound_seconds": deadline}, key=Secret("sk-1")) as (server, rig):
        server.status, server.chunks = status, chunks
        server.headers = {"Content-Type": kind} if kind else {}
        if status == 307:
            server.headers["Location"] = "http://127.0.0.1:1/v1/audio/speech"
        assert texts(await rig.speak("Hello there.")) == "Hello there."
        assert "".join(rig.builtin_texts) in "Hello there."
        (said,) = rig.said
        assert said.startswith(
            f"The voice at {server.url} {sentence}; the built-in one takes over."
        )
        assert len(server.posts) == 1


async def test_an_endless_body_is_cut():
    async with on_http() as (server, rig):
        server.chunks = [wav(0, size=0), *[bytes(500_000)] * 20]
        assert texts(await rig.speak("Hello there.")) == "Hello there."
        assert rig.said == [
            f"The voice at {server.url} does not stop; the built-in one takes over."
        ]


async def test_an_endless_body_after_the_sound_is_not_read():
    async with on_http() as (server, rig):
        server.chunks = [wav(), *[bytes(500_000)] * 1_000]
        assert seconds(await rig.speak("Hello.")) == pytest.approx(1.0, abs=0.001)
        async with asyncio.timeout(5):
            await server.lost.wait()
        assert rig.said == []


async def test_all_of_the_sound_has_a_deadline(monkeypatch):
    monkeypatch.setattr(remote_tts, "_SPARE_SECONDS", 0.0)
    async with on_http({"sound_seconds": 1_000.0}) as (server, rig):
        server.chunks = [wav(900, size=0), HANG]
        assert texts(await rig.speak("A")) == "A"
        assert rig.said == [f"The voice at {server.url} stopped answering; {TAKEN_OVER}"]


async def test_an_answer_with_two_encodings_is_refused():
    async with on_http() as (server, rig):
        server.headers = {"Content-Encoding": NESTED}
        server.chunks = [BOMB]
        assert texts(await rig.speak("Hello.")) == "Hello."
        reason = "The answer has an unknown encoding: 'gzip, gzip'"
        assert rig.said == [
            f"The voice at {server.url} sent no readable answer. {reason}; {TAKEN_OVER}"
        ]
        assert server.posts[0].headers["accept-encoding"] == "identity"


async def test_closing_the_iterator_hangs_up():
    async with on_http() as (server, rig):
        server.chunks = [wav(size=0), HANG]
        pieces = rig.tts.speak("It is half past nine.")
        await anext(pieces)
        server.lost.clear()
        await pieces.aclose()
        async with asyncio.timeout(5):
            await server.lost.wait()
        assert rig.said == []


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [(200, ""), (404, ""), (500, ""), (401, "refused the key"), (502, "refused (502)")],
)
async def test_the_check_at_the_start(listed, sentence):
    async with on_http() as (server, rig):
        server.listed = listed
        await rig.tts.open()
        assert [sentence in said for said in rig.said] == ([True] if sentence else [])
        assert len(server.seen) == 1


async def test_no_server_at_the_address():
    async with on_http() as (server, rig):
        pass
    rig = Rig(SpeechEndpoint(server.url, 24_000))
    await rig.tts.open()
    (said,) = rig.said
    assert said == (
        f"The voice at {server.url} does not answer; the built-in one takes over. "
        "Check that it is running."
    )
    await rig.tts.close()


@pytest.mark.parametrize("url", ["ftp://x/v1", "http://u:p@x/v1", "http://x/v1?key=1", ""])
def test_an_invalid_url_is_refused(url):
    with pytest.raises(UsageError, match=r"--tts|VOICECHAT_TTS_KEY"):
        SpeechEndpoint(url, 24_000)
