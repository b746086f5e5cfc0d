"""Remote recognizers over real sockets, and the built-in recognizer behind them."""

import asyncio
import io
import wave
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from http_stub import CUT, HANG, http_stub
from scripted import ScriptedStt, until
from wyoming_servers import wyoming_server

from voicechat.errors import Secret, SessionLost, UsageError
from voicechat.server.engine_protocols import Partial
from voicechat.server.stt.remote_stt import (
    MOST_CHARACTERS,
    RemoteStt,
    SpeechSound,
    transcript_text,
)
from voicechat.server.stt.transcription_endpoint import TranscriptionEndpoint
from voicechat.server.stt.wyoming_stt import WyomingRecognizer

HUNG_SECONDS, PATIENT_SECONDS = 0.2, 30.0
"""Deadlines for a server that hangs, and for one that answers."""
SOUND = bytes(range(256)) * 100


class Rig:
    """A remote recognizer, the built-in one behind it, and the sentences for the user."""

    def __init__(self, recognizer, finish_seconds=PATIENT_SECONDS):
        self.builtin, self.said, self.partials = ScriptedStt(["built in"] * 9), [], []
        self.stt = RemoteStt(recognizer, self.builtin, self.said.append, finish_seconds)

    def utterance(self):
        return self.stt.utterance(self.partials.append)

    async def text(self, sound=SOUND):
        utterance = self.utterance()
        utterance.feed(sound)
        return await utterance.finish()


@asynccontextmanager
async def on_wyoming(streaming=False, model=None, language=None, **deadlines):
    async with wyoming_server(streaming) as server:
        rig = Rig(WyomingRecognizer(server.url, model, language), **deadlines)
        try:
            yield server, rig
        finally:
            await rig.stt.close()


@asynccontextmanager
async def on_http(deadlines=None, **options):
    async with http_stub() as server:
        rig = Rig(TranscriptionEndpoint(server.url, **options), **(deadlines or {}))
        server.chunks = [b'{"text": "hello"}']
        try:
            yield server, rig
        finally:
            await rig.stt.close()


# --------------------------------------------------------------------------------- Wyoming


async def test_wyoming_gets_the_sound_and_returns_the_text():
    async with on_wyoming(model="tiny", language="en") as (server, rig):
        server.texts = [" what \x1b time\nis it? [BLANK_AUDIO]"]
        await rig.stt.open()
        utterance = rig.utterance()
        for start in range(0, len(SOUND), 1_000):
            utterance.feed(SOUND[start : start + 1_000])
        assert await utterance.finish() == "what \ufffd time is it?"
        assert server.heard == [SOUND]
        assert server.of_type("transcribe")[0].data == {"name": "tiny", "language": "en"}
        assert rig.said == []
        assert rig.builtin.heard == []


async def test_the_sound_is_sent_while_the_user_speaks():
    async with on_wyoming() as (server, rig):
        utterance = rig.utterance()
        utterance.feed(SOUND)
        await until(
            lambda: sum(len(e.payload) for e in server.of_type("audio-chunk")) == len(SOUND)
        )
        utterance.drop()
        async with asyncio.timeout(5):
            await server.lost.wait()
        assert server.heard == []


async def test_streamed_text_arrives_in_parts():
    async with on_wyoming(streaming=True) as (server, rig):
        server.chunks, server.texts = ["set a", " timer"], ["set a timer."]
        assert await rig.text() == "set a timer."
        assert rig.partials[:2] == [Partial("set a"), Partial("set a timer")]


async def test_a_pause_gives_the_text_before_the_turn_ends():
    async with on_wyoming() as (server, rig):
        utterance = rig.utterance()
        utterance.feed(SOUND)
        utterance.settle()
        utterance.feed(bytes(3_200))
        await until(lambda: rig.partials == [Partial("hello")])
        server.fails = "hang"
        assert await utterance.finish() == "hello"
        assert server.heard == [SOUND]


async def test_a_user_who_continues_is_recognized_as_a_whole():
    async with on_wyoming() as (server, rig):
        server.texts = ["set a", "set a timer"]
        utterance = rig.utterance()
        utterance.feed(SOUND)
        utterance.settle()
        await until(lambda: rig.partials)
        utterance.resume()
        utterance.feed(SOUND)
        utterance.resume()
        assert await utterance.finish() == "set a timer"
        assert server.heard == [SOUND, SOUND + SOUND]


