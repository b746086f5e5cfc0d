"""Guardrails: how long checked sound waits, and how soon a trip silences a reply."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "support"))
from figures import Figure, Table, spread, trials
from parity import Card, running_session
from session_driver import SessionDriver

from voicechat.config.guardrail_settings import GuardrailRule
from voicechat.core import effects, events
from voicechat.core.guardrail import GuardrailPolicy, GuardrailSide
from voicechat.core.items import ItemStatus, Role
from voicechat.core.linear_pattern import LinearPattern, words_pattern
from voicechat.session import session as session_module
from voicechat.session.event_stream import Overflow
from voicechat.tools.guardrails import Guardrail, guardrail

CHECK_S = 0.02
"""Seconds that the function of a bench takes for a check."""

BARGE_IN_MS = 100.0
"""Target for a barge-in: from its sign to the command for silence."""


def _rule(policy: GuardrailPolicy) -> GuardrailRule:
    words = words_pattern(["upon", *(f"word{number}" for number in range(100))])
    return GuardrailRule(
        "words", LinearPattern(words, limit=10_000), GuardrailSide.ASSISTANT, policy
    )


@guardrail(policy="closed")
async def slow(text: str) -> None:
    """Take `CHECK_S` seconds."""
    await asyncio.sleep(CHECK_S)


async def _waits(
    count: int, rules: Sequence[GuardrailRule], own: Sequence[Guardrail]
) -> list[float]:
    """Return the ms from each typed line to the first sound for the speaker."""
    found: list[float] = []
    async with running_session("openai", guardrails=tuple(rules)) as (driver, _):
        driver.session._guardrails.add(own)
        played = driver.session.subscribe(
            "bench", limit=10_000, overflow=Overflow.DROP_OLDEST, wants={effects.Play}
        )
        for number in range(count):
            began = time.monotonic()
            driver.session.type(f"hello {number}")
            await driver.until(lambda number=number: _answered(driver) == number + 1)  # type: ignore[misc]
            found.append((played.pop_timed()[0][1] - began) * 1000)
    return found


def _answered(driver: SessionDriver) -> int:
    items = driver.session.transcript.entries
    return sum(
        getattr(each, "role", None) is Role.ASSISTANT and each.status is ItemStatus.COMPLETED  # type: ignore[union-attr]
        for each in items
    )


async def _stops(count: int) -> list[float]:
    """Return the ms from the words that an open guardrail forbids to the command for silence."""
    found: list[float] = []
    for _ in range(count):
        rules = (_rule(GuardrailPolicy.OPEN),)
        async with running_session("openai", guardrails=rules) as (driver, _):
            seen = driver.session.subscribe(
                "bench", limit=10_000, overflow=Overflow.DROP_OLDEST,
                wants={events.TextDelta, effects.StopPlayback},
            )  # fmt: skip
            driver.session.type("tell me a story")
            times: dict[type, float] = {}
            async with asyncio.timeout(15):
                while effects.StopPlayback not in times:
                    await seen.wait()
                    times |= {type(event): at for event, at in seen.pop_timed()}
            found.append((times[effects.StopPlayback] - times[events.TextDelta]) * 1000)
    return found


def guardrails(effort: float) -> Iterator[Figure]:
    """Measure typed turns at a fake of OpenAI on loopback, without and with closed guardrails."""
    usual, session_module.SoundLine = session_module.SoundLine, Card  # type: ignore[assignment,misc]
    count = trials(30, effort)
    try:
        plain = asyncio.run(_waits(count, (), ()))
        words = asyncio.run(_waits(count, (_rule(GuardrailPolicy.CLOSED),), ()))
        function = asyncio.run(_waits(count, (), (slow,)))
        stops = asyncio.run(_stops(trials(10, effort)))
    finally:
        session_module.SoundLine = usual  # type: ignore[misc]
    yield Figure("typed line to first sound, ms", spread(plain))
    for what, waits, most in (
        ("added by 101 closed words, ms", words, 20.0),
        ("added by a check of 20 ms, ms", function, 20.0 + CHECK_S * 1000),
    ):
        added = statistics.median(waits) - statistics.median(plain)
        yield Figure(what, f"{added:.0f} at the median", f"at most {most:.0f}", added <= most)
    met = max(stops) <= BARGE_IN_MS
    yield Figure("trip to silence, ms", spread(stops), f"at most {BARGE_IN_MS:.0f}", met)


TABLE = Table("Guardrails", {"guardrails": guardrails})
