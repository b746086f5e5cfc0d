"""Calls that are answered: what is said, which tools run, how calls end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from call_provider import KEY, Call
from calls_rig import calls_rig

from voicechat.calls import answered_call, call_keypad
from voicechat.config.budget_settings import BudgetSettings
from voicechat.config.call_settings import CallRule, CallSettings
from voicechat.core.settings import Permission
from voicechat.tools import registry

OPEN = CallSettings(
    default="accept",
    tools=("current_time", "calculate"),
    transfers={"sales": "tel:+15557770000"},
    hang_up=True,
)


async def test_a_call_is_answered_and_both_sides_are_printed() -> None:
    async with calls_rig(OPEN, voice="marin", instructions="Be kind.") as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        assert call.session["type"] == "realtime"
        assert call.session["model"] == "gpt-realtime-2.1"
        assert call.session["instructions"] == "Be kind."
        assert call.session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        assert call.session["audio"]["output"]["format"] == {"type": "audio/pcmu"}
        assert call.session["audio"]["output"]["voice"] == "marin"
        assert {"current_time", "transfer_call", "hang_up"} <= set(call.tools)
        assert "run_command" not in call.tools
        await call.hear("hello\x1b[31m there")
        await call.speak("Good day.")
        await rig.said("rtc_1 Caller: hello�[31m there", "rtc_1 Assistant: Good day.")
        assert not [f for f in call.received if f["type"].startswith("input_audio_buffer")]
        await call.end()
        await rig.idle()
        assert rig.lines[0] == "rtc_1 Call from +15551230000 to +15550009999"
        assert rig.lines[-1] == "rtc_1 Ended"
        assert rig.warnings == []


async def test_twenty_calls_at_once_each_have_their_own_end() -> None:
    rules = (CallRule(action="reject", caller="+1666*", code=486),)
    settings = CallSettings(**{**vars_of(OPEN), "rules": rules, "at_once": 30})
    async with calls_rig(settings) as rig:
        rig.provider.on_response = _script
        ids = [f"rtc_{number}" for number in range(20)]
        callers = {"rtc_3": "+16661234567"}
        await asyncio.gather(*(rig.ring(each, callers.get(each, "+1555")) for each in ids))
        talking = [each for each in ids if each != "rtc_3"]
        await rig.online(*talking)
        calls = rig.provider.calls
        assert (calls["rtc_3"].state, calls["rtc_3"].code) == ("rejected", 486)
        for each in talking:
            await calls[each].hear(f"I am {each}")
        await calls["rtc_1"].speak("I put you through.", "transfer_call", '{"to": "sales"}')
        await calls["rtc_2"].speak("Goodbye.", "hang_up")
        await rig.provider.until(lambda: calls["rtc_1"].state == calls["rtc_2"].state == "over")
        assert calls["rtc_1"].target == "tel:+15557770000"
        await rig.said(*(f"{each} Caller: I am {each}" for each in talking))
        await rig.provider.until(lambda: rig.endpoint.desk.running == 17)
        for each in talking:
            await calls[each].end()
        await rig.idle()
        assert sorted(line for line in rig.lines if line.endswith(" Ended")) == sorted(
            f"{each} Ended" for each in talking
        )
        assert rig.warnings == []


async def _script(call: Call, said: dict[str, Any]) -> object:
    return await call.speak("Anything else?")


def vars_of(settings: CallSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


async def test_a_tool_runs_and_its_result_reaches_the_model() -> None:
    async with calls_rig(OPEN) as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        call_id = await call.speak("", "calculate", '{"expression": "6 * 7"}')
        await rig.provider.until(lambda: call_id in call.outputs())
        assert "42" in call.outputs()[call_id]
        await rig.said("rtc_1 Tool: calculate is done", "rtc_1 Assistant: Yes?")


async def test_a_tool_that_asks_is_denied_unless_it_is_named() -> None:
    permissions = {"calculate": Permission.ASK, "current_time": Permission.ASK}
    settings = CallSettings(
        default="accept", tools=("current_time", "calculate"), auto=frozenset({"calculate"})
    )
    async with calls_rig(settings, permissions=permissions) as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        assert sorted(call.tools) == ["calculate", "current_time"]
        for tool, part in (("current_time", "No one can approve"), ("calculate", "42")):
            call_id = await call.speak("", tool, '{"expression": "6 * 7"}')
            await rig.provider.until(lambda call_id=call_id: call_id in call.outputs())
            assert part in call.outputs()[call_id]
        await rig.said("rtc_1 Tool: current_time was denied", "rtc_1 Tool: calculate is done")


async def test_without_a_list_a_caller_gets_no_tools() -> None:
    async with calls_rig() as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        assert call.tools == []
        call_id = await call.speak("", "hang_up")
        await rig.provider.until(lambda: call_id in call.outputs())
        assert "error" in call.outputs()[call_id]
        assert call.state == "talking"


async def test_a_greeting_is_the_first_instruction() -> None:
    async with calls_rig(CallSettings(default="accept", greeting="Greet the caller.")) as rig:
        await rig.ring("rtc_1")
        await rig.said("rtc_1 Note: Greet the caller.", "rtc_1 Assistant: Yes?")
        received = rig.provider.calls["rtc_1"].received
        (made,) = [f for f in received if f["type"] == "conversation.item.create"]
        assert made["item"]["role"] == "system"


async def test_the_last_words_are_heard_before_the_end() -> None:
    async with calls_rig(OPEN) as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        await call.send("output_audio_buffer.started", response_id="resp_x")
        await call.speak("", "hang_up")
        await rig.said("rtc_1 Tool: hang_up runs")
        assert "hangup rtc_1" not in rig.provider.requests
        await call.send("output_audio_buffer.stopped", response_id="resp_x")
        await rig.provider.until(lambda: "hangup rtc_1" in rig.provider.requests)
        await rig.idle()
        assert rig.lines[-1] == "rtc_1 Ended"


async def test_a_transfer_goes_to_named_places_only() -> None:
    async with calls_rig(OPEN) as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        rig.provider.refuse["refer"] = 500
        for arguments in ('{"to": "tel:+1900"}', '{"to": ["sales"]}', "[]", '{"to": "sales"}'):
            call_id = await call.speak("", "transfer_call", arguments)
            await rig.provider.until(lambda call_id=call_id: call_id in call.outputs())
            assert "error" in call.outputs()[call_id]
            assert KEY not in call.outputs()[call_id]
        assert not call.target


async def test_a_profile_is_chosen_or_loaded_and_a_missing_one_rejects() -> None:
    rules = tuple(
        CallRule("accept", caller=f"+{number}", profile=name)
        for number, name in enumerate(("known", "loaded", "missing"))
    )
    profiles: dict[str | None, dict[str, Any]] = {None: {}, "known": {"instructions": "Known."}}
    async with calls_rig(CallSettings(rules=rules), profiles) as rig:
        for number in range(3):
            await rig.ring(f"rtc_{number}", f"+{number}")
        await rig.online("rtc_0", "rtc_1")
        calls = rig.provider.calls
        assert calls["rtc_0"].session["instructions"] == "Known."
        assert "was loaded" in calls["rtc_1"].session["instructions"]
        await rig.said("rtc_2 Rejected with 480: there is no profile 'missing'")
        assert rig.warnings == ["rtc_2 There is no profile missing."]


async def test_calls_above_the_limit_are_busy() -> None:
    async with calls_rig(CallSettings(default="accept", at_once=1)) as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        await rig.ring("rtc_2")
        await rig.said("rtc_2 Rejected with 486: 1 calls are running")
        assert rig.provider.calls["rtc_2"].code == 486


async def test_a_long_call_is_ended() -> None:
    async with calls_rig(CallSettings(default="accept", minutes=0.01)) as rig:
        await rig.ring("rtc_1")
        await rig.provider.until(lambda: rig.provider.calls["rtc_1"].state == "over")
        await rig.idle()
        assert rig.warnings == ["rtc_1 The call was ended after 0.01 minutes."]


async def test_a_call_that_the_budget_does_not_allow_is_rejected() -> None:
    spending = BudgetSettings(session=0.000001, unknown_price=1e6)
    async with calls_rig(spending=spending) as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        await rig.provider.calls["rtc_1"].speak("That was expensive.")
        await rig.idle()
        assert rig.provider.calls["rtc_1"].state == "over"
        assert any("budget" in warning for warning in rig.warnings), rig.warnings


async def test_a_refused_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answered_call, "PAUSES_S", (0.0, 0.0))
    async with calls_rig() as rig:
        for status, part in (
            (400, "refused to answer the call (HTTP 400: Bad *** thing)"),
            (401, "refused the key"),
            (404, "has no call rtc_404"),
            (409, "It was answered before."),
            (500, "Try again later."),
        ):
            rig.provider.refuse["accept"] = status
            await rig.ring(f"rtc_{status}")
            await rig.provider.until(lambda part=part: any(part in w for w in rig.warnings))
        assert KEY not in "".join(rig.warnings)
        assert rig.endpoint.desk.running == 0


async def test_a_lost_socket_is_joined_again_without_repeating_anything() -> None:
    async with calls_rig() as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        await call.hear("one")
        await call.speak("Two.")
        await rig.said("rtc_1 Assistant: Two.")
        await call.hear("three")
        await rig.said("rtc_1 Caller: three")
        call.received.clear()
        await call.sockets[0].close(1012)
        await rig.provider.until(lambda: len(call.sockets) == 1 and len(call.received) > 1)
        await call.hear("four")
        await rig.said("rtc_1 Caller: four")
        assert {f["type"] for f in call.received} == {"session.update"}
        await call.end()
        await rig.idle()
        assert rig.lines[-1] == "rtc_1 Ended"


async def test_a_result_that_is_ready_without_a_socket_is_sent_on_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_end = asyncio.Event()
    run = registry.Registry.run

    async def slow(self: registry.Registry, *given: Any) -> registry.Outcome:
        await may_end.wait()
        return await run(self, *given)

    monkeypatch.setattr(registry.Registry, "run", slow)
    async with calls_rig(OPEN) as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        call_id = await call.speak("", "calculate", '{"expression": "6 * 7"}')
        await rig.said("rtc_1 Tool: calculate runs")
        rig.provider.is_reachable = False
        await call.sockets[0].close(1012)
        await rig.provider.until(lambda: rig.provider.refused_sockets > 0)
        may_end.set()
        await rig.said("rtc_1 Tool: calculate is done")
        rig.provider.is_reachable = True
        await rig.provider.until(lambda: call_id in call.outputs())
        assert "42" in call.outputs()[call_id]
        await rig.said("rtc_1 Assistant: Yes?")
        assert "function_call" not in [f.get("item", {}).get("type") for f in call.received]


async def test_a_session_that_fails_hangs_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(answered_call.CallLines, "take", broken)
    async with calls_rig() as rig:
        await rig.ring("rtc_1")
        await rig.provider.until(lambda: rig.provider.calls["rtc_1"].state == "over")
        await rig.idle()
        assert any("RuntimeError" in warning for warning in rig.warnings), rig.warnings


async def test_the_end_of_the_program_ends_the_calls() -> None:
    async with calls_rig() as rig:
        await rig.ring("rtc_1")
        await rig.ring("rtc_2")
        await rig.online("rtc_1", "rtc_2")
        provider = rig.provider
    assert {call.state for call in provider.calls.values()} == {"over"}
    assert sorted(provider.requests[-2:]) == ["hangup rtc_1", "hangup rtc_2"]


async def press(call: Call, keys: str) -> None:
    for key in keys:
        at = {"event": key, "received_at": 1_800_000_000}
        await call.send("input_audio_buffer.dtmf_event_received", **at)


async def test_keys_of_the_phone_reach_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    async with calls_rig() as rig:
        await rig.ring("rtc_1")
        await rig.online("rtc_1")
        call = rig.provider.calls["rtc_1"]
        await press(call, "12?" + "44" + "d" + "#")
        await rig.said("rtc_1 Caller pressed 1244D#", "rtc_1 Assistant: Yes?")
        (made,) = [f["item"] for f in call.received if f["type"] == "conversation.item.create"]
        assert made["content"][0]["text"].endswith(": 1 2 4 4 D #")
        monkeypatch.setattr(call_keypad, "PAUSE_S", 0.05)
        await press(call, "7")
        await rig.said("rtc_1 Caller pressed 7")
        monkeypatch.setattr(call_keypad, "PAUSE_S", 60.0)
        await press(call, "0" * call_keypad.MAX_KEYS + "1")
        await rig.said(f"rtc_1 Caller pressed {'0' * call_keypad.MAX_KEYS}")
        await call.end()
        await rig.idle()
        assert rig.warnings == []


# ----------------------------------------------------------------------- Live


async def test_a_call_of_a_live_model_has_its_own_addresses() -> None:
    async with calls_rig(OPEN, model="openai/gpt-live-1.1", voice="marin") as rig:
        # The same call is announced for both kinds of models.
        await rig.ring("rtc_1")
        await rig.said("rtc_1 Left for the other kind of models")
        await rig.ring("live_1")
        call = rig.provider.calls["live_1"]
        await rig.provider.until(lambda: bool(call.received))
        assert call.session["session"]["type"] == "live"
        assert call.session["session"]["audio"] == {"output": {"voice": "marin"}}
        (first,) = call.received
        tools = first["session"]["delegation"]["responses"]["tools"]
        assert "hang_up" in [tool["name"] for tool in tools]
        at = {"start_ms": 0, "end_ms": 100}
        later = {"start_ms": 2000, "end_ms": 2100}
        await call.send("session.input_transcript.delta", delta="hello", **at)
        await call.send("session.output_transcript.delta", delta="Hi.", **later)
        await call.send("session.closed", reason="remote_hangup", usage={"seconds": 3}, session={})
        await call.end()
        await rig.idle()
        assert {"live_1 Caller: hello", "live_1 Assistant: Hi."} <= set(rig.lines)
        assert {f["type"] for f in call.received} == {"session.update"}
        assert rig.provider.requests == ["accept live_1"]


async def test_repeated_events_of_a_live_call_count_once() -> None:
    async with calls_rig(model="openai/gpt-live-1.1") as rig:
        await rig.ring("live_1")
        call = rig.provider.calls["live_1"]
        await rig.provider.until(lambda: bool(call.received))
        text = {"type": "session.input_transcript.delta", "event_id": "e1", "delta": "once"}
        frame = json.dumps({**text, "start_ms": 0, "end_ms": 100})
        key = json.dumps({"type": "transport.dtmf.received", "event_id": "e2", "event": "#"})
        for _ in range(2):
            await call.sockets[0].send_text(key)
            await call.sockets[0].send_text(frame)
        await call.send("session.closed", reason="expired", usage={"seconds": 3}, session={})
        await rig.said("live_1 Caller: once", "live_1 Caller pressed #")
        assert rig.lines.count("live_1 Caller pressed #") == 1
