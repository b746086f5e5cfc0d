"""Speech of xAI, the AI Gateway and Gemini, over real sockets and HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from http_stub import running
from speech_servers import (
    KEY,
    GatewaySpeech,
    GatewaySpeechSocket,
    GoogleSpeech,
    SpeechSocket,
    XaiSpeech,
    XaiSpeechSocket,
    encoded_of,
    socket_of,
    sound_of,
)

from voicechat.config.options import Options
from voicechat.errors import KeyMissing, Secret, SessionLost, UsageError
from voicechat.providers.catalog import PROVIDERS
from voicechat.providers.speech_service import SpeechRequest
from voicechat.synthesis import provider_speech
from voicechat.synthesis.dialog_speech import DialogText
from voicechat.synthesis.speech_settings import SpeechSettings
from voicechat.synthesis.synthesizer import Synthesizer
from voicechat.synthesis.text_source import LiveText, WholeText

KEYS = {name: Secret(KEY) for name in ("XAI_API_KEY", "AI_GATEWAY_API_KEY", "GEMINI_API_KEY")}


def speaking(
    server: Any, model: str, said: list[str] | None = None, keys: Any = KEYS, **settings: Any
) -> Synthesizer:
    """Return a synthesizer at this server; it writes no usage."""
    url = f"http://127.0.0.1:{server.port}"
    options = Options(model=model, base_url=url, keys=keys)
    notify = pytest.fail if said is None else said.append
    return Synthesizer(options, SpeechSettings(**settings), notify, keeps_usage=False)


async def sound(
    speech: Synthesizer, text: Any, audio_format: Any = None, *, is_played: bool = False
) -> bytes:
    made = (
        speech.native(text, audio_format)
        if audio_format
        else speech.sound(text, is_played=is_played)
    )
    try:
        async with asyncio.timeout(20), aclosing(made) as pieces:
            return b"".join([piece async for piece in pieces])
    finally:
        await speech.close()


# ----------------------------------------------------------------------------------- HTTP


async def test_xai_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.synthesis.synthesizer.is_loopback", lambda _: False)
    async with running(XaiSpeech()) as server:
        speech = speaking(server, "xai", voice="rex", speed=1.2, language="de")
        assert await sound(speech, WholeText("Hello.")) == sound_of("Hello.")
        assert speech.spending.cost == pytest.approx(6 * 15 / 1e6)
        mp3 = await sound(speaking(server, "xai"), WholeText("Hello."), "mp3")
    assert mp3 == encoded_of("Hello.", "mp3")
    assert server.wrong == []
    assert server.bodies[0] == {
        "text": "Hello.", "voice_id": "rex", "language": "de", "speed": 1.2,
        "output_format": {"codec": "pcm", "sample_rate": 24_000},
    }  # fmt: skip
    assert server.bodies[1]["language"] == "auto"


async def test_a_voice_that_xai_does_not_have() -> None:
    async with running(XaiSpeech()) as server:
        with pytest.raises(UsageError, match="No voice"):
            await sound(speaking(server, "xai", voice="nobody"), WholeText("Hello."))


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"inputCharacters": 6}, (6, 0)),
        ({"input_tokens": 3, "output_tokens": 30}, (3, 30)),
        ({"promptTokenCount": 4, "candidatesTokenCount": 40}, (4, 40)),
        (None, (0, 0)),
    ],
    ids=range(4),
)
async def test_the_gateway_speaks(usage: Any, tokens: tuple[int, int]) -> None:
    said: list[str] = []
    async with running(GatewaySpeech()) as server:
        server.usage = usage
        speech = speaking(server, "gateway/openai/tts-1", said, voice="alloy", instructions="Calm.")
        assert await sound(speech, WholeText("Hello.")) == sound_of("Hello.")
    assert server.wrong == []
    assert server.posts[0].headers["ai-model-id"] == "openai/tts-1"
    assert server.bodies == [
        {"text": "Hello.", "outputFormat": "wav", "voice": "alloy", "instructions": "Calm."}
    ]
    assert said == ["The model does not support speed.", "Slow today."]
    assert (speech.spending.usage.input_tokens, speech.spending.usage.output_tokens) == tokens


async def test_an_error_of_the_gateway() -> None:
    async with running(GatewaySpeech()) as server:
        with pytest.raises(UsageError, match="No such voice"):
            await sound(speaking(server, "gateway", voice="nobody"), WholeText("Hello."))


def test_the_gateway_bills_the_team_and_takes_options() -> None:
    service = PROVIDERS["gateway"].speech
    assert service is not None
    options = {"tags": ["docs"], "byok": {"openai": [{"apiKey": Secret("sk-own")}]}}
    request = SpeechRequest("openai/tts-1", options=options, environ={"AI_GATEWAY_TEAM": "acme"})
    post = service.request(request, "Hello.")
    assert post.headers["x-vercel-ai-gateway-team"].reveal() == "acme"
    assert json.loads(post.body)["providerOptions"] == {
        "gateway": {"tags": ["docs"], "byok": {"openai": [{"apiKey": "sk-own"}]}}
    }
    assert "sk-own" not in repr(request)


@pytest.mark.parametrize("model", ["gemini-3.8-flash-tts", "gemini-2.5-flash-preview-tts"])
async def test_gemini_speaks(model: str) -> None:
    async with running(GoogleSpeech()) as server:
        speech = speaking(server, f"google/{model}", voice="Puck", language="de")
        assert await sound(speech, WholeText("Hello.")) == sound_of("Hello.")
    assert server.wrong == []
    assert server.posts[0].line == f"POST /v1beta/models/{model}:generateContent HTTP/1.1"
    assert server.bodies[0]["generationConfig"]["speechConfig"] == {
        "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}, "languageCode": "de",
    }  # fmt: skip
    assert (speech.spending.usage.input_tokens, speech.spending.usage.output_audio_tokens) == (
        5,
        50,
    )


async def test_instructions_of_gemini_are_a_style_or_come_first() -> None:
    async with running(GoogleSpeech()) as server:
        for model in ("gemini-3.8-flash-tts", "gemini-2.5-pro-preview-tts"):
            speech = speaking(server, f"google/{model}", instructions="Whisper")
            await sound(speech, WholeText("Hello."))
    assert server.wrong == []
    parts = [body["contents"][0]["parts"] for body in server.bodies]
    assert parts == [
        [{"text": "Hello.", "speechMetadata": {"style": "Whisper"}}],
        [{"text": "Whisper: Hello."}],
    ]


@pytest.mark.parametrize("model", ["gemini-3.8-flash-tts", "gemini-2.5-flash-preview-tts"])
async def test_sound_of_another_rate_is_converted(model: str) -> None:
    async with running(GoogleSpeech()) as server:
        server.rate = 48_000
        spoken = await sound(speaking(server, f"google/{model}"), WholeText("Hello."))
    assert len(spoken) == len(sound_of("Hello.")) // 2


@pytest.mark.parametrize(
    ("text", "keys", "error", "said"),
    [
        ("Forbidden.", KEYS, SessionLost, r"It sent no sound \(SAFETY\)"),
        ("Hello.", {"GEMINI_API_KEY": Secret("other")}, KeyMissing, "refused the key"),
    ],
    ids=range(2),
)
async def test_gemini_refuses(text: str, keys: Any, error: type[Exception], said: str) -> None:
    async with running(GoogleSpeech()) as server:
        with pytest.raises(error, match=said):
            await sound(speaking(server, "google", keys=keys), WholeText(text))


async def test_an_object_that_is_cut_off() -> None:
    class Cut(GoogleSpeech):
        def answer_post(self, request: Any) -> None:
            super().answer_post(request)
            self.chunks = [b'{"candidates": {}', b"[]"]

    async with running(Cut()) as server:
        with pytest.raises(SessionLost, match="ended the sound early"):
            await sound(speaking(server, "google"), WholeText("Hello."))


# ---------------------------------------------------------------------------------- sockets

SOCKETS = [("xai", XaiSpeechSocket), ("gateway/elevenlabs/eleven-v4", GatewaySpeechSocket)]


@pytest.mark.parametrize(("model", "kind"), SOCKETS, ids=["xai", "gateway"])
async def test_words_are_spoken_as_they_are_written(model: str, kind: type[SpeechSocket]) -> None:
    async def words() -> AsyncIterator[str]:
        yield "# Hello the"
        await server.arrived.acquire()
        assert server.text == "Hello "
        yield "re **my** fri"
        await server.arrived.acquire()
        yield "end"

    said: list[str] = []
    async with socket_of(kind()) as server:
        speech = speaking(server, model, said)
        spoken = await sound(speech, LiveText(words()))
    deltas = [each["delta"] for each in server.received if "delta" in each]
    assert deltas == ["Hello ", "there my ", "friend"]
    assert spoken == b"".join(map(sound_of, deltas))
    assert speech.spoken == len("Hello there my friend")


@pytest.mark.parametrize(
    "parts", [["One two. Three four? Fi", "ve."], ["One two. Three four? Five."]]
)
async def test_a_text_longer_than_a_socket_lasts_goes_to_the_next_one(parts: list[str]) -> None:
    async def words() -> AsyncIterator[str]:
        for part in parts:
            yield part

    async with socket_of(XaiSpeechSocket()) as server:
        speech = speaking(server, "xai")
        service = speech.choice.service
        assert service is not None
        speech.choice = replace(speech.choice, service=replace(service, dialog_s=0.0))
        spoken = await sound(speech, LiveText(words()))
    kinds = [each["type"] for each in server.received]
    # A socket ends with a sentence, and none is opened without a text.
    assert kinds == ["text.delta", "text.done"] * kinds.count("text.done")
    deltas = [each["delta"] for each in server.received if "delta" in each]
    assert deltas == ["One two. Three four? ", "Five."]
    assert spoken == b"".join(map(sound_of, deltas))
    assert speech.spoken == len("One two. Three four? Five.")


async def test_a_socket_takes_text_until_a_sentence_ends() -> None:
    now = [0.0]

    async def words() -> AsyncIterator[str]:
        for delta, seconds in (("One ", 9), ("two", 9), (". Three. Four ", 1), ("five", 60)):
            yield delta
            now[0] += seconds

    text = DialogText(words(), 10.0, lambda: now[0])
    sockets = []
    while not sockets or await text.has_more():
        sockets.append([more async for more in text.words()])
    await text.close()
    assert sockets == [["One ", "two. Three. "], ["Four ", "five"]]


async def test_the_address_of_xai_holds_the_settings() -> None:
    async with socket_of(XaiSpeechSocket()) as server:
        speech = speaking(server, "xai", voice="rex", speed=0.8, language="fr")
        await sound(speech, WholeText("Hello."), is_played=True)
    query = "voice=rex&language=fr&codec=pcm&sample_rate=24000&speed=0.8"
    assert server.path == f"/v1/tts?{query}"
    assert server.request_headers["authorization"] == f"Bearer {KEY}"


async def test_the_first_frame_of_the_gateway_holds_the_settings() -> None:
    said: list[str] = []
    async with socket_of(GatewaySpeechSocket()) as server:
        speech = speaking(server, "gateway/elevenlabs/eleven-v4", said, voice="Ann", speed=1.1)
        await sound(speech, WholeText("Hello."), is_played=True)
    assert server.path == "/v4/ai/speech-model?ai-model-id=elevenlabs%2Feleven-v4"
    assert server.request_headers["ai-model-id"] == "elevenlabs/eleven-v4"
    assert server.received[0] == {
        "type": "speech-stream.start", "voice": "Ann", "speed": 1.1,
        "outputFormat": {"type": "audio/pcm", "rate": 24_000},
    }  # fmt: skip
    assert said == ["The model does not support speed."]
    assert speech.spending.usage.input_tokens == 6


@pytest.mark.parametrize(("model", "kind"), SOCKETS, ids=["xai", "gateway"])
@pytest.mark.parametrize("how", ["fails", "closes"])
async def test_a_socket_that_fails_ends_a_live_text(
    model: str, kind: type[SpeechSocket], how: str
) -> None:
    async def words() -> AsyncIterator[str]:
        yield "Hello there"

    async with socket_of(kind()) as server:
        setattr(server, how, True)
        with pytest.raises(SessionLost, match=r"127\.0\.0\.1"):
            await sound(speaking(server, model, []), LiveText(words()))


@pytest.mark.parametrize(("model", "kind"), SOCKETS, ids=["xai", "gateway"])
async def test_sound_without_end_is_an_error(
    model: str, kind: type[SpeechSocket], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def words() -> AsyncIterator[str]:
        yield "Hello there"

    monkeypatch.setattr(provider_speech, "_LEAST_BYTES", 0)
    monkeypatch.setattr(provider_speech, "_BYTES_PER_CHARACTER", 30)  # the fake sends 40
    async with socket_of(kind()) as server:
        with pytest.raises(SessionLost, match="does not stop sending sound"):
            await sound(speaking(server, model, []), LiveText(words()))


async def test_sound_in_another_format_is_an_error() -> None:
    class Compressed(GatewaySpeechSocket):
        audio_format = {"type": "audio/mpeg"}  # noqa: RUF012

    async def words() -> AsyncIterator[str]:
        yield "Hello there"

    async with socket_of(Compressed()) as server:
        with pytest.raises(SessionLost, match="sent audio/mpeg instead of audio/pcm"):
            await sound(speaking(server, "gateway", []), LiveText(words()))


async def test_a_text_without_words_is_an_error() -> None:
    async def nothing() -> AsyncIterator[str]:
        yield "... \n"

    async with socket_of(XaiSpeechSocket()) as server:
        with pytest.raises(UsageError, match="no text to speak"):
            await sound(speaking(server, "xai"), LiveText(nothing()))


@pytest.mark.parametrize("server", [XaiSpeech, GatewaySpeech], ids=["xai", "gateway"])
async def test_a_complete_text_needs_no_socket(server: Any) -> None:
    """The stub answers the handshake with an ordinary page."""
    model = "xai" if server is XaiSpeech else "gateway"
    async with running(server()) as stub:
        speech = speaking(stub, model, [])
        assert await sound(speech, WholeText("Hello."), is_played=True) == sound_of("Hello.")
    assert speech.spoken == 6