async def test_resuming_drops_the_request_of_the_pause():
    async with on_wyoming() as (server, rig):
        server.gate.clear()
        utterance = rig.utterance()
        utterance.feed(SOUND)
        utterance.settle()
        await until(lambda: server.heard)
        utterance.resume()
        await until(lambda: server.connections == 2)
        server.gate.set()
        assert await utterance.finish() == "hello"
        assert rig.said == []


async def test_utterances_at_the_same_time():
    async with on_wyoming() as (server, rig):
        first, second = rig.utterance(), rig.utterance()
        first.feed(SOUND)
        second.feed(SOUND * 2)
        assert await asyncio.gather(first.finish(), second.finish()) == ["hello", "hello"]
        assert sorted(server.heard, key=len) == [SOUND, SOUND * 2]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("fails", "sentence"),
    [
        ("refuse", "ended the connection"),
        ("deaf", "ended the connection"),
        ("cut", "ended the connection"),
        ("hang", "stopped answering"),
        ("error", "failed: out of\ufffd memory"),
        ("nonsense", "sent something that is not Wyoming"),
        ("huge", "sent something that is not Wyoming"),
    ],
)
async def test_the_built_in_recognizer_gets_the_same_sound(fails, sentence, streaming):
    deadline = HUNG_SECONDS if fails == "hang" else PATIENT_SECONDS
    async with on_wyoming(streaming, finish_seconds=deadline) as (server, rig):
        await rig.stt.open()
        server.fails = fails
        assert await rig.text() == "built in"
        assert rig.builtin.heard == [len(SOUND)]
        assert rig.said == [
            f"The speech recognizer at {server.url} {sentence}; the built-in one takes over."
        ]
        assert await rig.text() == "built in"
        assert len(rig.said) == 1


async def test_a_server_that_dies_while_the_user_speaks():
    async with on_wyoming() as (server, rig):
        rig.builtin.partials = {len(SOUND) + 2: Partial("built")}
        utterance = rig.utterance()
        utterance.feed(SOUND)
        await until(lambda: server.received)
        server.fails = "deaf"
        utterance.feed(SOUND[:2])
        await until(lambda: rig.said)
        utterance.feed(SOUND)
        utterance.settle()
        utterance.resume()
        assert await utterance.finish() == "built in"
        assert rig.builtin.heard == [2 * len(SOUND) + 2]
        assert (rig.builtin.settled, rig.builtin.resumed) == (1, 1)
        assert rig.partials == [Partial("built")]


async def test_a_dead_server_is_named_at_the_start_and_used_when_it_runs():
    async with on_wyoming() as (server, rig):
        rig.stt.outage._first = rig.stt.outage._delay = 0.01
        await server.stop()
        await rig.stt.open()
        (said,) = rig.said
        assert said == (
            f"The speech recognizer at {server.url} does not answer; "
            "the built-in one takes over. Check that it is running."
        )
        assert await rig.text() == "built in"
        await server.start()
        await until(lambda: rig.stt.outage.usable)
        assert await rig.text() == "hello"
        assert len(rig.said) == 1


async def test_a_server_that_cannot_recognize_is_named():
    async with on_wyoming() as (server, rig):
        server.offers_asr = False
        await rig.stt.open()
        (said,) = rig.said
        assert said.startswith(f"The server at {server.url} does not recognize speech; ")


async def test_a_server_that_never_describes_itself_is_named():
    async with on_wyoming() as (server, _rig):
        server.fails = "chatter"
        recognizer = WyomingRecognizer(server.url)
        recognizer._server = replace(recognizer._server, connect_seconds=0.05)
        with pytest.raises(SessionLost, match="stopped answering"):
            await recognizer.check()


async def test_a_streamed_text_is_bounded():
    async with on_wyoming(streaming=True) as (server, _rig):
        server.chunks = ["word " * 10_000] * 3
        sound, texts = SpeechSound(bytearray(SOUND)), []
        sound.end()
        await WyomingRecognizer(server.url).recognize(sound, texts.append)
        assert max(map(len, texts)) == MOST_CHARACTERS


async def test_an_utterance_without_sound_is_not_sent():
    async with on_wyoming() as (server, rig):
        assert await rig.utterance().finish() == ""
        assert server.heard == []


async def test_an_utterance_that_is_dropped_shows_nothing():
    async with on_wyoming() as (_server, rig):
        utterance = rig.utterance()
        utterance.feed(SOUND)
        utterance.settle()
        utterance.drop()
        assert await rig.text() == "hello"
        assert rig.partials == [Partial("hello")]


@pytest.mark.parametrize("url", ["wyoming://", "wyoming://host", "tcp://h:1", "wyoming://h:x"])
def test_an_invalid_address_is_refused(url):
    with pytest.raises(UsageError, match="must look like wyoming://localhost:10300"):
        WyomingRecognizer(url)


