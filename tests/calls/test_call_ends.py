"""Calls when the provider is busy or the program stops: none rings or runs on without anyone."""

from __future__ import annotations

import asyncio

import pytest
from call_provider import Call, call_provider
from calls_rig import calls_rig, provider_options

from voicechat.calls import answered_call, call_desk
from voicechat.calls.answered_call import AnsweredCall
from voicechat.config.call_settings import CallSettings
from voicechat.config.joined_call import JoinedCall
from voicechat.errors import UsageError

ACCEPTED = CallSettings(default="accept")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered_call, "PAUSES_S", (0.0, 0.0))


@pytest.mark.parametrize("status", [429, 500])
async def test_a_busy_provider_is_asked_again(status: int) -> None:
    async with calls_rig(ACCEPTED) as rig:
        rig.provider.refuse["accept"] = status
        rig.provider.on_request = lambda action: (
            rig.provider.refuse.clear() if len(rig.provider.requests) == 2 else None
        )
        await rig.ring("rtc_1")
        await rig.said("rtc_1 Answered")
        assert rig.provider.requests == ["accept rtc_1"] * 2
        assert rig.warnings == []


@pytest.mark.parametrize(("status", "tries"), [(400, 1), (403, 1), (500, 3)])
async def test_a_call_that_cannot_be_answered_does_not_ring_on(status: int, tries: int) -> None:
    async with calls_rig(ACCEPTED) as rig:
        rig.provider.refuse["accept"] = status
        await rig.ring("rtc_1")
        await rig.provider.until(lambda: rig.provider.calls["rtc_1"].state == "rejected")
        await rig.idle()
        assert rig.provider.requests == ["accept rtc_1"] * tries + ["reject rtc_1"]
        assert len(rig.warnings) == 1


async def test_a_call_of_the_command_rings_on_for_another_try() -> None:
    async with call_provider() as provider:
        provider.calls["rtc_1"] = Call("rtc_1")
        provider.refuse["accept"] = 400
        said: list[str] = []
        options = provider_options(provider)
        answered = AnsweredCall(
            JoinedCall("rtc_1"), options, ACCEPTED, said.append, said.append, rejects=False
        )
        with pytest.raises(UsageError, match="refused to answer"):
            await answered.run()
        assert (provider.requests, said) == (["accept rtc_1"], [])


async def test_a_call_that_another_program_answered_is_left_alone() -> None:
    async with calls_rig(ACCEPTED) as rig:
        rig.provider.refuse["accept"] = 409
        await rig.ring("rtc_1")
        await rig.provider.until(lambda: bool(rig.warnings))
        assert rig.provider.requests == ["accept rtc_1"]


async def test_an_answer_whose_response_was_lost_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicechat.calls.call_control.DEADLINE_S", 0.3)
    async with calls_rig(ACCEPTED) as rig:
        provider, slow = rig.provider, asyncio.Event()
        provider.answer_later["accept"] = slow
        provider.on_request = lambda action: (
            provider.refuse.update(accept=409) if len(provider.requests) == 2 else None
        )
        await rig.ring("rtc_1")
        await rig.said("rtc_1 Answered")
        slow.set()
        await rig.online("rtc_1")
        assert rig.warnings == []


async def test_one_call_for_both_kinds_of_models_counts_once() -> None:
    async with calls_rig(CallSettings(default="accept", at_once=1)) as rig:
        for name in ("live_1", "rtc_1", "live_2"):
            await rig.ring(name)
        await rig.said(
            "live_1 Left for the other kind of models",
            "rtc_1 Answered",
            "live_2 Left for the other kind of models",
        )
        assert rig.provider.requests == ["accept rtc_1"]


async def test_a_call_that_is_over_before_it_is_rejected_is_no_problem() -> None:
    async with calls_rig(CallSettings()) as rig:
        rig.provider.refuse["reject"] = 404
        await rig.ring("rtc_1")
        await rig.said("rtc_1 Over before it was rejected")
        assert rig.warnings == []


async def test_the_end_of_the_program_rejects_a_call_that_rings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decides = asyncio.Event()

    async def undecided(*_: object) -> None:
        decides.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(call_desk.AnswerRules, "decide", undecided)
    async with calls_rig(ACCEPTED) as rig:
        await rig.ring("rtc_1")
        await decides.wait()
        provider, lines = rig.provider, rig.lines
    assert provider.calls["rtc_1"].code == 480
    assert lines[-1] == "rtc_1 Rejected with 480"


async def test_the_end_of_the_program_ends_a_call_that_is_being_answered() -> None:
    async with calls_rig(ACCEPTED) as rig:
        slow = rig.provider.answer_later["accept"] = asyncio.Event()
        await rig.ring("rtc_1")
        await rig.provider.until(lambda: rig.provider.requests == ["accept rtc_1"])
        provider = rig.provider
        asyncio.get_running_loop().call_later(0.2, slow.set)
    assert provider.requests == ["accept rtc_1", "hangup rtc_1"]
    assert provider.calls["rtc_1"].state == "over"
