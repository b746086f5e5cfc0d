"""Sessions over WebRTC with a provider on loopback: speech, tools, barge-in, lost connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from aioice import stun
from fake_calls import RATE, FakeCalls, Network, fake_calls, tone
from linked_speaker import BLOCK_S, LinkedSpeaker
from scripted_conversation import TOOL, entries, hold, idle
from session_driver import SessionDriver, online

from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.errors import Secret, UsageError
from voicechat.session import reconnect
from voicechat.session.session import Session
from voicechat.session.updates import Link, LinkChanged
from voicechat.speech.pcm import rms
from voicechat.transports import webrtc
from voicechat.transports.connection_errors import DialFailed
from voicechat.transports.webrtc import CallConnection

QUESTION = np.concatenate((tone(0.5, 200), np.zeros(RATE // 2, np.int16)))


def options(calls: FakeCalls, **more: object) -> Options:
    return Options(
        model="openai/gpt-realtime-2.1", base_url=calls.url,
        **{
            "transport": "webrtc", "with_sound": False,
            "keys": {"OPENAI_API_KEY": Secret("planted-key")}, **more,
        },
    )  # type: ignore[arg-type]  # fmt: skip


@asynccontextmanager
async def talking(calls: FakeCalls) -> AsyncIterator[tuple[SessionDriver, LinkedSpeaker]]:
    """Run a session with a microphone and a speaker."""
    speaker = LinkedSpeaker()
    session = Session(options(calls, with_sound=True), open_audio=speaker.open)
    async with online(SessionDriver(session)) as driver:
        yield driver, speaker


def loud_s(speaker: LinkedSpeaker) -> float:
    """Return the seconds of sound that left the speaker, in parts of 20 ms."""
    return sum(rms(block) > 1_000 for block in speaker.heard) * BLOCK_S


async def test_the_scripted_conversation() -> None:
    async with fake_calls() as calls:
        async with online(SessionDriver(Session(options(calls)))) as driver:
            await hold(driver, calls.fake)
        assert calls.sessions == [{"type": "realtime", "model": "gpt-realtime-2.1"}]
        assert calls.seen[0].headers["accept"] == "application/sdp"


async def test_a_spoken_conversation_with_a_tool_and_a_barge_in() -> None:
    async with fake_calls() as calls, talking(calls) as (driver, speaker):
        calls.turns += ["time", "tell me a story"]
        speaker.say(QUESTION)
        await driver.until(lambda: driver.texts(Role.ASSISTANT) == ["So it is."])
        assert [told for told in entries(driver) if told[0] == "tool"] == [TOOL]
        # A busy machine delays packets, which are concealed then; sound is never played twice.
        assert 0.5 * calls.reply_s < loud_s(speaker) < 2 * calls.reply_s
        await idle(driver, 1)
        before = len(speaker.heard)
        speaker.say(QUESTION)
        await speaker.until(lambda: len(speaker.heard) > before + 25 and speaker.level(0.4) > 5_000)
        story = driver.session.transcript.entries[-1]
        assert isinstance(story, Item)
        calls.call.loud.clear()
        speaker.say(QUESTION)
        await speaker.until(lambda: len(speaker.stopped_at) == 1)
        await driver.until(lambda: story.status is ItemStatus.INTERRUPTED)
        await driver.until(lambda: "You said spoken words." in driver.texts(Role.ASSISTANT))
        ((item_id, ms),) = calls.call.truncated
        assert (item_id, len(calls.call.cleared)) == (story.item_id, 1)
        assert ms == pytest.approx(story.heard_ms, abs=1)
        assert speaker.after_stop == []


async def test_the_interrupt_key_clears_the_buffer_of_the_server() -> None:
    async with fake_calls() as calls, talking(calls) as (driver, speaker):
        calls.reply_s = 5.0
        driver.session.type("hello")
        await speaker.until(lambda: len(speaker.heard) > 20 and speaker.level(0.3) > 2_000)
        # The provider has ended the response; only its sound still comes.
        driver.session._handle(inputs.Interrupt())
        await calls.fake.until(lambda: bool(calls.call.truncated))
        assert len(calls.call.cleared) == 1
        calls.reply_s = 0.2
        driver.session.type("again")
        await driver.until(lambda: "You said again." in driver.texts(Role.ASSISTANT))
        assert speaker.after_stop == []


async def test_a_server_that_reports_no_buffer() -> None:
    async with fake_calls() as calls, talking(calls) as (driver, speaker):
        calls.reports = False
        driver.session.type("hello")
        await idle(driver, 1)
        assert 0.5 * calls.reply_s < loud_s(speaker) < 2 * calls.reply_s


async def test_push_to_talk_sends_the_last_words_before_the_commit() -> None:
    async with fake_calls() as calls, talking(calls) as (driver, speaker):
        session = driver.session
        session._handle(inputs.HandsFree(False))
        await calls.fake.until(lambda: calls.call.manual)
        session.talk(True)
        speaker.say(tone(0.6, 200))
        await speaker.until(lambda: not speaker.busy)
        calls.call.loud.clear()
        session.talk(False)
        await idle(driver, 1)
        assert ("user", "spoken words", "completed") in entries(driver)


async def test_a_token_opens_a_call_without_a_session() -> None:
    async with fake_calls() as calls:
        chosen = options(calls, keys={}, token=Secret("planted-key"))
        async with online(SessionDriver(Session(chosen))) as driver:
            driver.session.type("hello")
            await idle(driver, 1)
        assert calls.sessions == []
        assert calls.seen[0].headers["content-type"] == "application/sdp"


async def answer_stun(server: socket.socket) -> None:
    """Tell one client its address."""
    loop = asyncio.get_running_loop()
    data, address = await loop.sock_recvfrom(server, 2_000)
    asked = stun.parse_message(data)
    answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id)
    answer.attributes["XOR-MAPPED-ADDRESS"] = address
    await loop.sock_sendto(server, bytes(answer), address)


async def test_a_stun_server_of_the_settings_is_asked() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        asked = asyncio.create_task(answer_stun(server))
        async with fake_calls() as calls:
            chosen = options(calls, ice_servers=f"stun:127.0.0.1:{server.getsockname()[1]}")
            async with online(SessionDriver(Session(chosen))):
                await asked


def test_a_wrong_ice_server_is_reported_at_the_start() -> None:
    with pytest.raises(UsageError, match="no STUN or TURN server"):
        Session(options(FakeCalls(), ice_servers="http://turn.example"))
    # Only WebRTC uses them.
    Session(options(FakeCalls(), ice_servers="turn:me@turn.example", transport="websocket"))


async def test_a_network_that_lets_no_websocket_through_leads_to_webrtc() -> None:
    async with fake_calls() as calls:
        chosen = options(calls, transport="websocket")
        async with online(SessionDriver(Session(chosen))) as driver:
            driver.session.type("hello")
            await idle(driver, 1)
            why = effects.Notice("The network lets no WebSocket through. Using WebRTC.")
            assert driver.updates.count(why) == 1
            assert ("assistant", "You said hello.", "completed") in entries(driver)


async def test_a_server_that_takes_no_call_either_is_reported_by_its_first_answer() -> None:
    async with fake_calls() as calls:
        calls.refuse = 404, b""
        with pytest.raises(DialFailed, match=r"refused to open a session \(HTTP 426\)"):
            await Session(options(calls, transport="websocket")).run()
        assert [seen.line.split()[0] for seen in calls.seen] == ["GET", "POST"]


async def test_a_transport_that_the_user_chose_is_kept() -> None:
    async with fake_calls() as calls:
        chosen = options(calls, transport="websocket", origins={"transport": "--transport"})
        with pytest.raises(DialFailed, match="refused to open a session"):
            await Session(chosen).run()
        assert calls.calls == []


async def reconnected(driver: SessionDriver, calls: FakeCalls) -> None:
    """Wait for the next connection, and check that it was told what was said."""
    online_again = LinkChanged(Link.ONLINE, "Reconnected.")
    await driver.until(lambda: online_again in driver.updates)
    calls.fake.wants_key = True
    driver.session.type("again")
    await driver.until(lambda: "You said again." in driver.texts(Role.ASSISTANT))
    assert len(calls.calls) == 2
    assert ("assistant", "You said hello.") in calls.fake.history


async def test_a_call_that_the_server_ends_is_made_again_with_the_history() -> None:
    async with fake_calls() as calls, online(SessionDriver(Session(options(calls)))) as driver:
        driver.session.type("hello")
        await idle(driver, 1)
        await calls.call.peer.close()
        await reconnected(driver, calls)


async def test_a_lost_network_path_is_noticed_and_the_call_made_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real_dial = reconnect.dial
    monkeypatch.setattr(webrtc, "WATCH_SECONDS", 0.1)
    monkeypatch.setattr(
        reconnect, "dial", lambda target, **_: real_dial(target, liveness_timeout_s=2.0)
    )
    async with fake_calls() as calls, online(SessionDriver(Session(options(calls)))) as driver:
        driver.session.type("hello")
        await idle(driver, 1)
        Network(loss=1.0).spoil(calls.call.peer)
        await reconnected(driver, calls)


async def test_loss_and_jitter_leave_a_reply_audible() -> None:
    async with fake_calls() as calls:
        calls.network = Network(loss=0.1, jitter_s=0.1)
        calls.reply_s = 2.0
        async with talking(calls) as (driver, speaker):
            driver.session.type("hello")
            await idle(driver, 1)
            await speaker.until(lambda: loud_s(speaker) > 0.6 * calls.reply_s)
            await speaker.until(lambda: speaker.level(0.4) < 500)
            connection = driver.session._connections.connection
            assert isinstance(connection, CallConnection)
            packets = connection._incoming.packets
    assert packets.concealed > 0
    assert loud_s(speaker) < 1.6 * calls.reply_s
