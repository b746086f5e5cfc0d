"""Sessions with Gemini Live models, each of which has rules of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fake_wires import Fake, gemini
from following import follow
from scripted_conversation import session_at
from session_driver import SessionDriver

from voicechat.core import effects, inputs
from voicechat.core.items import Role, ToolCall, ToolState
from voicechat.core.microphone import MIN_TALK_MS
from voicechat.core.pictures import Kind, Picture
from voicechat.session.updates import Link, LinkChanged
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool

PLAIN, THINKING = "gemini-3.8-live", "gemini-3.8-live-extended-thinking"
EARLIER = "gemini-3.1-flash-live-preview"


def talking(
    model: str = PLAIN, tools: Iterable[Tool] = (), **session_settings: object
) -> AbstractAsyncContextManager[tuple[SessionDriver, Fake]]:
    """Run a session with the fake of Gemini Live."""
    return session_at(gemini, f"google/{model}", "GEMINI_API_KEY", tools=tools, **session_settings)


async def answered(driver: SessionDriver, text: str) -> None:
    await driver.until(
        lambda: text in driver.texts(Role.ASSISTANT) and driver.session.floor is effects.Floor.IDLE
    )


def states(driver: SessionDriver) -> list[ToolState]:
    entries = driver.session.transcript.entries
    return [entry.state for entry in entries if isinstance(entry, ToolCall)]


@tool(permission="auto", name="2nd_opinion")
def second_opinion(about: dict[str, Any] | None = None) -> str:
    """Give a second opinion."""
    return f"Ask again about {about}."


async def test_a_thinking_model_calls_a_tool() -> None:
    async with talking(THINKING, [second_opinion], reasoning_effort="none") as (driver, fake):
        driver.session.type("call the first tool")
        await answered(driver, "So it is.")
        assert states(driver) == [ToolState.DONE]
        assert fake.results == [{"output": "Ask again about None."}]
        driver.session.type("both of them")
        await driver.until(lambda: len(fake.results) == 3)
    warnings = [each.text for each in driver.updates if isinstance(each, effects.Notice)]
    assert "google has no setting reasoning_effort none: low is used." in warnings


async def test_a_picture_is_in_one_turn_with_its_words() -> None:
    async with talking() as (driver, fake):
        picture = Picture(Kind.PNG, 1, 1, "p.png", b"png")
        driver.session._handle(inputs.Typed("what is this", picture))
        await answered(driver, "You said what is this.")
        assert fake.history == [("user", "what is this")]
        assert fake.pictures == ["data:image/png;base64,cG5n"]


async def test_input_cancels_a_blocking_call() -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    @tool(permission="auto")
    async def wait_long() -> str:
        """Wait."""
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return ""

    async with talking(PLAIN, [wait_long]) as (driver, fake):
        driver.session.type("call the first tool")
        await begun.wait()
        driver.session.type("never mind")
        await answered(driver, "You said never mind.")
        assert states(driver) == [ToolState.CANCELLED]
        await stopped.wait()
        driver.session.type("what time is it")
        await answered(driver, "So it is.")
        assert len(fake.results) == 1
        assert "Tokyo" in str(fake.results)


async def test_push_to_talk_begins_a_session_that_detects_no_turns() -> None:
    def detects() -> list[bool]:
        found = (setup["realtimeInputConfig"] for setup in fake.setups)
        return [not each["automaticActivityDetection"]["disabled"] for each in found]

    async with talking() as (driver, fake):
        driver.session.type("hello")
        await answered(driver, "You said hello.")
        for hands_free in (True, False):
            driver.session._handle(inputs.HandsFree(hands_free))
            await driver.until(lambda: detects()[-1] is hands_free)  # noqa: B023
        assert len(fake.setups) == 3


async def test_the_words_of_the_user_are_hidden_without_transcription() -> None:
    shown: list[str] = []
    async with talking(transcription=None) as (driver, fake):
        follow(driver.session, lambda event: shown.append(repr(event)), wants=None)
        driver.session.talk(True)
        for _ in range(20):
            driver.session._handle(inputs.MicBlock(bytes(640)))
        await asyncio.sleep(MIN_TALK_MS / 1000)  # the shortest press that counts
        driver.session.talk(False)
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        assert fake.heard
        assert driver.texts(Role.USER) == []
    of_the_user = [each for each in shown if each.startswith("UserTranscript(")]
    assert of_the_user
    assert all("text=''" in each for each in of_the_user)
    assert not [e for e in shown if "spoken words" in e and "said spoken words" not in e]


async def test_a_session_with_other_instructions_begins_again() -> None:
    async with talking() as (driver, fake):
        driver.session.type("hello")
        await answered(driver, "You said hello.")
        assert driver.session.change(instructions="Be long.") == []
        fake.sockets[-1].transport.abort()
        online = LinkChanged(Link.ONLINE, "Reconnected.")
        await driver.until(lambda: online in driver.updates)
        driver.session.type("again")
        await answered(driver, "You said again.")
        assert fake.instructions[-1] == "Be long."
        assert ("model", "You said hello.") in fake.history, "the history is seeded"
        fake.sockets[-1].transport.abort()
        await driver.until(lambda: driver.updates.count(online) == 2)
        assert "handle" in fake.setups[-1]["sessionResumption"], "nothing changed since"


async def test_a_model_that_takes_content_as_history_only() -> None:
    async with talking(EARLIER) as (driver, fake):
        driver.session.type("hello")
        await answered(driver, "You said hello.")
        driver.session._handle(inputs.InsertMessage("note", Role.SYSTEM, "The door is open."))
        driver.session.type("what")
        await answered(driver, "You said The door is open.\n\nwhat.")
        driver.session._handle(inputs.Announce("It rang."))
        await driver.until(lambda: "It rang." in driver.texts(Role.ASSISTANT)[-1])
        fake.sockets[-1].transport.abort()
        online = LinkChanged(Link.ONLINE, "Reconnected.")
        await driver.until(lambda: online in driver.updates)
        assert "handle" in fake.setups[-1]["sessionResumption"]
        driver.session.type("again")
        await answered(driver, "You said again.")