# -------------------------------------------------------------------------------- endpoints


async def test_the_request_for_a_transcription():
    key = Secret("sk-1")
    async with on_http(model="whisper-tiny", language="en", key=key) as (server, rig):
        await rig.stt.open()
        assert await rig.text() == "hello"
        (post,) = server.posts
        assert post.line == "POST /v1/audio/transcriptions HTTP/1.1"
        assert post.headers["authorization"] == "Bearer sk-1"
        assert post.headers["content-type"].startswith("multipart/form-data")
        for part in (b'"model"\r\n\r\nwhisper-tiny', b'"language"\r\n\r\nen', b'"speech.wav"'):
            assert part in post.body
        with wave.open(io.BytesIO(post.body[post.body.index(b"RIFF") :])) as file:
            assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
            assert file.readframes(file.getnframes()) == SOUND


async def test_a_pause_asks_an_endpoint_without_a_key_only():
    for key, posts in ((None, 1), (Secret("sk-1"), 0)):
        async with on_http(key=key) as (server, rig):
            utterance = rig.utterance()
            utterance.feed(SOUND)
            utterance.settle()
            if key is None:
                await until(lambda: rig.partials == [Partial("hello")])
            utterance.feed(SOUND)
            assert len(server.posts) == posts
            assert await utterance.finish() == "hello"
            assert len(server.posts) == 1


@pytest.mark.parametrize(
    ("status", "chunks", "sentence"),
    [
        (200, [b"hello"], "sent something that is not a transcription"),
        (200, [b'{"txt": "hello"}'], "sent something that is not a transcription"),
        (200, [b'{"text": ["hello"]}'], "sent something that is not a transcription"),
        (200, [b"[" * 100_000], "sent something that is not a transcription"),
        (200, [b'{"text": "', *[b"x" * 500_000] * 9], "sent something that is not a transcription"),
        (200, [b'{"te', CUT], "ended its answer early"),
        (200, [HANG], "stopped answering"),
        (200, [b'{"text": "', HANG], "stopped answering"),
        (401, [b"{}"], "refused the key"),
        (404, [b'{"detail": "no model whisper-1"}'], "refused (404)"),
        (500, [b'{"error": {"message": "no\\u001b GPU"}}'], "refused (500): no\ufffd GPU"),
        (307, [], "redirects to another address"),
    ],
)
async def test_an_endpoint_that_fails_is_named_and_replaced(status, chunks, sentence):
    deadline = HUNG_SECONDS if HANG in chunks else PATIENT_SECONDS
    async with on_http({"finish_seconds": deadline}) as (server, rig):
        server.status, server.chunks = status, chunks
        if status == 307:
            server.headers["Location"] = "http://127.0.0.1:1/v1/audio/transcriptions"
        assert await rig.text() == "built in"
        assert rig.builtin.heard == [len(SOUND)]
        (said,) = rig.said
        assert said.startswith(f"The speech recognizer at {server.url} {sentence}")
        assert "; the built-in one takes over." in said


async def test_dropping_hangs_up():
    async with on_http() as (server, rig):
        server.chunks = [HANG]
        utterance = rig.utterance()
        utterance.feed(SOUND)
        utterance.settle()
        await until(lambda: server.posts)
        utterance.drop()
        async with asyncio.timeout(5):
            await server.lost.wait()
        assert rig.said == []


async def test_no_server_at_the_address():
    async with on_http() as (server, rig):
        pass
    rig = Rig(TranscriptionEndpoint(server.url))
    await rig.stt.open()
    assert len(rig.said) == 1
    assert await rig.text() == "built in"
    await rig.stt.close()


@pytest.mark.parametrize("url", ["ftp://x/v1", "http://u:p@x/v1", "http://x/v1?key=1", ""])
def test_an_invalid_url_is_refused(url):
    with pytest.raises(UsageError, match=r"--stt|VOICECHAT_STT_KEY"):
        TranscriptionEndpoint(url)


# ------------------------------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  What's\n the   time? ", "What's the time?"),
        ("[BLANK_AUDIO]", ""),
        ("(wind blowing)", ""),
        ("♪ la la ♪", ""),
        ("set a timer [noise] please", "set a timer please"),
        ("a\u202eb", "a\ufffdb"),
        ("x" * 9_000, "x" * 8_000),
    ],
)
def test_texts_are_cleaned_and_bounded(text, clean):
    assert transcript_text(text) == clean
