"""The speech of OpenAI and of servers that imitate it, over a real socket."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import Any

import pytest
from http_stub import HANG, running
from speech_servers import KEY, OpenAISpeech, sound_of, wav_of

from voicechat.core.items import Usage
from voicechat.errors import ConnectError, KeyMissing, Secret, SessionLost, UsageError
from voicechat.providers.openai.openai_speech import SPEECH
from voicechat.providers.speech_service import SpeechAudio, SpeechRequest, SpeechUsage
from voicechat.synthesis import provider_speech
from voicechat.synthesis.provider_speech import ProviderSpeech


async def spoken(server: OpenAISpeech, text: str = "Hello.", **more: Any) -> tuple[bytes, Usage]:
    """Speak one piece; return the sound and the usage."""
    given = {"model": "gpt-4o-mini-tts", "key": Secret(KEY), **more}
    provider = ProviderSpeech(SPEECH, SpeechRequest(base_url=server.url, **given))
    sound, usage = bytearray(), Usage()
    try:
        async with aclosing(provider.speak(text)) as events:
            async for event in events:
                if isinstance(event, SpeechAudio):
                    sound += event.data
                elif isinstance(event, SpeechUsage):
                    usage += event.usage
    finally:
        await provider.close()
    assert server.wrong == []
    return bytes(sound), usage


def sent(server: OpenAISpeech) -> dict[str, Any]:
    """Return the body of the last request."""
    body: dict[str, Any] = json.loads(server.posts[-1].body)
    return body


async def test_events_carry_the_sound_and_the_usage() -> None:
    async with running(OpenAISpeech()) as server:
        sound, usage = await spoken(
            server, voice="coral", speed=1.5, instructions="Be calm.", format="pcm"
        )
    assert sound == sound_of("Hello.")
    assert (usage.input_text_tokens, usage.output_audio_tokens) == (10, 100)
    assert sent(server) == {
        "model": "gpt-4o-mini-tts", "input": "Hello.", "voice": "coral", "response_format": "pcm",
        "speed": 1.5, "instructions": "Be calm.", "stream_format": "sse",
    }  # fmt: skip


async def test_a_body_is_the_sound() -> None:
    async with running(OpenAISpeech()) as server:
        sound, usage = await spoken(server, model="tts-1", format="wav", voice="voice_1")
    assert sound == wav_of(sound_of("Hello."))
    assert usage == Usage()
    assert sent(server)["voice"] == {"id": "voice_1"}
    assert "stream_format" not in sent(server)


async def test_a_server_without_events_sends_a_body() -> None:
    async with running(OpenAISpeech()) as server:
        server.has_events = False
        assert (await spoken(server))[0] == sound_of("Hello.")


def test_a_server_of_the_user_is_asked_for_wav() -> None:
    own = "http://127.0.0.1:8880/v1"
    assert SPEECH.sound(SpeechRequest("tts-1", base_url=own)) == "wav"
    assert SPEECH.sound(SpeechRequest("tts-1")) == "pcm"


@pytest.mark.parametrize(
    ("base_url", "address"),
    [
        (None, "https://api.openai.com/v1/audio/speech"),
        ("http://127.0.0.1:8880", "http://127.0.0.1:8880/v1/audio/speech"),
        ("wss://host/proxy/v1/realtime", "https://host/proxy/v1/audio/speech"),
        ("https://host/v1/audio/speech/", "https://host/v1/audio/speech"),
    ],
)
def test_the_address_is_below_the_root_of_the_api(base_url: str | None, address: str) -> None:
    assert SPEECH.request(SpeechRequest("tts-1", base_url=base_url), "Hello.").url == address


@pytest.mark.parametrize(
    ("status", "error", "kind", "said"),
    [
        (401, {"message": f"Incorrect API key: {KEY}"}, KeyMissing, "refused the key"),
        (403, {"message": "no"}, KeyMissing, "refused the key (HTTP 403: no)."),
        (429, {"message": "You exceeded your current quota."}, ConnectError, "no quota left"),
        (402, {"message": "Pay."}, ConnectError, "no quota left (HTTP 402: Pay)."),
        (404, {"message": "The model `x` does not exist"}, ConnectError, "not have this model"),
        (404, {"message": "Gone."}, ConnectError, "cannot speak this (HTTP 404: Gone)."),
        (400, {"message": "Bad voice \x1b[2J."}, UsageError, "Bad voice"),
        (301, {"message": ""}, ConnectError, "redirects"),
        (501, {"message": ""}, ConnectError, "could not speak the text (HTTP 501)."),
    ],
    ids=range(9),
)
async def test_a_refusal_is_one_sentence_and_not_repeated(
    status: int, error: dict[str, Any], kind: type[Exception], said: str
) -> None:
    async with running(OpenAISpeech()) as server:
        server.fails = [(status, error)]
        with pytest.raises(kind) as caught:
            await spoken(server)
        assert len(server.posts) == 1
    assert said in str(caught.value)
    assert KEY not in str(caught.value)
    assert "\x1b" not in str(caught.value)


async def test_a_server_that_asks_for_a_key() -> None:
    async with running(OpenAISpeech()) as server:
        with pytest.raises(KeyMissing, match="asks for a key"):
            await spoken(server, key=None)


async def test_a_passing_failure_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_speech, "PAUSE_S", 0.0)
    busy = (503, {"message": "busy"})
    async with running(OpenAISpeech()) as server:
        server.fails = [busy, busy]
        assert (await spoken(server))[0] == sound_of("Hello.")
        server.fails = [busy, busy, busy]
        with pytest.raises(ConnectError, match=r"could not speak the text .HTTP 503: busy"):
            await spoken(server)
        server.fails = [(429, {"message": "slow down"})] * 3
        with pytest.raises(ConnectError, match="limits the rate"):
            await spoken(server)


@pytest.mark.parametrize("model", ["gpt-4o-mini-tts", "tts-1"])
async def test_sound_that_is_cut_off_is_an_error(model: str) -> None:
    async with running(OpenAISpeech()) as server:
        server.cuts_at = 0
        with pytest.raises(SessionLost, match="ended the sound early"):
            await spoken(server, "Hello. " * 100, model=model)
    assert len(server.posts) == 1


async def test_events_without_an_end_are_cut_off() -> None:
    class Ending(OpenAISpeech):
        def answer_post(self, request: Any) -> None:
            super().answer_post(request)
            self.chunks = self.chunks[:-1]

    async with running(Ending()) as server:
        with pytest.raises(SessionLost, match="ended the sound early"):
            await spoken(server)


@pytest.mark.parametrize(
    ("event", "kind", "said"),
    [
        ({"type": "error", "error": {"message": "Overloaded."}}, SessionLost, "text: Overloaded."),
        ({"error": {"code": "invalid_api_key"}}, KeyMissing, "refused the key"),
        ({"type": "speech.audio.delta", "audio": "!"}, SessionLost, "not base64"),
        ({"type": "speech.audio.delta"}, SessionLost, "not base64"),
    ],
    ids=range(4),
)
async def test_an_error_among_the_events_is_raised(
    event: dict[str, Any], kind: type[Exception], said: str
) -> None:
    class Failing(OpenAISpeech):
        def answer_post(self, request: Any) -> None:
            super().answer_post(request)
            self.chunks = [b"data: 7\n: note\n\n", f"data: {json.dumps(event)}\n\n".encode()]

    async with running(Failing()) as server:
        with pytest.raises(kind, match=said):
            await spoken(server)


@pytest.mark.parametrize("media_type", ["text/html", "application/json", "audio/mpeg"])
async def test_another_kind_of_answer_is_no_sound(media_type: str) -> None:
    class Other(OpenAISpeech):
        def answer_post(self, request: Any) -> None:
            super().answer_post(request)
            self.headers = {"Content-Type": media_type}

    async with running(Other()) as server:
        with pytest.raises(ConnectError, match=f"sent {media_type} instead of wav"):
            await spoken(server, model="tts-1", format="wav")


async def test_a_server_that_does_not_stop_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_speech, "_LEAST_BYTES", 0)
    monkeypatch.setattr(provider_speech, "_BYTES_PER_CHARACTER", 10)
    async with running(OpenAISpeech()) as server:
        with pytest.raises(SessionLost, match="does not stop"):
            await spoken(server, model="tts-1")


async def test_a_line_of_events_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.providers.speech_service._LONGEST_LINE", 100)

    class Endless(OpenAISpeech):
        def answer_post(self, request: Any) -> None:
            super().answer_post(request)
            self.chunks = [b"data: " + bytes(200), HANG]

    async with running(Endless()) as server:
        with pytest.raises(SessionLost, match="a line that is too long"):
            await spoken(server)


async def test_a_server_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider_speech, "PAUSE_S", 0.0)
    async with running(OpenAISpeech()) as server:
        pass
    with pytest.raises(ConnectError, match="could not be reached"):
        await spoken(server)


async def test_a_key_is_not_sent_unencrypted() -> None:
    request = SpeechRequest("tts-1", key=Secret(KEY), base_url="http://example.com/v1")
    provider = ProviderSpeech(SPEECH, request)
    with pytest.raises(UsageError, match="unencrypted to example"):
        await anext(provider.speak("Hello."))
