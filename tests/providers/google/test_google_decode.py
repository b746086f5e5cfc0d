"""Events of each frame of Gemini Live."""

import json
from typing import get_args

import pytest
import yaml
from wire_examples import NO_RECORDINGS, RECORDINGS, frames

from voicechat.core import commands
from voicechat.core.events import (
    AudioDelta,
    Event,
    InputCommitted,
    ProviderError,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    SessionCreated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    ToolCallReady,
    Unmapped,
    UserTranscript,
)
from voicechat.core.settings import SessionSettings
from voicechat.providers.google.google_codec import GoogleCodec

CALL = "OutputItemAdded ToolArgumentsDelta ToolCallReady OutputItemDone"
SCENARIOS = {
    "gemini-turn": [
        "SessionCreated", "SessionCreated",
        "SpeechStarted", "UserTranscript", "UserTranscript",
        "UserTranscript SpeechStopped InputCommitted UserTranscript",
        "Unmapped",
        f"ResponseCreated {CALL} {CALL} ResponseDone",
        "ToolCallsCancelled", "Unmapped",
        "ResponseCreated OutputItemAdded AudioDelta", "TextDelta", "AudioDelta TextDelta",
        "AudioDone", "Unmapped TextDone OutputItemDone ResponseDone", "TextDelta",
    ],
    "gemini-barge-in": [
        "InputCommitted ResponseCreated OutputItemAdded AudioDelta",
        "UserTranscript SpeechStarted OutputItemDone ResponseDone",
        "Unmapped",
    ],
    "gemini-text": [
        "InputCommitted ResponseCreated OutputItemAdded TextDelta", "TextDelta",
        "Unmapped TextDone OutputItemDone UserTranscript ResponseDone",
    ],
    "gemini-grounding": ["Unmapped", "Unmapped", "Unmapped"],
    "gemini-lifecycle": [
        "ResumptionHandle", "Unmapped", "ResumptionHandle", "SessionEnding", "UsageReported",
        "SpeechStarted",
    ],
}  # fmt: skip
"""The events of every example frame, in order."""


def codec(**settings: object) -> GoogleCodec:
    made = GoogleCodec("wss://example.invalid", "gemini-3.8-live", tag="t")
    if settings or settings == {}:
        made.opening(SessionSettings(**settings))  # type: ignore[arg-type]
    return made


def decode(reader: GoogleCodec, *said: dict) -> list[Event]:
    return [event for frame in said for event in reader.decode(json.dumps(frame).encode())]


def content(**said: object) -> dict:
    return {"serverContent": said}


