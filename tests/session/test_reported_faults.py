"""Behavior of providers that public reports describe: each of it once broke another client.

The servers are those of `fake_openai` and `fake_wires`; a test changes what its report describes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from fake_openai import OpenAI
from fake_wires import SOUND, Fake, Gemini, running
from scripted_conversation import entries, idle
from session_driver import SessionDriver
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.core.items import Role
from voicechat.errors import ConnectError, Secret
from voicechat.session import reconnect
from voicechat.session.session import Session
from voicechat.session.updates import Link

KEYS = {"OPENAI_API_KEY": Secret("planted-key"), "GEMINI_API_KEY": Secret("planted-key")}


@asynccontextmanager
async def talking(server: type[OpenAI] | type[Gemini]) -> AsyncIterator[tuple[SessionDriver, Fake]]:
    """Run a session with this server, which makes an object for each connection."""
    model = "google/gemini-3.8-live" if issubclass(server, Gemini) else "openai/gpt-realtime-2.1"

    async def serve(fake: Fake, socket: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            await server(fake, socket).hold()

    async with running(serve) as fake:
        url = f"http://127.0.0.1:{fake.port}"
        options = Options(model=model, with_sound=False, base_url=url, keys=KEYS)
        driver = SessionDriver(Session(options))
        living = asyncio.create_task(driver.session.run())
        try:
            await driver.until(lambda: driver.session.link is Link.ONLINE or living.done())
            yield driver, fake
        finally:
            driver.session.close()
            await living
        assert fake.wrong == []


def errors(driver: SessionDriver) -> list[str]:
    notices = [each for each in driver.updates if isinstance(each, effects.Notice)]
    return [each.text for each in notices if each.level is not effects.Level.INFO]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconnect, "backoff", lambda attempt, random: 0.0)


# ------------------------------------------------------------------------------ Gemini


class ForgetfulGemini(Gemini):
    """Closes the first connection at the first result of a tool, before it gave a handle.

    google-gemini/deprecated-generative-ai-js, issue 487.
    """

    async def resumable(self) -> None:
        if len(self.fake.sockets) > 1:
            await super().resumable()

    async def on_toolResponse(self, said: dict[str, Any]) -> None:
        if len(self.fake.sockets) == 1:
            await self.socket.close(1008, "Requested entity was not found.")
        else:
            await super().on_toolResponse(said)


async def test_gemini_closes_at_the_first_result_of_a_tool() -> None:
    async with talking(ForgetfulGemini) as (driver, fake):
        driver.session.type("what time is it")
        await idle(driver, 1)
        assert len(fake.sockets) == 2
        assert "Tokyo" in str(fake.results) + str(fake.history)


class JealousGemini(Gemini):
    """Refuses to resume a session whose first socket it believes to be open.

    aicc2025/sip-to-ai, pull request 14.
    """

    def check_setup(self) -> None:
        super().check_setup()
        self.refused = "handle" in self.setup["sessionResumption"]

    async def send(self, **message: object) -> None:
        if self.refused:
            await self.socket.close(1011, "Internal error occurred.")
        await super().send(**message)


async def test_gemini_refuses_to_resume_a_session() -> None:
    async with talking(JealousGemini) as (driver, fake):
        driver.session.type("hello")
        await idle(driver, 1)
        fake.sockets[-1].transport.abort()
        driver.session.type("again")
        await driver.until(lambda: "You said again." in driver.texts(Role.ASSISTANT))
        assert [("handle" in s["sessionResumption"]) for s in fake.setups] == [False, True, False]
        assert ("model", "You said hello.") in fake.history


class ChattyGemini(Gemini):
    """Sends frames with only a usage, empty content, and everything of an answer in one frame.

    livekit/agents, pull request 5251; hkjarral/AVA-AI-Voice-Agent-for-Asterisk, issue 350.
    """

    async def say(self, text: str) -> None:
        usage = {"promptTokenCount": 10, "responseTokenCount": 5, "totalTokenCount": 15}
        await self.send(usageMetadata=usage)
        await self.content()
        blob = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": SOUND}}
        await self.content(
            modelTurn={"parts": [{"text": "Hm.", "thought": True}, blob, blob]},
            outputTranscription={"text": text},
            generationComplete=True,
            turnComplete=True,
        )
        await self.content(outputTranscription={"text": " Late."})
        await self.send(usageMetadata=usage)


async def test_gemini_sends_all_of_an_answer_in_one_frame() -> None:
    async with talking(ChattyGemini) as (driver, _):
        driver.session.type("hello")
        await driver.until(lambda: driver.texts(Role.ASSISTANT) == ["You said hello. Late."])
        driver.session.type("again")
        await driver.until(lambda: driver.texts(Role.ASSISTANT)[-1] == "You said again. Late.")
        assert len(driver.texts(Role.ASSISTANT)) == 2
        assert errors(driver) == []


# ------------------------------------------------------------------------------ OpenAI


class HastyOpenAI(OpenAI):
    """Answers a result by itself, and refuses the request that follows.

    pipecat-ai/pipecat, pull request 3960. Without a code: openai-realtime-console, issue 473.
    """

    code: str | None = "conversation_already_has_active_response"
    refuses = False

    async def on_conversation_item_create(self, said: dict[str, Any]) -> None:
        await super().on_conversation_item_create(said)
        if said["item"]["type"] == "function_call_output":
            await self.reply()
            self.refuses = True

    async def on_response_create(self, said: dict[str, Any]) -> None:
        if self.refuses:
            self.refuses = False
            await self.error(
                code=self.code,
                message="Conversation already has an active response in progress: resp_1.",
            )
        else:
            await super().on_response_create(said)

    async def error(self, **error: object) -> None:
        fields = {"type": "invalid_request_error", "code": None, "param": None, "event_id": None}
        await self.send("error", error={**fields, **error})


@pytest.mark.parametrize("code", [HastyOpenAI.code, None])
async def test_openai_answers_a_result_before_it_is_asked_to(
    code: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HastyOpenAI, "code", code)
    async with talking(HastyOpenAI) as (driver, _):
        driver.session.type("what time is it")
        await driver.until(lambda: "So it is." in driver.texts(Role.ASSISTANT))
        driver.session.type("hello")
        await driver.until(lambda: "You said hello." in driver.texts(Role.ASSISTANT))
        assert errors(driver) == []


class ShortOpenAI(HastyOpenAI):
    """Reports errors without their event: an item is shorter, a response has ended already.

    twilio-samples/speech-assistant-openai-realtime-api-python, issue 22.
    """

    async def on_conversation_item_truncate(self, said: dict[str, Any]) -> None:
        await self.error(message="Audio content of 30ms is already shorter than 50ms")

    async def on_response_cancel(self, said: dict[str, Any]) -> None:
        await self.end("cancelled", "client_cancelled")
        await self.error(message="Cancellation failed: no active response found")


async def test_openai_refuses_a_truncation_without_naming_it() -> None:
    async with talking(ShortOpenAI) as (driver, _):
        driver.session._handle(inputs.SpeakerChanged(True))
        driver.session.type("tell me a story")
        await driver.until(lambda: entries(driver)[-1][1] == "Once upon a time")
        story = driver.session.transcript.entries[-1]
        driver.session._handle(inputs.PlaybackStarted(story.item_id))
        driver.session._handle(inputs.Heard(story.item_id, 50.0))
        driver.session.type("enough")
        driver.session._handle(inputs.PlaybackStopped({story.item_id: 40.0}))
        await driver.until(lambda: entries(driver)[-1][1] == "You said enough.")
        assert errors(driver) == []


class LimitedOpenAI(OpenAI):
    """Fails the first response. livekit-examples/realtime-playground, issue 7."""

    async def end(self, status: str, reason: str | None = None) -> None:
        if not self.fake.said:
            self.fake.said.append("failed")
            error = {"type": "tokens", "code": "rate_limit_exceeded", "message": "Slow down."}
            details = {"type": "failed", "error": error}
            done = {**self.running, "status": "failed", "status_details": details, "output": []}
            self.running = {}
            await self.send("response.done", response=done)
        else:
            await super().end(status, reason)


async def test_openai_fails_a_response_because_of_a_limit() -> None:
    async with talking(LimitedOpenAI) as (driver, _):
        driver.session.type("hello")
        await driver.until(lambda: any("Slow down" in each for each in errors(driver)))
        driver.session.type("again")
        await driver.until(lambda: "You said again." in driver.texts(Role.ASSISTANT))


class WritingOpenAI(OpenAI):
    """Writes an answer that it should speak. livekit/agents, issue 2694."""

    async def speak(self) -> None:
        where: dict[str, Any] = {"response_id": self.running["id"], "output_index": 0}
        item: dict[str, Any] = {"id": self.id("item"), "type": "message", "role": "assistant"}
        of_part: dict[str, Any] = {**where, "item_id": item["id"], "content_index": 0}
        await self.send("response.output_item.added", **where, item={**item, "content": []})
        await self.send("response.output_text.delta", **of_part, delta="In writing.")
        await self.send("response.output_text.done", **of_part, text="In writing.")


async def test_openai_writes_an_answer_that_it_should_speak() -> None:
    async with talking(WritingOpenAI) as (driver, _):
        driver.session._handle(inputs.SpeakerChanged(True))
        driver.session.type("hello")
        await idle(driver, 1)
        assert driver.texts(Role.ASSISTANT) == ["In writing."]


class RetiredOpenAI(OpenAI):
    """Closes each connection at once. NousResearch/hermes-agent, issue 117693."""

    async def hold(self) -> None:
        await self.socket.close(4000, "invalid_request_error.beta_api_shape_disabled")


async def test_openai_no_longer_takes_the_old_protocol() -> None:
    async def serve(fake: Fake, socket: ServerConnection) -> None:
        await RetiredOpenAI(fake, socket).hold()

    async with running(serve) as fake:
        url = f"http://127.0.0.1:{fake.port}"
        options = Options(
            model="openai/m", wire="beta", with_sound=False, base_url=url, keys=KEYS
        )  # fmt: skip
        with pytest.raises(ConnectError, match="no longer takes") as refused:
            await Session(options).run()
        assert "--wire" in str(refused.value.hint)
        assert len(fake.sockets) == 1


# ------------------------------------------------------------------------------ tools


class MalformedOpenAI(OpenAI):
    """Calls a tool with arguments that are no object. openclaw/openclaw, pull request 111730."""

    arguments = ""

    async def send(self, kind: str, **fields: Any) -> None:
        if kind == "response.function_call_arguments.delta":
            fields["delta"] = self.arguments
        elif kind == "response.function_call_arguments.done":
            fields["arguments"] = self.arguments
        elif kind == "response.output_item.done" and fields["item"]["type"] == "function_call":
            fields["item"]["arguments"] = self.arguments
        await super().send(kind, **fields)


@pytest.mark.parametrize("arguments", ['{"zone": "Asia', '["Asia/Tokyo"]', "null", '"Asia/Tokyo"'])
async def test_arguments_that_are_no_object_are_refused(
    arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MalformedOpenAI, "arguments", arguments)
    async with talking(MalformedOpenAI) as (driver, fake):
        driver.session.type("what time is it")
        await driver.until(lambda: "So it is." in driver.texts(Role.ASSISTANT))
        (result,) = fake.results
        assert "error" in result["output"]
        assert "Tokyo" not in result["output"]


class TerseOpenAI(OpenAI):
    """Sends the arguments of a call in its deltas only. BerriAI/litellm, pull request 33127."""

    async def send(self, kind: str, **fields: Any) -> None:
        if kind == "response.function_call_arguments.done":
            return
        if kind == "response.output_item.done" and fields["item"]["type"] == "function_call":
            fields["item"]["arguments"] = ""
        await super().send(kind, **fields)


async def test_arguments_in_deltas_only_are_used() -> None:
    async with talking(TerseOpenAI) as (driver, fake):
        driver.session.type("what time is it")
        await driver.until(lambda: "So it is." in driver.texts(Role.ASSISTANT))
        (result,) = fake.results
        assert "Tokyo" in result["output"]


class CallingGemini(Gemini):
    """Calls a tool for spoken words, without an end of their transcript.

    livekit/agents, issue 2432.
    """

    async def spoken(self, text: str) -> None:
        await super().spoken("what time is it")


async def test_spoken_words_that_lead_to_a_tool_are_kept() -> None:
    async with talking(CallingGemini) as (driver, _):
        driver.session._handle(inputs.HandsFree(True))
        await driver.until(lambda: driver.session._connections.sessions_created == 2)
        for _ in range(50):
            driver.session._handle(inputs.MicBlock(bytes(640)))
            await asyncio.sleep(0)
        await driver.until(lambda: entries(driver)[-1:] != [])
        await driver.until(lambda: "So it is." in driver.texts(Role.ASSISTANT))
        assert [entry[:2] for entry in entries(driver)] == [
            ("user", "what time is it"), ("tool", "current_time"), ("assistant", "So it is."),
        ]  # fmt: skip
