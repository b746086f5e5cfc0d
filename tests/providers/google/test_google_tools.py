"""Tools of each Gemini Live model: names, declarations, calls and results."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from voicechat.core.commands import (
    AppendAudio,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    ToolResult,
    UpdateSession,
)
from voicechat.core.events import Event, ToolCallReady, ToolCallsCancelled
from voicechat.core.settings import ServerVad, SessionSettings, ToolSpec
from voicechat.providers.codec import refused_part, unsupported
from voicechat.providers.google.google_codec import GoogleCodec
from voicechat.providers.google.google_tools import wire_names

PLAIN, THINKING = "gemini-3.8-live", "gemini-3.8-live-extended-thinking"
EARLIER, OLD = "gemini-3.1-flash-live-preview", "gemini-live-2.5-flash"
ARGUMENTS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "additionalProperties": False,
}
SETTINGS = SessionSettings(
    turn_detection=ServerVad(),
    tools=(ToolSpec("look", "Looks.", ARGUMENTS), ToolSpec("1st", "First.", ARGUMENTS)),
)
MANUAL = replace(SETTINGS, turn_detection=None)
TYPED = CreateMessage("i", "user", "never mind")


def codec(model: str = PLAIN, settings: SessionSettings = SETTINGS) -> GoogleCodec:
    made = GoogleCodec("wss://x", model, tag="t")
    made.opening(settings)
    return made


def setup(model: str, settings: SessionSettings = SETTINGS) -> dict:
    (frame,) = GoogleCodec("wss://x", model).opening(settings)
    return json.loads(frame)["setup"]


def decode(reader: GoogleCodec, **said: object) -> list[Event]:
    return reader.decode(json.dumps(said))


def call(reader: GoogleCodec, *ids: str, name: str = "look") -> list[Event]:
    calls = [{"id": each, "name": name, "args": {}} for each in ids]
    return decode(reader, toolCall={"functionCalls": calls})


def encode(writer: GoogleCodec, *commands) -> list[dict]:
    return [json.loads(frame) for command in commands for frame in writer.encode(command)]


def cancelled(found: list[Event]) -> list[str]:
    return [
        call_id
        for event in found
        if isinstance(event, ToolCallsCancelled)
        for call_id in event.call_ids
    ]


# ------------------------------------------------------------------------------- declarations


def test_names_begin_with_a_letter_or_an_underscore():
    named = [ToolSpec(name, "", {}) for name in ("1a", "_1a", "-b", "ok", "_", "2" * 64)]
    assert wire_names(named) == {
        "1a": "__1a", "_1a": "_1a", "-b": "_-b", "ok": "ok", "_": "_", "2" * 64: f"_{'2' * 63}",
    }  # fmt: skip
    declared = setup(PLAIN)["tools"][0]["functionDeclarations"]
    assert [each["name"] for each in declared] == ["look", "_1st"]


def test_calls_and_results_have_the_names_of_each_side():
    wire = codec()
    ready = [event for event in call(wire, "c", name="_1st") if isinstance(event, ToolCallReady)]
    assert [event.name for event in ready] == ["1st"]
    (frame,) = encode(codec(), ToolResult("unknown", "x", "1st"))[1:]
    assert frame["toolResponse"]["functionResponses"][0]["name"] == "_1st"
    answer = encode(wire, ToolResult("c", "x", "1st"))[-1]["toolResponse"]["functionResponses"][0]
    assert answer["name"] == "_1st"
    reason = "setup.tools[0].function_declarations[1].name: invalid"
    assert refused_part(wire, reason) == "tools.1st"
    wire.encode(UpdateSession(replace(SETTINGS, tools=(ToolSpec("2nd", "", {}),))))
    (ready,) = (e for e in call(wire, "d", name="_2nd") if isinstance(e, ToolCallReady))
    assert ready.name == "2nd"


@pytest.mark.parametrize(
    ("model", "behavior", "is_plain"),
    [
        (PLAIN, "BLOCKING", False),
        (EARLIER, "BLOCKING", False),
        (THINKING, "NON_BLOCKING", True),
        (OLD, None, True),
    ],
)
def test_declarations_depend_on_the_model(model, behavior, is_plain):
    declared = setup(model)["tools"][0]["functionDeclarations"][0]
    assert declared.get("behavior") == behavior
    if is_plain:
        city = {"city": {"type": "STRING"}}
        assert declared["parameters"] == {"type": "OBJECT", "properties": city}
        assert "parametersJsonSchema" not in declared
    else:
        assert declared["parametersJsonSchema"] == ARGUMENTS
        assert "parameters" not in declared


@pytest.mark.parametrize(
    ("effort", "level"),
    [(None, "LOW"), ("none", "LOW"), ("minimal", "LOW"), ("medium", "MEDIUM"), ("xhigh", "HIGH")],
)
def test_the_effort_is_one_that_the_model_takes(effort, level):
    settings = replace(SETTINGS, reasoning_effort=effort)
    asked = setup(THINKING, settings)["generationConfig"]
    assert asked["thinkingConfig"] == {"thinkingLevel": level}
    said = [line for line in unsupported(codec(THINKING), settings) if "effort" in line]
    changed = effort is not None and effort.upper() != level
    assert [f"{level.lower()} is used" in line for line in said] == [True] * changed
    assert "thinkingConfig" not in setup(PLAIN, settings)["generationConfig"]


def test_gemini_3_1_changes_instructions_with_a_new_connection():
    for model, is_stale in ((PLAIN, False), (EARLIER, True)):
        wire = codec(model)
        frames = wire.encode(UpdateSession(replace(SETTINGS, instructions="Be long.")))
        assert (wire.stale, bool(frames)) == (is_stale, not is_stale)


# ------------------------------------------------------------------------------- cancelled calls


def test_results_have_no_scheduling():
    wire = codec(THINKING)
    call(wire, "a", "b")
    for frame in encode(wire, ToolResult("b", "1"), ToolResult("a", "2"))[1:]:
        (answer,) = frame["toolResponse"]["functionResponses"]
        assert set(answer) == {"id", "name", "response"}


@pytest.mark.parametrize(
    ("model", "are_cancelled"),
    [(PLAIN, True), (THINKING, False), (EARLIER, False), (OLD, False)],
)
def test_typed_input_cancels_blocking_calls(model, are_cancelled):
    wire = codec(model)
    call(wire, "a", "b")
    encode(wire, ToolResult("a", "1"), TYPED, CreateResponse())
    found = decode(wire, serverContent={"modelTurn": {"parts": [{"text": "Fine."}]}})
    assert cancelled(found) == (["b"] if are_cancelled else [])
    assert cancelled(decode(wire, serverContent={"turnComplete": True})) == []
    assert bool(encode(wire, ToolResult("b", "2"))) is not are_cancelled
    call(wire, "c")
    assert encode(wire, ToolResult("c", "3")), "later calls are answered"


def test_a_manual_turn_cancels_blocking_calls():
    wire = codec(settings=MANUAL)
    call(wire, "a")
    encode(wire, AppendAudio(bytes(32_000)), CommitAudio())
    assert encode(wire, ToolResult("a", "1")) == []
    assert cancelled(decode(wire, serverContent={"generationComplete": True})) == ["a"]


def test_an_answer_to_speech_cancels_blocking_calls():
    wire = codec()
    call(wire, "a")
    found = decode(wire, voiceActivity={"type": "ACTIVITY_START"})
    assert cancelled(found) == [], "it may be noise"
    blob = {"mimeType": "audio/pcm;rate=24000", "data": "AAAA"}
    found = decode(wire, serverContent={"modelTurn": {"parts": [{"inlineData": blob}]}})
    assert cancelled(found) == ["a"]
    assert encode(wire, ToolResult("a", "1")) == []


def test_a_call_survives_the_end_of_the_speech_that_made_it():
    wire = codec()
    call(wire, "a")
    assert cancelled(call(wire, "b")) == []
    decode(wire, serverContent={"inputTranscription": {"text": "late words"}})
    assert cancelled(call(wire, "c")) == []
    assert encode(wire, ToolResult("a", "1"))


def test_results_of_cancelled_calls_are_dropped():
    wire = codec()
    call(wire, "a")
    assert cancelled(decode(wire, toolCallCancellation={"ids": ["a"]})) == ["a"]
    assert encode(wire, ToolResult("a", "1")) == []
