"""`voicechat.speak` and `voicechat.speak_async`."""

from __future__ import annotations

import asyncio
import io
import wave
from typing import Any

import pytest
from http_stub import running
from speech_servers import KEY, OpenAISpeech, encoded_of, sound_of

import voicechat

LONG = "This is a sentence of a long text. " * 200


async def spoken(server: OpenAISpeech, text: str = "Hello.", **more: Any) -> Any:
    given = {"model": "openai/gpt-4o-mini-tts", "settings": False, "api_key": KEY, **more}
    return await voicechat.speak_async(text, base_url=server.url, **given)


async def test_a_result_has_types() -> None:
    async with running(OpenAISpeech()) as server:
        speech = await spoken(server, LONG, voice="coral", speed=2)
    assert isinstance(speech, voicechat.SynthesizedSpeech)
    with wave.open(io.BytesIO(speech.audio)) as file:
        assert file.readframes(file.getnframes()) == b"".join(map(sound_of, server.texts))
    assert (speech.media_type, speech.model) == ("audio/wav", "openai/gpt-4o-mini-tts")
    assert speech.usage.total_tokens == 220
    assert speech.cost == pytest.approx(2 * (10 * 0.6 + 100 * 12) / 1e6)
    assert speech.warnings == ()
    assert "audio=" not in repr(speech)


async def test_bytes_of_the_provider_are_passed_through() -> None:
    async with running(OpenAISpeech()) as server:
        speech = await spoken(server, format="mp3", model="openai/tts-1", instructions="Calm.")
    assert (speech.audio, speech.media_type) == (encoded_of("Hello.", "mp3"), "audio/mpeg")
    assert speech.warnings == ("openai/tts-1 follows no instructions.",)


async def test_without_a_loop_it_blocks() -> None:
    async with running(OpenAISpeech()) as server:
        speech = await asyncio.to_thread(
            voicechat.speak, "Hello.", "openai/tts-1", base_url=server.url, format="pcm",
            settings=False, api_key=KEY,
        )  # fmt: skip
        assert speech.audio == sound_of("Hello.")
        with pytest.raises(voicechat.UsageError, match=r"Await voicechat\.speak_async instead"):
            voicechat.speak("Hello.")


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"text": 7}, TypeError, "text"),
        ({"format": "wma"}, voicechat.UsageError, "format"),
        ({"speed": "fast"}, TypeError, "speed"),
        ({"voice": 1}, TypeError, "voice"),
        ({"text": "***"}, voicechat.UsageError, "There is no text to speak."),
        ({"speed": 9}, voicechat.UsageError, "at a speed of 0.25 to 4, not 9"),
    ],
    ids=range(6),
)
async def test_a_wrong_parameter(given: dict[str, Any], error: type[Exception], said: str) -> None:
    async with running(OpenAISpeech()) as server:
        with pytest.raises(error) as caught:
            await spoken(server, **{"text": "Hello.", **given})
    assert said in str(caught.value)
