"""Guardrails and asides of the Python API, at a real server."""

from __future__ import annotations

import asyncio

import pytest
from guarded_talk import INSTEAD, answer
from scripted import TOKEN, scripted_server

import voicechat
from voicechat.server.engine_protocols import AssistantRequest, Say


@voicechat.guardrail(policy="closed")
def no_prices(text: str) -> voicechat.GuardrailTrip | None:
    """Object to prices."""
    if "price" in text:
        return voicechat.GuardrailTrip("it names a price", say=INSTEAD)
    return None


@voicechat.guardrail(deadline=0.2)
async def hangs(text: str) -> None:
    """Never answer."""
    await asyncio.sleep(3_600)


@voicechat.guardrail
def breaks(text: str) -> None:
    """Raise an error."""
    raise KeyError("x")


async def events_of(session: voicechat.ClientSession, last: str) -> list[voicechat.Event]:
    """Send a question, and return the events until a finished message with this text."""
    await session.send("what does it cost")
    found: list[voicechat.Event] = []
    async for event in session:
        found.append(event)
        if isinstance(event, voicechat.Transcript) and event.final and event.text == last:
            return found
    raise AssertionError("the session ended")


async def test_closed_replies_sound_only_as_far_as_they_pass() -> None:
    async with scripted_server() as backend:
        backend.assistant.answer = answer
        async with (
            asyncio.timeout(20),
            voicechat.connect(
                "openai", base_url=backend.app.url, api_key=TOKEN, tools=[], settings=False,
                guardrails=[no_prices, hangs, breaks],
            ) as session,
        ):  # fmt: skip
            events = await events_of(session, INSTEAD)
            said = [e for e in events if isinstance(e, voicechat.Transcript)]
            assert not any("price" in e.text for e in said if e.role == "assistant")
            problems = [e.text for e in events if isinstance(e, voicechat.Problem)]
            assert "The guardrail no_prices stopped the reply: it names a price." in problems
            assert "The guardrail breaks failed: KeyError: 'x'." in problems
            spoken = {e.item_id for e in events if isinstance(e, voicechat.Audio)}
            known = {e.item_id for e in session.transcript}
            assert spoken <= known, "no sound of what was not shown"
            assert [e.text for e in session.transcript if e.role == "system"] == [
                "⊘ The guardrail no_prices stopped the reply: it names a price."
            ]


async def test_an_aside_has_text_usage_and_cost() -> None:
    async with (
        scripted_server() as backend,
        asyncio.timeout(20),
        voicechat.connect(
            "openai", base_url=backend.app.url, api_key=TOKEN, tools=[], settings=False
        ) as session,
    ):
        await session.send("hello")
        async for event in session:
            if isinstance(event, voicechat.TurnEnded):
                break

        def classify(request: AssistantRequest) -> list[Say]:
            assert [each.text for each in request.messages] == ["hello", "You said hello."]
            return [Say("greeting")]

        backend.assistant.answer = classify
        aside = await session.ask_aside("Classify the conversation in one word.", max_tokens=9)
        assert isinstance(aside, voicechat.Aside)
        assert aside.text == "greeting"
        assert aside.usage.total_tokens > 0
        assert session.usage.total_tokens > aside.usage.total_tokens
        assert len(session.transcript) == 2
        for wrong in ({"instructions": " "}, {"max_tokens": 0}, {"deadline": -1}):
            with pytest.raises(voicechat.UsageError):
                await session.ask_aside(**{"instructions": "x", **wrong})  # type: ignore[arg-type]
        with pytest.raises(voicechat.SessionLost, match="in time"):
            await session.ask_aside("x", deadline=1e-6)


def test_other_things_than_guardrails_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Write @voicechat\.guardrail above"):
        voicechat.connect("openai", api_key="x", settings=False, guardrails=[print])  # type: ignore[list-item]
