"""Servers of other people at `--base-url` alone: the wire is recognized, and each one answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from compatible_servers import (
    SPOKEN,
    CompatibleServer,
    LocalAI,
    Speaches,
    SpeechToSpeech,
    Vllm,
    serving,
)
from scripted import TOKEN, scripted_server
from session_driver import SessionDriver, online

from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.core.items import Role
from voicechat.core.settings import ServerVad, Transcription
from voicechat.errors import ConnectError, Secret, UsageError
from voicechat.session import reconnect
from voicechat.session.session import Session

LANGUAGE_MODEL = "qwen/qwen3:8b"
"""A name whose first part is no provider."""


def session(server: CompatibleServer, path: str = "", **options: Any) -> Session:
    url = f"http://127.0.0.1:{server.port}{path}"
    return Session(Options(with_sound=False, base_url=url, **options))


@asynccontextmanager
async def talking(server: CompatibleServer, **options: Any) -> AsyncIterator[SessionDriver]:
    if isinstance(server, Speaches):
        options.setdefault("model", LANGUAGE_MODEL)
    async with serving(server), online(SessionDriver(session(server, **options))) as driver:
        yield driver


async def answered(driver: SessionDriver, words: str, answer: str) -> None:
    driver.session.type(words)
    await driver.until(lambda: answer in driver.texts(Role.ASSISTANT))


def warnings(driver: SessionDriver) -> list[str]:
    return [
        update.text
        for update in driver.updates
        if isinstance(update, effects.Notice) and update.level is not effects.Level.INFO
    ]


@pytest.mark.parametrize("make", [LocalAI, SpeechToSpeech, Speaches])
@pytest.mark.parametrize("path", ["", "/v1", "/v1/", "/v1/realtime"])
async def test_a_typed_turn_and_a_tool(make: type[CompatibleServer], path: str) -> None:
    async with talking(make(), path=path) as driver:
        await answered(driver, "hello", "You said hello.")
        await answered(driver, "what time is it", "You said thanks.")
    assert warnings(driver) == []


async def speak(driver: SessionDriver, answers: int) -> None:
    """Speak for half a second, and wait until there are this many answers."""
    for _ in range(25):
        driver.session._handle(inputs.MicBlock(bytes(960)))
    await driver.until(lambda: len(driver.texts(Role.ASSISTANT)) == answers)


@pytest.mark.parametrize("make", [LocalAI, SpeechToSpeech, Speaches])
async def test_a_spoken_turn_is_one_entry(make: type[CompatibleServer]) -> None:
    async with talking(make()) as driver:
        driver.session._handle(inputs.HandsFree(True))
        driver.session._handle(inputs.SpeakerChanged(True))
        await speak(driver, answers=1)
        await speak(driver, answers=2)
        assert driver.texts(Role.USER) == [SPOKEN] * 2
        assert len(driver.session.transcript.entries) == 4


async def test_localai_is_asked_for_its_pipeline() -> None:
    server = LocalAI()
    async with talking(server) as driver:
        assert driver.session.model == "openai/voice-loop"
    assert server.queries == [{"model": ["voice-loop"]}]
    (update,) = server.sent("session.update")
    assert "transcription" not in update["session"]["audio"]["input"]


async def test_speech_to_speech_needs_no_model() -> None:
    server = SpeechToSpeech()
    async with talking(server) as driver:
        assert driver.session.model == "openai/default"
        await answered(driver, "hello", "You said hello.")
    assert driver.session.shown_cost == ""


async def test_speaches_gets_the_flat_session_without_what_it_refuses() -> None:
    server = Speaches()
    async with talking(server) as driver:
        assert driver.session.model == f"openai/{LANGUAGE_MODEL}"
        await answered(driver, "hello", "You said hello.")
        with pytest.raises(UsageError, match="answers nothing outside the conversation"):
            await driver.session.ask_aside("Summarize.")
    assert server.queries == [{"model": [LANGUAGE_MODEL]}]
    (update,) = server.sent("session.update")
    assert update["session"]["modalities"] == ["text"]
    assert (
        update["session"]
        .keys()
        .isdisjoint(
            {"type", "input_audio_format", "output_audio_format", "input_audio_transcription"}
        )
    )


async def test_speaches_without_a_model_asks_for_one() -> None:
    async with serving(Speaches()) as server:
        with pytest.raises(UsageError, match=r"lists no model for conversations.*--model"):
            await session(server).run()


@pytest.mark.parametrize("make", [LocalAI, SpeechToSpeech, Speaches])
async def test_turn_detection_of_a_pipeline_is_by_silence(make: type[CompatibleServer]) -> None:
    server = make()
    async with talking(server) as driver:
        driver.session._handle(inputs.HandsFree(True))
        await driver.until(lambda: driver.session.hands_free)
        await answered(driver, "hello", "You said hello.")
    sent = str([message["session"] for message in server.sent("session.update")])
    assert "semantic_vad" not in sent
    refused = ["prefix_padding_ms"] if isinstance(server, Speaches) else []
    assert len(warnings(driver)) == len(refused)
    for name, warning in zip(refused, warnings(driver), strict=True):
        assert warning.startswith("The server refused settings: Specifying")
        assert name in warning


async def test_a_silence_of_the_user_s_own_keeps_the_other_values_of_localai() -> None:
    server = LocalAI()
    settings = {"turn_detection": ServerVad(silence_duration_ms=900)}
    async with talking(server, session_settings=settings) as driver:
        driver.session._handle(inputs.HandsFree(True))
        await answered(driver, "hello", "You said hello.")
    sent = [message["session"].get("audio", {}) for message in server.sent("session.update")]
    detection = sent[-1]["input"]["turn_detection"]
    assert (detection["silence_duration_ms"], detection["threshold"]) == (900, 0.5)


async def test_refused_settings_are_reported_in_one_sentence_and_the_session_goes_on() -> None:
    server = LocalAI()
    settings = {"transcription": Transcription(model="whisper-9")}
    async with talking(server, session_settings=settings) as driver:
        await answered(driver, "hello", "You said hello.")
    assert warnings(driver) == [
        "The provider refused the setting transcription: Failed to update session."
    ]


async def test_a_model_that_is_no_pipeline_ends_with_the_server_s_reason() -> None:
    async with serving(LocalAI()) as server:
        with pytest.raises(ConnectError) as refused:
            await session(server, model="openai/qwen3-4b").run()
    assert str(refused.value) == (
        "127.0.0.1 opened no session: Model is not a pipeline model. Check --base-url and --model."
    )
    assert len(server.queries) == 1


async def test_a_full_server_ends_with_its_reason() -> None:
    server = SpeechToSpeech()
    server.slots = 0
    async with serving(server):
        with pytest.raises(ConnectError, match="All 0 session slots are in use"):
            await session(server).run()


async def test_vllm_only_transcribes() -> None:
    async with serving(Vllm()) as server:
        with pytest.raises(ConnectError, match=r"only transcribes, like vLLM.*--chat-url"):
            await session(server).run()


class WaitsForSettings(SpeechToSpeech):
    """A server that opens the session when the first settings come."""

    async def greet(self) -> None:
        self.session = {"type": "realtime"}


async def test_a_server_that_waits_for_settings_is_prompted(monkeypatch) -> None:
    monkeypatch.setattr(reconnect, "PROMPT_AFTER_S", 0.0)
    server = WaitsForSettings()
    async with talking(server) as driver:
        await answered(driver, "hello", "You said hello.")
    first, *_ = server.sent("session.update")
    assert first == {"type": "session.update", "session": {"type": "realtime"}}


async def test_the_embedded_server_at_a_base_url() -> None:
    async with scripted_server() as backend:
        url = backend.app.url.replace("ws://", "http://").removesuffix("/v1/realtime")
        keys = {"OPENAI_API_KEY": Secret(TOKEN)}
        made = Session(Options(with_sound=False, base_url=url, keys=keys))
        async with online(SessionDriver(made)) as driver:
            assert driver.session.model == "openai/voicechat-local"
            driver.session.type("hello")
            await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        assert warnings(driver) == []
