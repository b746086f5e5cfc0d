"""One conversation over every wire: the same transcript and the same tool results."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from fake_wires import Fake
from five_wires import WIRES
from scripted_conversation import entries, first_story, hold, idle, session_at
from session_driver import SessionDriver

from voicechat.core import effects, inputs
from voicechat.core.items import ItemStatus, Role, ToolCall, ToolState
from voicechat.core.microphone import MIN_TALK_MS
from voicechat.core.pictures import Kind, Picture
from voicechat.session.session import Session
from voicechat.session.updates import Link, LinkChanged


def at(
    wire: str, *, hands_free: bool = False
) -> AbstractAsyncContextManager[tuple[SessionDriver, Fake]]:
    """Run a session with the fake of this wire."""
    return session_at(*WIRES[wire], hands_free=hands_free)


@pytest.mark.parametrize("wire", WIRES)
async def test_the_scripted_conversation(wire: str) -> None:
    async with at(wire) as (driver, fake):
        await hold(driver, fake)


@pytest.mark.parametrize("wire", ["openai", "azure"])
async def test_a_picture_is_sent_and_deleted(wire: str) -> None:
    async with at(wire) as (driver, fake):
        driver.session.type("hello")
        await idle(driver, 1)
        picture = Picture(Kind.PNG, 1, 1, "p.png", b"png")
        driver.session._handle(inputs.Typed("what is this", picture))
        await idle(driver, 2)
        assert fake.pictures == ["data:image/png;base64,cG5n"]
        driver.session.forget_last()
        driver.session.type("enough")
        await idle(driver, 2)
        assert driver.texts(Role.USER) == ["hello", "enough"]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_manual_turn(wire: str) -> None:
    async with at(wire) as (driver, fake):
        session = driver.session
        session.talk(True)
        rate = session._chosen.capabilities.input_rates[0]
        for _ in range(20):
            session._handle(inputs.MicBlock(bytes(rate // 50 * 2)))
        await asyncio.sleep(MIN_TALK_MS / 1000)  # the shortest press that counts
        session.talk(False)
        await idle(driver, 1)
        assert entries(driver) == [
            ("user", "spoken words", "completed"),
            ("assistant", "You said spoken words.", "completed"),
        ]
        assert fake.heard == rate // 50 * 2 * 20


async def test_a_short_key_press_never_reaches_gemini() -> None:
    async with at("google") as (driver, fake):
        driver.session.talk(True)
        driver.session._handle(inputs.MicBlock(bytes(640)))
        driver.session.talk(False)
        driver.session.type("hello")
        await idle(driver, 1)
        assert fake.heard == 0


async def speak(session: Session) -> None:
    for _ in range(50):
        session._handle(inputs.MicBlock(bytes(640)))
        await asyncio.sleep(0)


async def test_barge_in_by_voice_at_gemini() -> None:
    async with at("google", hands_free=True) as (driver, fake):
        session = driver.session
        detection = fake.setups[0]["realtimeInputConfig"]["automaticActivityDetection"]
        assert detection["disabled"] is False
        session._handle(inputs.SpeakerChanged(True))
        session.type("tell me a story")
        story = await first_story(driver)
        session._handle(inputs.PlaybackStarted(story.item_id))
        session._handle(inputs.Heard(story.item_id, 40.0))
        await speak(session)
        await driver.until(
            lambda: session.floor is effects.Floor.HEARING or len(entries(driver)) > 2
        )
        session._handle(inputs.PlaybackStopped({story.item_id: 40.0}))
        await driver.until(lambda: entries(driver)[-1][1] == "You said spoken words.")
        assert story.status is ItemStatus.INTERRUPTED
        assert [told[:2] for told in entries(driver)] == [
            ("user", "tell me a story"), ("assistant", "Once upon a time"),
            ("user", "spoken words"), ("assistant", "You said spoken words."),
        ]  # fmt: skip


async def test_deferred_settings_come_with_the_next_connection() -> None:
    async with at("google", hands_free=True) as (driver, fake):
        driver.session._handle(inputs.HandsFree(False))
        await driver.until(lambda: LinkChanged(Link.ONLINE, "Reconnected.") in driver.updates)
        first, second = (setup["realtimeInputConfig"] for setup in fake.setups)
        assert not first["automaticActivityDetection"]["disabled"]
        assert second["automaticActivityDetection"]["disabled"]
        assert fake.setups[1]["sessionResumption"] == {"handle": "handle-1"}
        driver.session.type("hello")
        await driver.until(lambda: len(entries(driver)) == 2)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_lost_connection_is_resumed(wire: str) -> None:
    async with at(wire) as (driver, fake):
        driver.session.type("hello")
        await idle(driver, 1)
        fake.sockets[-1].transport.abort()
        online = LinkChanged(Link.ONLINE, "Reconnected.")
        await driver.until(lambda: online in driver.updates)
        driver.session.type("again")
        await driver.until(lambda: "You said again" in entries(driver)[-1][1])
        assert len(fake.sockets) == 2
        if wire == "google":
            assert fake.setups[1]["sessionResumption"] == {"handle": "handle-2"}
        else:
            seeded = "\n".join(text for _, text in fake.history[1:])
            assert "You said hello." in seeded
            assert "hello" in seeded.replace("You said hello.", ""), "the user's turn, too"


async def test_calls_end_in_a_final_state() -> None:
    async with at("google") as (driver, _):
        driver.session.type("both of them")
        await idle(driver, 1)
        calls = [e for e in driver.session.transcript.entries if isinstance(e, ToolCall)]
        assert {call.state for call in calls} == {ToolState.DONE}
