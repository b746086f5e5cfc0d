"""One conversation over every wire: the same transcript and the same tool results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fake_wires import Fake, running
from five_wires import WIRES
from session_driver import SessionDriver

from voicechat.config.options import Options
from voicechat.core import effects, inputs
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.core.microphone import MIN_TALK_MS
from voicechat.core.pictures import Kind, Picture
from voicechat.errors import Secret
from voicechat.session.session import Session
from voicechat.session.updates import Link, LinkChanged


@asynccontextmanager
async def at(wire: str, *, hands_free: bool = False) -> AsyncIterator[tuple[SessionDriver, Fake]]:
    """Run a session with the fake of this wire."""
    talk, model, key = WIRES[wire]
    async with running(talk) as fake:
        driver = SessionDriver(Session(Options(
            model=model, with_sound=False, base_url=f"http://127.0.0.1:{fake.port}",
            keys={key: Secret("planted-key")},
        )))  # fmt: skip
        if hands_free:
            driver.session._handle(inputs.HandsFree(True))
            driver.session._handle(inputs.SpeakerChanged(True))
        living = asyncio.create_task(driver.session.run())
        try:
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            yield driver, fake
        finally:
            driver.session.close()
            await living
        assert fake.wrong == []


def entries(driver: SessionDriver) -> list[tuple[str, str, str]]:
    """Return the transcript without ids and times."""
    told = []
    for entry in driver.session.transcript.entries:
        if isinstance(entry, Item):
            told.append((entry.role.value, entry.text, entry.status.value))
        else:
            told.append(("tool", f"{entry.name} {entry.output}"[:25], entry.state.value))
    return told


async def idle(driver: SessionDriver, answered: int) -> None:
    await driver.until(
        lambda: (
            len(driver.texts(Role.ASSISTANT)) == answered
            and driver.session.floor in {effects.Floor.IDLE, effects.Floor.LISTENING}
        )
    )


async def hold(driver: SessionDriver) -> list[tuple[str, str, str]]:
    """Hold a typed turn, a tool, two tools in one response and an interrupted story."""
    session = driver.session
    for answered, line in enumerate(["hello", "what time is it", "both of them"], 1):
        session.type(line)
        await idle(driver, answered)
    session.type("tell me a story")
    await driver.until(lambda: entries(driver)[-1][1] == "Once upon a time")
    session.type("enough")
    await idle(driver, 5)
    return entries(driver)


@pytest.mark.parametrize("wire", WIRES)
async def test_the_scripted_conversation(wire: str) -> None:
    async with at(wire) as (driver, fake):
        told = await hold(driver)
        tool = ("tool", told[3][1], "done")
        assert "current_time" in tool[1]
        assert told == [
            ("user", "hello", "completed"), ("assistant", "You said hello.", "completed"),
            ("user", "what time is it", "completed"), tool,
            ("assistant", "So it is.", "completed"),
            ("user", "both of them", "completed"), tool, tool,
            ("assistant", "So it is.", "completed"),
            ("user", "tell me a story", "completed"),
            ("assistant", "Once upon a time", "interrupted"),
            ("user", "enough", "completed"), ("assistant", "You said enough.", "completed"),
        ]  # fmt: skip
        assert len(fake.results) == 3
        assert all("Tokyo" in str(result["output"]) for result in fake.results)
        assert driver.session.usage.total_tokens >= 60


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


async def first_story(driver: SessionDriver) -> Item:
    def story() -> Item | None:
        last = driver.session.transcript.entries[-1]
        return last if isinstance(last, Item) and last.received_ms else None

    await driver.until(lambda: story() is not None)
    found = story()
    assert found is not None
    return found


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