def audio(data: str = "AAAA") -> dict:
    blob = {"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}
    return content(modelTurn={"parts": [blob]})


def told(text: str) -> dict:
    return content(outputTranscription={"text": text})


def asked(text: str, **more: object) -> dict:
    return content(inputTranscription={"text": text, **more})


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def names(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_example_frame(scenario):
    reader = codec() if scenario != "gemini-text" else GoogleCodec("wss://x", "m", tag="t")
    found = [names(reader.decode(frame)) for frame in frames("gemini_server", scenario)]
    assert [" ".join(each) for each in found] == SCENARIOS[scenario]


def test_every_key_of_the_wire_is_in_an_example():
    keys = {key for frame in frames("gemini_server") for key in json.loads(frame)}
    assert keys == {
        "setupComplete", "serverContent", "toolCall", "toolCallCancellation", "usageMetadata",
        "goAway", "sessionResumptionUpdate", "voiceActivity", "voiceActivityDetectionSignal",
    }  # fmt: skip


def test_events_that_this_wire_never_produces():
    reached = {name for each in SCENARIOS.values() for names in each for name in names.split()}
    assert {kind.__name__ for kind in get_args(Event)} - reached == {
        "SessionUpdated", "InputCleared", "IdleTimeout", "ItemAdded", "ItemDeleted",
        "ItemTruncated", "ItemRetrieved", "RateLimits", "ProviderError",
        "TranscriptSegment", "RemoteTools", "RemoteCall", "RemoteApproval", "KeypadPressed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "calls"),
    [
        ("tool_call_round", 'I have recorded a reading of 5 with the note "steady."', 1),
        ("message_history_seeding", "Your name is Alice, and your favorite color is teal.", 0),
    ],
)
def test_recorded_sockets(name, text, calls):
    path = RECORDINGS / "google_ws" / f"{name}.yaml"
    if not path.exists():
        pytest.skip(NO_RECORDINGS)
    reader, events = codec(), []
    for one in yaml.safe_load(path.read_text("utf-8"))["interactions"]:
        if one["direction"] == "received":
            events += reader.decode(json.dumps(one["data"]))
        elif "tool_response" in one["data"]:
            (answer,) = one["data"]["tool_response"]["functionResponses"]
            reader.encode(commands.ToolResult(answer["id"], answer["response"]["output"]))
    assert "".join(event.text for event in of(TextDelta, events)) == text
    assert len(of(ToolCallReady, events)) == calls
    assert len(of(ResponseDone, events)) == calls + 1
    assert of(ResponseDone, events)[-1].usage.total_tokens > 1000
    assert sum(len(event.pcm) for event in of(AudioDelta, events)) > 100


# ------------------------------------------------------------------------------- turns


def test_ids_differ_between_connections():
    ids = [decode(GoogleCodec("wss://x", "m"), audio())[0] for _ in range(2)]
    assert ids[0] != ids[1]


def test_a_thought_is_not_shown_and_starts_no_turn():
    part = {"text": "**Weighing**", "thought": True}
    assert decode(codec(), content(modelTurn={"parts": [part]})) == [Unmapped("thought")]


def test_text_next_to_speech_is_not_the_answer():
    events = decode(codec(), audio(), content(modelTurn={"parts": [{"text": "Searching"}]}))
    assert not of(TextDelta, events)


def test_late_text_stays_with_its_turn():
    reader = codec()
    first = decode(reader, asked("Hi"), audio(), told("Hello"), content(turnComplete=True))
    (late,) = decode(reader, told(" there."))
    assert isinstance(late, TextDelta)
    assert late.item_id == of(AudioDelta, first)[0].item_id
    second = decode(reader, asked("And?"), told("Well."), audio())
    assert of(TextDelta, second)[0].item_id != late.item_id


def test_a_late_user_transcript_stays_before_the_answer():
    reader = codec()
    events = decode(reader, audio(), asked("What time"), asked(" is it?"), told("Noon."))
    placed, created = of(InputCommitted, events)[0], of(ResponseCreated, events)[0]
    assert events.index(placed) < events.index(created)
    assert {event.item_id for event in of(UserTranscript, events)} == {placed.item_id}
    done = decode(reader, content(turnComplete=True))
    (final,) = of(UserTranscript, done)
    assert (final.text, final.final) == ("What time is it?", True)
    assert not of(SpeechStarted, [*events, *done]), "not an interruption"


def test_a_transcript_after_a_silent_turn_is_placed_before_it():
    reader = codec()
    events = decode(reader, audio(), content(turnComplete=True), asked("Hello?"))
    first, second = of(InputCommitted, events)
    assert first == second
    assert of(UserTranscript, events)[0].text == ""


def test_a_new_question_is_a_new_item():
    reader = codec()
    events = decode(
        reader, asked("One?"), audio(), content(turnComplete=True), asked("Two?"), audio()
    )
    assert len({event.item_id for event in of(SpeechStarted, events)}) == 2
    assert len(of(ResponseCreated, events)) == 2


def test_barge_in_by_voice():
    reader = codec()
    decode(reader, asked("Tell me a story"), audio(), told("Once upon"))
    events = decode(reader, content(interrupted=True), content(turnComplete=True))
    assert of(SpeechStarted, events)
    (done,) = of(ResponseDone, events)
    assert (done.status, done.reason) == (ResponseStatus.CANCELLED, "turn_detected")
    again = decode(reader, asked("Stop"), audio())
    assert of(UserTranscript, again)[0].item_id == of(SpeechStarted, events)[0].item_id
    assert of(ResponseCreated, again)[0].response_id != done.response_id


def test_voice_activity_is_reported_once():
    reader = codec()
    start = {"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "2s"}}
    stop = {"voiceActivity": {"type": "ACTIVITY_END", "audioOffset": "3.5s"}}
    events = decode(
        reader, asked("Go"), audio(), start, content(interrupted=True), asked("No"), stop
    )
    assert len(of(SpeechStarted, events)) == 2
    assert of(SpeechStopped, events)[0].audio_end_ms == 3500


def test_typing_during_a_response_ends_it_and_is_not_speech():
    reader = codec()
    decode(reader, asked("Tell me a story"), audio())
    assert reader.encode(commands.CreateMessage("typed_1", "user", "stop"))
    events = decode(reader, content(interrupted=True), content(turnComplete=True))
    assert not of(SpeechStarted, events)
    assert len(of(ResponseDone, events)) == 1
    assert reader.encode(commands.CreateResponse()) == []
    again = decode(reader, audio())
    assert names(again) == ["ResponseCreated", "OutputItemAdded", "AudioDelta"]


def test_what_follows_a_call_is_another_response():
    reader = codec()
    call = {"toolCall": {"functionCalls": [{"id": "c", "name": "f", "args": {"a": [1]}}]}}
    events = decode(reader, asked("Weather?"), audio(), told("Let me see."), call)
    (ready,) = of(ToolCallReady, events)
    assert (ready.call_id, ready.name, ready.arguments) == ("c", "f", '{"a":[1]}')
    assert names(events)[-4:-1].count("OutputItemDone") == 1
    assert isinstance(events[-1], ResponseDone)
    reader.encode(commands.ToolResult("c", "{}"))
    after = decode(reader, told("Sunny."), audio(), content(turnComplete=True))
    assert of(ResponseCreated, after)[0].response_id != ready.response_id
    assert not of(InputCommitted, after)


def test_an_answer_without_content_is_an_empty_response():
    reader = codec(turn_detection=None)
    reader.encode(commands.CommitAudio())
    events = decode(reader, content(turnComplete=True))
    assert names(events) == ["InputCommitted", "ResponseCreated", "UserTranscript", "ResponseDone"]
    assert decode(reader, content(turnComplete=True)) == [Unmapped("serverContent")]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("RESPONSE_REJECTED", "content_filter"),
        ("GENERATED_AUDIO_SAFETY", "content_filter"),
        ("PROHIBITED_INPUT_CONTENT", "content_filter"),
        ("MAX_TOKENS", "max_output_tokens"),
        ("MALFORMED_FUNCTION_CALL", "the model wrote an invalid tool call"),
        ("SOMETHING_NEW", "something new"),
    ],
)
def test_a_turn_that_the_model_gave_up_is_incomplete(reason, said):
    events = decode(codec(), audio(), content(turnComplete=True, turnCompleteReason=reason))
    (done,) = of(ResponseDone, events)
    assert (done.status, done.reason) == (ResponseStatus.INCOMPLETE, said)


@pytest.mark.parametrize("name", ["responseTokenCount", "candidatesTokenCount"])
def test_usage_in_both_spellings(name):
    said = {
        "promptTokenCount": 10, "toolUsePromptTokenCount": 3, name: 5, "thoughtsTokenCount": 2,
        "cachedContentTokenCount": 4, "totalTokenCount": 20,
        name.replace("Count", "sDetails"): [{"modality": "AUDIO", "tokenCount": 5}],
    }  # fmt: skip
    frame = {**content(turnComplete=True), "usageMetadata": said}
    usage = of(ResponseDone, decode(codec(), audio(), frame))[0].usage
    assert (usage.total_tokens, usage.input_tokens, usage.output_tokens) == (20, 13, 7)
    assert (usage.output_audio_tokens, usage.cached_tokens) == (5, 4)


def test_an_error_in_json():
    frame = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "bad \x1b[2J"}}
    (error,) = decode(codec(), frame)
    assert error == ProviderError("bad \ufffd[2J", "INVALID_ARGUMENT")


def test_url_safe_base64_is_read():
    (delta,) = of(AudioDelta, decode(codec(), audio("-_8=")))
    assert delta.pcm == b"\xfb\xff"


def test_a_resumed_session_is_marked():
    reader = GoogleCodec("wss://x", "gemini-3.8-live")
    (frame,) = reader.opening(SessionSettings(), "handle-1")
    assert json.loads(frame)["setup"]["sessionResumption"] == {"handle": "handle-1"}
    assert decode(reader, {"setupComplete": {}}) == [SessionCreated(resumed=True)]
