"""Guardrails of phone calls: the phone falls silent, and a watcher does not intervene, too."""

from __future__ import annotations

import asyncio

from call_provider import Call, call_provider
from calls_rig import calls_rig, provider_options

from voicechat.calls.call_control import call_options
from voicechat.config.guardrail_settings import GuardrailRule
from voicechat.config.joined_call import JoinedCall
from voicechat.core.guardrail import GuardrailPolicy, GuardrailSide
from voicechat.core.linear_pattern import LinearPattern, words_pattern
from voicechat.session.session import Session

PRICES = GuardrailRule(
    "prices",
    LinearPattern(words_pattern(["price"])),
    GuardrailSide.ASSISTANT,
    GuardrailPolicy.OPEN,
    "",
    "Change the subject.",
)


def kinds(call: Call) -> list[str]:
    return [frame["type"] for frame in call.received if frame["type"] != "session.update"]


async def test_a_trip_silences_the_phone_that_plays_a_finished_response() -> None:
    async with calls_rig(guardrails=(PRICES,)) as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        await call.speak("The price is ten dollars.")
        await rig.said('rtc_1 Note: ⊘ The guardrail prices stopped the reply: it found "price".')
        await rig.provider.until(lambda: "response.create" in kinds(call))
        assert kinds(call) == ["output_audio_buffer.clear", "response.create"]
        await rig.said("rtc_1 Assistant: Yes?")


async def test_a_watcher_does_not_intervene() -> None:
    async with call_provider() as provider:
        call = provider.calls["rtc_1"] = Call("rtc_1", "talking")
        options = provider_options(provider, guardrails=(PRICES,))
        session = Session(call_options(options, JoinedCall("rtc_1", watches=True)))
        running = asyncio.create_task(session.run())
        await provider.until(lambda: bool(call.sockets) and session.was_joined)
        await call.speak("The price is ten dollars.")
        await provider.until(
            lambda: "ten dollars" in "".join(e.shown for e in session.transcript.entries)
        )
        session.instruct("Be brief.")
        await provider.until(lambda: "response.create" in kinds(call))
        assert kinds(call) == ["conversation.item.create", "response.create"]
        assert not any(entry.text.startswith("⊘") for entry in session.transcript.entries)
        session.close()
        await running
