"""The session with a real server over a real socket, without a screen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from following import follow
from scripted import scripted_server
from session_driver import SessionDriver, options, running_session

from voicechat.audio import messages as sound
from voicechat.config.options import Options
from voicechat.core import commands, effects, inputs
from voicechat.core.items import Role, ToolCall, ToolState
from voicechat.errors import ConnectError, KeyMissing, VoicechatError
from voicechat.server.engine_protocols import Call, Say
from voicechat.session.session import Session
from voicechat.session.updates import Cleared, Link, LinkChanged


async def test_typed_turns_are_answered_in_order() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        for words in ("one", "two"):
            driver.session.type(words)
            await driver.until(
                lambda said=words: f"You said {said}." in driver.texts(Role.ASSISTANT)
            )
        assert driver.texts(Role.USER) == ["one", "two"]
        assert driver.session.latency_ms is not None
        assert driver.session.floor is effects.Floor.IDLE


class SilentLink:
    """Audio in place of the audio process; `commands` are those it got."""

    def __init__(self) -> None:
        self.commands: list[object] = []
        self.opened = asyncio.Event()

    def open(
        self, settings: sound.AudioSettings, on_event: Callable[[sound.AudioEvent], None]
    ) -> SilentLink:
        self.settings, self.report = settings, on_event
        self.opened.set()
        return self

    def send(self, command: sound.AudioCommand) -> None:
        self.commands.append(command)

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("push_to_talk", [False, True])
async def test_words_spoken_before_the_connection_are_sent(push_to_talk: bool) -> None:
    async with scripted_server() as backend:
        chosen = replace(options(backend.app.url), with_sound=True, push_to_talk=push_to_talk)
        link = SilentLink()
        session = Session(chosen, open_audio=link.open)
        driver = SessionDriver(session)
        sent: list[effects.Send] = []
        follow(session, sent.append, [effects.Send])
        running = asyncio.create_task(session.run())
        await link.opened.wait()
        second = b"\1\0" * link.settings.input_rate
        link.report(inputs.MicBlock(second))
        link.report(sound.Opened("microphone", "speaker"))
        assert link.commands[0] == effects.CloseMic(push_to_talk)
        await driver.until(lambda: sound.Cue("ready") in link.commands)
        session.close()
        await running
    heard = [e.command.pcm for e in sent if isinstance(e.command, commands.AppendAudio)]
    assert heard == ([] if push_to_talk else [second])


async def test_the_ready_cue_waits_for_the_microphone() -> None:
    async with scripted_server() as backend:
        link = SilentLink()
        session = Session(replace(options(backend.app.url), with_sound=True), open_audio=link.open)
        driver = SessionDriver(session)
        running = asyncio.create_task(session.run())
        await driver.until(lambda: session.link is Link.ONLINE)
        assert sound.Cue("ready") not in link.commands
        link.report(sound.Opened("microphone", "speaker"))
        link.report(sound.Opened("microphone", "speaker"))
        assert link.commands.count(sound.Cue("ready")) == 1
        session.close()
        await running


async def test_a_silent_microphone_is_reported_once() -> None:
    link = SilentLink()
    session = Session(Options(with_sound=True), open_audio=link.open)
    driver = SessionDriver(session)
    await session._open_sound()
    states = []
    for ended in (False, True, False, True, False):
        link.report(sound.DigitalSilence(ended, "It is silent.", "Check it."))
        states.append(session.microphone_is_silent)
    assert states == [True, False, True, False, True]
    notices = [each for each in driver.updates if isinstance(each, effects.Notice)]
    assert [each.level for each in notices] == [effects.Level.WARNING, effects.Level.INFO]
    assert notices[1].ends == notices[0].text


async def test_a_guarded_reply_and_a_raised_threshold_are_told() -> None:
    link = SilentLink()
    session = Session(Options(with_sound=True), open_audio=link.open)
    driver = SessionDriver(session)
    await session._open_sound()
    states = []
    for guarded, raised in ((True, False), (True, True), (False, True), (True, True)):
        link.report(sound.EchoGuarded(guarded, raised))
        states.append(session.half_duplex)
    assert states == [True, True, False, True]
    notices = [each for each in driver.updates if isinstance(each, effects.Notice)]
    assert [each.text for each in notices] == [
        "Two replies stopped right after they began, maybe by their own echo."
    ]


async def test_a_line_typed_before_the_connection_is_open_is_answered() -> None:
    async with scripted_server() as backend:
        driver = SessionDriver(Session(options(backend.app.url)))
        driver.session.type("early")
        running = asyncio.create_task(driver.session.run())
        await driver.until(lambda: "You said early." in driver.texts(Role.ASSISTANT))
        driver.session.close()
        await running
        assert driver.session.link is Link.OFFLINE


async def test_a_tool_runs_and_its_result_is_sent() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        backend.assistant.answer = lambda request: (
            [Say(request.messages[-1].text)]
            if request.messages[-1].role == "tool_result"
            else [Call("call_1", "current_time", '{"zone": "Asia/Tokyo"}')]
        )
        driver.session.type("what time is it in Tokyo")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        call = driver.session.transcript.get("call_1")
        assert isinstance(call, ToolCall)
        assert call.state is ToolState.DONE
        assert "Tokyo" in driver.texts(Role.ASSISTANT)[0]


async def test_interrupting_ends_the_response() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        backend.assistant.gate.clear()
        driver.session.type("think hard")
        await driver.until(lambda: driver.session.floor is effects.Floor.THINKING)
        driver.session.interrupt()
        await driver.until(lambda: driver.session.floor is effects.Floor.IDLE)
        backend.assistant.gate.set()
        driver.session.type("again")
        await driver.until(lambda: "You said again." in driver.texts(Role.ASSISTANT))


async def test_a_session_ends_that_is_closed_while_it_renews_its_connection() -> None:
    async with scripted_server() as backend:
        async with asyncio.timeout(15), running_session(backend) as driver:
            driver.session.new_conversation()
        assert driver.session.link is not Link.ONLINE


async def test_a_new_conversation_does_not_contain_the_old_one() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session.type("one")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        driver.session.new_conversation()
        assert Cleared() in driver.updates
        assert driver.session.transcript.entries == []
        driver.session.type("two")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        said = [message.text for message in backend.assistant.requests[-1].messages]
        assert said == ["two"]


async def test_a_reconnected_session_has_the_conversation() -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session.type("one")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        for connection in list(backend.app._server.connections):  # type: ignore[union-attr]
            connection.transport.abort()
        await driver.until(lambda: driver.session.link is Link.RECONNECTING)
        await driver.until(lambda: driver.session.link is Link.ONLINE)
        driver.session.type("two")
        await driver.until(lambda: len(driver.texts(Role.ASSISTANT)) == 2)
        said = [message.text for message in backend.assistant.requests[-1].messages]
        assert said == ["one", "You said one.", "two"]
        links = [update.link for update in driver.updates if isinstance(update, LinkChanged)]
        assert Link.RECONNECTING in links


async def failure(chosen: Options) -> VoicechatError:
    with pytest.raises(VoicechatError) as caught:
        await Session(chosen).run()
    return caught.value


async def test_a_wrong_key_and_a_dead_address_end_the_session_with_one_sentence() -> None:
    async with scripted_server() as backend:
        url = backend.app.url
        error = await failure(options(url, "wrong-key-123"))
        assert isinstance(error, KeyMissing)
        assert "wrong-key-123" not in str(error)
    error = await failure(options(url))
    assert isinstance(error, ConnectError)
    assert "127.0.0.1" in str(error)
