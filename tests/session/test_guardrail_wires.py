"""Guardrails and asides over the wires of all five providers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from fake_live import fast_input, live
from fake_wires import running
from five_wires import WIRES
from parity import HEARD_MS, Card, running_session
from session_driver import SessionDriver

from voicechat.audio import messages as sound
from voicechat.config.guardrail_settings import GuardrailRule
from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.guardrail import GuardrailPolicy, GuardrailSide
from voicechat.core.intervention import is_told
from voicechat.core.items import Item, ItemStatus, Role
from voicechat.core.linear_pattern import LinearPattern, words_pattern
from voicechat.errors import Secret, UsageError
from voicechat.session.session import Session
from voicechat.session.updates import Link

OPEN, CLOSED = GuardrailPolicy.OPEN, GuardrailPolicy.CLOSED
RESTING = {effects.Floor.IDLE, effects.Floor.LISTENING}


class LoggingCard(Card):
    """A card that remembers what it is told."""

    told: list[sound.AudioCommand]

    def __init__(
        self, settings: sound.AudioSettings, on_event: Callable[[sound.AudioEvent], None]
    ) -> None:
        LoggingCard.told = []
        super().__init__(settings, on_event)

    def send(self, command: sound.AudioCommand) -> None:
        self.told.append(command)
        super().send(command)

    @classmethod
    def played(cls) -> list[str]:
        """Ids of the items that played, once for each piece."""
        return [each.item_id for each in cls.told if isinstance(each, effects.Play)]


@pytest.fixture(autouse=True)
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.session.session.SoundLine", LoggingCard)
    monkeypatch.setattr("voicechat.tools.builtin.builtin", lambda context: ())


def rule(policy: GuardrailPolicy) -> GuardrailRule:
    pattern = LinearPattern(words_pattern(["upon"]))
    return GuardrailRule("tales", pattern, GuardrailSide.ASSISTANT, policy, "", "be brief")


def items(driver: SessionDriver, role: Role) -> list[Item]:
    found = driver.session.transcript.entries
    return [each for each in found if isinstance(each, Item) and each.role is role]


async def tripped(driver: SessionDriver) -> None:
    """Ask for a story; wait until it is stopped and another reply has ended."""
    driver.session.type("tell me a story")
    await driver.until(
        lambda: (
            bool(items(driver, Role.SYSTEM))
            and items(driver, Role.ASSISTANT)[-1:] != []
            and items(driver, Role.ASSISTANT)[-1].text == "You said be brief."
            and items(driver, Role.ASSISTANT)[-1].status is ItemStatus.COMPLETED
            and driver.session.floor in RESTING
        )
    )


@pytest.mark.parametrize("wire", WIRES)
async def test_a_trip_stops_a_reply_that_is_heard(wire: str) -> None:
    async with running_session(wire, guardrails=(rule(OPEN),)) as (driver, _):
        await tripped(driver)
        story, brief = items(driver, Role.ASSISTANT)
        assert story.status is ItemStatus.INTERRUPTED
        assert story.heard_ms in (0.0, HEARD_MS)
        stopped = next(
            at for at, each in enumerate(LoggingCard.told) if each == effects.StopPlayback()
        )
        later = [e.item_id for e in LoggingCard.told[stopped:] if isinstance(e, effects.Play)]
        assert story.item_id not in later
        assert set(later) == {brief.item_id}
        (note,) = items(driver, Role.SYSTEM)
        assert is_told(note.item_id)
        assert note.text == '⊘ The guardrail tales stopped the reply: it found "upon".'
        notices = [each for each in driver.updates if isinstance(each, effects.Notice)]
        assert note.text[2:] in [each.text for each in notices]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_closed_guardrail_lets_nothing_unchecked_through(wire: str) -> None:
    async with running_session(wire, guardrails=(rule(CLOSED),)) as (driver, _):
        driver.session.type("hello")
        await driver.until(lambda: driver.texts(Role.ASSISTANT) == ["You said hello."])
        (first,) = items(driver, Role.ASSISTANT)
        assert set(LoggingCard.played()) == {first.item_id}, "what passes is heard"
        await tripped(driver)
        spoken = {each.item_id: each for each in items(driver, Role.ASSISTANT)}
        assert not any("upon" in each.text for each in spoken.values())
        assert set(LoggingCard.played()) <= spoken.keys()
        stories = [each for each in spoken.values() if "Once" in each.text]
        assert all(each.status is ItemStatus.INTERRUPTED for each in stories)
        assert driver.session._latency.held, "the wait is measured"


@pytest.mark.parametrize("policy", GuardrailPolicy)
async def test_a_continuous_model_is_stopped_alike(
    policy: GuardrailPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fast_input(monkeypatch):
        async with running(live) as fake:
            options = Options(
                model="openai/gpt-live-1",
                base_url=f"http://127.0.0.1:{fake.port}",
                keys={"OPENAI_API_KEY": Secret("planted-key")},
                guardrails=(rule(policy),),
            )
            driver = SessionDriver(Session(options))
            living = asyncio.create_task(driver.session.run())
            await driver.until(lambda: driver.session.link is Link.ONLINE)
            await tripped(driver)
            told = "The user interrupted you. Stop speaking at once, and wait for the user."
            assert fake.said == ["The user typed: tell me a story", told, "be brief"]
            spoken = {each.item_id: each for each in items(driver, Role.ASSISTANT)}
            assert set(LoggingCard.played()) <= spoken.keys()
            if policy is CLOSED:
                assert not any("upon" in each.text for each in spoken.values())
            driver.session.close()
            await living


@pytest.mark.parametrize("wire", WIRES)
async def test_an_aside_is_answered_or_refused_in_one_sentence(wire: str) -> None:
    async with running_session(wire) as (driver, _):
        driver.session.type("hello")
        await driver.until(lambda: len(driver.texts(Role.ASSISTANT)) == 1)
        if not driver.session.capabilities.out_of_band:
            with pytest.raises(UsageError, match="answers nothing outside the conversation"):
                await driver.session.ask_aside("what")
            return
        answer = await driver.session.ask_aside("Classify it.")
        assert answer.text == "Aside: Classify it."
        assert answer.usage.total_tokens == 15
        before = driver.session.usage.total_tokens
        assert (await driver.session.ask_aside("More.")).text == "Aside: More."
        assert driver.session.usage.total_tokens == before + 15
        assert [each.text for each in items(driver, Role.ASSISTANT)] == ["You said hello."]
