"""Sessions with OpenAI Live and OpenAI translation, against servers that behave as theirs do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from fake_live import fast_input, live, talkative, translation
from fake_wires import Fake
from scripted_conversation import TOOL, entries, first_story, hold, idle, session_at
from session_driver import SessionDriver

from voicechat.core import effects, inputs
from voicechat.core.items import ItemStatus, Role
from voicechat.session.updates import Link, LinkChanged

LIVE = "openai/gpt-live-1"
TRANSLATOR = "openai/gpt-realtime-translate"
VOICE = b"\x00\x10" * 480
"""20 ms of the user's voice."""


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> Any:
    with fast_input(monkeypatch):
        yield


def at(
    serve: Callable[..., Any], model: str = LIVE, *, hands_free: bool = False, **settings: object
) -> AbstractAsyncContextManager[tuple[SessionDriver, Fake]]:
    """Run a session with this server."""
    return session_at(serve, model, "OPENAI_API_KEY", hands_free=hands_free, **settings)


async def test_the_scripted_conversation() -> None:
    async with at(live) as (driver, fake):
        await hold(driver, fake)
        assert "The user typed: hello" in fake.said
        assert driver.session.usage.seconds > 0


async def test_the_voice_speaks_while_a_tool_runs() -> None:
    async with at(talkative) as (driver, _):
        driver.session.type("what time is it")
        await driver.until(lambda: "So it is." in " ".join(driver.texts(Role.ASSISTANT)))
        await driver.until(lambda: driver.session.floor is effects.Floor.IDLE)
        told = entries(driver)
        assert told.count(TOOL) == 1
        said = [text for role, text, _ in told if role == "assistant"]
        assert "".join(said).count("One moment.") == 2
        assert not any(isinstance(u, effects.Recycle) for u in driver.updates)


def speak(driver: SessionDriver, blocks: int = 20) -> None:
    # At once: the input clock is fast and would put silence between the blocks.
    for _ in range(blocks):
        driver.session._receiver.receive(inputs.MicBlock(VOICE))


async def test_a_manual_turn() -> None:
    async with at(live) as (driver, fake):
        session = driver.session
        session.talk(True)
        speak(driver)
        session._conversation.microphone._pressed_at -= 1.0
        session.talk(False)
        await idle(driver, 1)
        assert entries(driver) == [
            ("user", "spoken words", "completed"),
            ("assistant", "You said spoken words.", "completed"),
        ]
        assert fake.heard == 20 * len(VOICE)


async def test_the_model_stops_when_the_user_talks_over_it() -> None:
    async with at(live, hands_free=True) as (driver, fake):
        session = driver.session
        session._handle(inputs.SpeakerChanged(True))
        session.type("tell me a story")
        story = await first_story(driver)
        session._handle(inputs.PlaybackStarted(story.item_id))
        session._handle(inputs.LocalSpeech(True))
        assert story.status is ItemStatus.IN_PROGRESS, "only the provider decides"
        speak(driver)
        await driver.until(lambda: "You said spoken words." in [e[1] for e in entries(driver)])
        session._handle(inputs.PlaybackStopped({story.item_id: 40.0}))
        assert story.status is ItemStatus.INTERRUPTED
        assert entries(driver)[2][:2] == ("user", "spoken words")
        assert not any("Stop speaking" in text for text in fake.said)


async def test_the_interrupt_key_silences_the_voice() -> None:
    async with at(live) as (driver, fake):
        driver.session.type("tell me a story")
        await driver.until(lambda: entries(driver)[-1][1] == "Once upon a time")
        driver.session.interrupt()
        await driver.until(lambda: driver.session.floor is effects.Floor.IDLE)
        await fake.until(lambda: any("Stop speaking" in text for text in fake.said))
        assert entries(driver)[-1][2] == "interrupted"
        driver.session.type("hello")
        await driver.until(lambda: driver.texts(Role.ASSISTANT)[-1] == "You said hello.")


async def test_a_lost_connection_is_seeded() -> None:
    async with at(live) as (driver, fake):
        driver.session.type("hello")
        await idle(driver, 1)
        fake.sockets[-1].transport.abort()
        await driver.until(lambda: LinkChanged(Link.ONLINE, "Reconnected.") in driver.updates)
        driver.session.type("again")
        await driver.until(lambda: "You said again" in entries(driver)[-1][1])
        assert fake.history[1:3] == [("user", "hello"), ("assistant", "You said hello.")]
        assert "You said: You said hello." in fake.said


async def test_a_translation_is_passed_through() -> None:
    async with at(translation, TRANSLATOR, hands_free=True, translate_to="fr") as (driver, fake):
        await fake.until(lambda: bool(fake.setups))
        assert fake.setups[0]["audio"]["output"] == {"language": "fr"}
        speak(driver)
        await driver.until(
            lambda: (
                entries(driver)
                == [
                    ("user", "spoken words", "completed"),
                    ("assistant", "mots parlés", "completed"),
                ]
            )
        )
        driver.session.type("hello")
        assert driver.session.floor is not effects.Floor.THINKING
        assert effects.Notice("This model takes no typed text.", hint="Speak to it.") in (
            driver.updates
        )


async def test_a_translation_continues_after_a_lost_connection() -> None:
    async with at(translation, TRANSLATOR, hands_free=True, translate_to="fr") as (driver, fake):
        await fake.until(lambda: bool(fake.setups))
        speak(driver)
        await driver.until(lambda: driver.texts(Role.ASSISTANT) == ["mots parlés"])
        fake.sockets[-1].transport.abort()
        await driver.until(lambda: LinkChanged(Link.ONLINE, "Reconnected.") in driver.updates)
        await fake.until(lambda: len(fake.setups) == 2)
        assert fake.setups[1] == fake.setups[0]
        speak(driver)
        await driver.until(lambda: driver.texts(Role.ASSISTANT) == ["mots parlés"] * 2)
        assert driver.texts(Role.USER) == ["spoken words"] * 2


@pytest.mark.parametrize(
    ("serve", "model", "settings"),
    [(live, LIVE, {}), (translation, TRANSLATOR, {"translate_to": "fr"})],
    ids=["live", "translation"],
)
async def test_time_without_an_answer_is_counted_at_the_end(
    serve: Callable[..., Any], model: str, settings: dict[str, object]
) -> None:
    async with at(serve, model, hands_free=True, **settings) as (driver, fake):
        speak(driver)
        await fake.until(lambda: fake.heard == 20 * len(VOICE))
        fake.sockets[-1].transport.abort()
        await driver.until(lambda: LinkChanged(Link.ONLINE, "Reconnected.") in driver.updates)
        before = driver.session.usage.seconds
        assert before >= 0.4
        speak(driver)
        await fake.until(lambda: fake.heard == 40 * len(VOICE))
    assert driver.session.usage.seconds >= before + 0.4
