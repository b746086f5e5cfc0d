"""Events and commands of xAI, where they differ from OpenAI's."""

import json
from collections import Counter
from typing import get_args

import pytest
import yaml
from wire_examples import NO_RECORDINGS, RECORDINGS, frames

from voicechat.core.commands import (
    AnswerApproval,
    AppendAudio,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    Command,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    RetrieveItem,
    SeedCall,
    SeedResult,
    ToolResult,
    TruncateItem,
    UpdateSession,
)
from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    IdleTimeout,
    InputCleared,
    InputCommitted,
    ItemAdded,
    ItemDeleted,
    ItemKind,
    OutputItemAdded,
    OutputItemDone,
    ProviderError,
    RemoteCall,
    RemoteTools,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolArgumentsDelta,
    ToolCallReady,
    Unmapped,
    UserTranscript,
)
from voicechat.core.settings import (
    AudioFormat,
    McpServer,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
    Transcription,
)
from voicechat.errors import Secret
from voicechat.providers.openai.openai_codec import HELD, OpenAICodec
from voicechat.providers.openai.openai_events import KNOWN_UNMAPPED
from voicechat.providers.xai_dialect import TABLE, XAI

EXPECTED_EVENTS = {
    "session.created": {SessionCreated},
    "session.updated": {SessionUpdated},
    "conversation.created": {Unmapped},
    "ping": {Unmapped},
    "conversation.item.added": {ItemAdded},
    "conversation.item.deleted": {ItemDeleted},
    "conversation.item.input_audio_transcription.updated": {UserTranscript},
    "conversation.item.input_audio_transcription.completed": {UserTranscript},
    "input_audio_buffer.speech_started": {SpeechStarted, ResponseDone},
    "input_audio_buffer.speech_stopped": {SpeechStopped},
    "input_audio_buffer.committed": {InputCommitted},
    "input_audio_buffer.cleared": {InputCleared},
    "input_audio_buffer.timeout_triggered": {IdleTimeout},
    "input_audio_buffer.dtmf_event_received": {Unmapped},
    "response.created": {ResponseCreated},
    "response.output_item.added": {OutputItemAdded},
    "response.output_item.done": {OutputItemDone, ItemAdded},
    "response.content_part.added": {Unmapped},
    "response.content_part.done": {Unmapped},
    "response.output_audio.delta": {AudioDelta},
    "response.output_audio.done": {AudioDone},
    "response.output_audio_transcript.delta": {TextDelta},
    "response.output_audio_transcript.done": {TextDone},
    "response.text.delta": {TextDelta},
    "response.text.done": {TextDone},
    "response.function_call_arguments.delta": {ToolArgumentsDelta},
    "response.function_call_arguments.done": {ToolCallReady},
    "mcp_list_tools.in_progress": {RemoteTools},
    "mcp_list_tools.completed": {RemoteTools},
    "mcp_list_tools.failed": {RemoteTools},
    "response.mcp_call_arguments.delta": {RemoteCall},
    "response.mcp_call_arguments.done": {RemoteCall},
    "response.mcp_call.in_progress": {RemoteCall},
    "response.mcp_call.completed": {RemoteCall},
    "response.mcp_call.failed": {RemoteCall},
    "response.done": {ResponseDone},
    "error": {ProviderError},
}
MANUAL = SessionSettings(turn_detection=None)
HANDS_FREE = SessionSettings(turn_detection=ServerVad())


def codec(settings: SessionSettings | None = HANDS_FREE) -> OpenAICodec:
    made = OpenAICodec("wss://api.x.ai/v1/realtime?model=m", Secret("xai-1"), XAI)
    if settings is not None:
        made.encode(UpdateSession(settings))
    return made


def decode(reader: OpenAICodec, *said: dict | str) -> list[Event]:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in said]
    return [event for text in texts for event in reader.decode(text)]


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def sent(writer: OpenAICodec, *commands: Command) -> list[dict]:
    return [json.loads(frame) for command in commands for frame in writer.encode(command)]


def session_of(settings: SessionSettings) -> dict:
    return sent(codec(None), UpdateSession(settings))[0]["session"]


# ------------------------------------------------------------------------------- what it says


def test_the_table_names_every_example():
    assert set(EXPECTED_EVENTS) == {json.loads(f)["type"] for f in frames("xai_server")}
    assert set(EXPECTED_EVENTS) <= TABLE.keys() | KNOWN_UNMAPPED


@pytest.mark.parametrize("wire_type", EXPECTED_EVENTS)
def test_each_example(wire_type):
    reader, seen = codec(), []
    for frame in frames("xai_server"):
        events = reader.decode(frame)
        if json.loads(frame)["type"] == wire_type:
            seen += events
    assert {type(event) for event in seen} - {ToolCallReady} <= EXPECTED_EVENTS[wire_type]
    assert seen


def test_one_spoken_turn():
    events = decode(codec(), *frames("xai_server", "xai-turn"))
    heard = of(UserTranscript, events)
    assert [e.final for e in heard] == [False] * 4 + [True]
    assert all(e.replace for e in heard)
    assert heard[-1].text == "Hello, how tall is Everest?"
    assert [(e.role, e.done) for e in of(ItemAdded, events)] == [
        ("user", False), ("assistant", False), ("assistant", True),
    ]  # fmt: skip
    assert of(ItemAdded, events)[-1].text == "About 8,849 metres."
    (done,) = of(ResponseDone, events)
    assert (done.usage.total_tokens, done.usage.input_audio_tokens) == (341, 146)
    assert done.usage.seconds == 5


def test_seconds_are_a_running_total():
    reader = codec()
    over = [f for f in frames("xai_server") if json.loads(f)["type"] == "response.done"][:3]
    done = of(ResponseDone, decode(reader, *over))
    assert [e.usage.seconds for e in done] == [5, 1, 0]


def test_the_connection_time_since_the_last_answer_is_billed_too():
    reader = codec()
    assert reader.unreported(8.0).seconds == 0, "there is no session"
    decode(reader, *frames("xai_server", "xai-turn"))
    assert reader.unreported(8.0).seconds == 3


def test_a_call_and_text_in_one_response():
    events = decode(codec(), *frames("xai_server", "xai-tools"))
    ready = of(ToolCallReady, events)
    first = "call-8c4f83c5-ef59-4af0-ab08-945a22451a42-0"
    assert [e.call_id for e in ready] == [first, "call_31415927"]
    calls = [e for e in of(ItemAdded, events) if e.kind is ItemKind.TOOL_CALL]
    assert calls
    assert {e.role for e in calls} == {""}


def test_a_call_that_names_no_response_belongs_to_the_running_one():
    reader = codec()
    decode(reader, {"type": "response.created", "response": {"id": "r"}})
    call = {"type": "response.function_call_arguments.done", "name": "look", "arguments": "{}"}
    events = decode(reader, {**call, "call_id": "1"}, {**call, "call_id": "2"},
                    {**call, "call_id": "1"})  # fmt: skip
    assert [(e.response_id, e.call_id) for e in events] == [("r", "1"), ("r", "2")]


def test_a_response_without_an_end_is_ended():
    reader = codec()
    events = decode(reader, *frames("xai_server", "xai-dropped-reply"))
    assert [type(e).__name__ for e in events] == [
        "SpeechStarted", "SpeechStopped", "ResponseCreated", "ResponseDone", "SpeechStarted",
    ]  # fmt: skip
    created, done = events[2], events[3]
    assert (done.response_id, done.status) == (created.response_id, ResponseStatus.CANCELLED)
    assert done.reason == "turn_detected"
    late = {"type": "response.done", "response": {"id": done.response_id, "status": "cancelled"}}
    assert decode(reader, late) == [Unmapped("response.done")]


def test_barge_in_on_an_earlier_turn_ends_nothing():
    started = {"type": "input_audio_buffer.speech_started"}
    begun = {"type": "response.created", "response": {"id": "r"}}
    second = {**started, "item_id": "b"}
    events = decode(codec(), {**started, "item_id": "a"}, begun, second, second)
    assert not of(ResponseDone, events)


def test_without_turn_detection_speech_events_are_ignored():
    events = decode(codec(MANUAL), *frames("xai_server", "xai-push-to-talk"))
    assert not of(SpeechStarted, events)
    assert not of(SpeechStopped, events)
    assert of(InputCommitted, events)
    assert of(UserTranscript, events)[-1].text == "Say hello."


@pytest.mark.parametrize(
    ("message", "fatal"),
    [
        ("Invalid turn_detection.threshold", False),
        ("The conversation has reached its maximum duration.", True),
        ("Too many concurrent sessions", False),
        ("speed must be between 0.7 and 1.5", False),
    ],
)
def test_every_shape_of_error(message, fatal):
    errors = of(ProviderError, decode(codec(), *frames("xai_server", "xai-misc")))
    assert {e.message: e.fatal for e in errors}[message] is fatal


def test_recorded_sockets():
    recordings = sorted(RECORDINGS.joinpath("xai_ws").glob("*.yaml"))
    if not recordings:
        pytest.skip(NO_RECORDINGS)
    for recording in recordings:
        talk = yaml.safe_load(recording.read_text("utf-8"))["interactions"]
        reader = codec()
        said = [one["data"] for one in talk if one["direction"] == "received"]
        events = decode(reader, *(one for one in said if isinstance(one, dict)))
        counts = Counter(type(event) for event in events)
        assert counts[ResponseCreated] == counts[ResponseDone] > 0
        assert counts[ProviderError] == 0
        finals = [e for e in of(UserTranscript, events) if e.final]
        assert len({e.item_id for e in finals}) == len(finals)
        asked = [e for e in of(ItemAdded, events) if e.role == "assistant" and e.done]
        assert asked
        theirs = [one["data"] for one in talk if one["direction"] == "sent"]
        update = next(one["session"] for one in theirs if one["type"] == "session.update")
        assert set(session_of(HANDS_FREE)) <= set(update) | {"tools"}


# ------------------------------------------------------------------------------- what it is told

TOOL = ToolSpec("look", "Looks.", {"type": "object", "properties": {}})


def test_the_whole_session():
    settings = SessionSettings(
        instructions="Be brief.",
        voice="ara",
        turn_detection=ServerVad(0.85, 333, 200, 8000),
        transcription=Transcription(language="en", keywords=("voicechat",)),
        speed=1.1,
        pronunciation={"Nguyen": "win"},
        reasoning_effort="none",
        tools=(TOOL,),
        mcp_servers=(McpServer("docs", "https://docs.example/mcp"),),
        input_format=AudioFormat(rate=16_000),
        output_format=AudioFormat("pcmu", 8_000),
    )
    assert not codec().unsupported(settings)
    assert session_of(settings) == {
        "voice": "ara",
        "instructions": "Be brief.",
        "turn_detection": {
            "type": "server_vad", "threshold": 0.85, "prefix_padding_ms": 333,
            "silence_duration_ms": 200, "idle_timeout_ms": 8000,
            "create_response": True, "interrupt_response": True,
        },
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 16000},
                "transcription": {
                    "model": "grok-transcribe", "language_hint": "en", "keyterms": ["voicechat"],
                },
            },
            "output": {"format": {"type": "audio/pcmu"}, "speed": 1.1},
        },
        "reasoning": {"effort": "none"},
        "replace": {"Nguyen": "win"},
        "tools": [
            {"type": "function", "name": "look", "description": "Looks.",
             "parameters": {"type": "object", "properties": {}}},
            {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp",
             "require_approval": "never"},
        ],
    }  # fmt: skip


def test_our_frames_match_the_examples():
    messages = [json.loads(frame) for frame in frames("xai_client")]
    sessions = [each["session"] for each in messages if each["type"] == "session.update"]
    whole = [session for session in sessions if "instructions" in session]
    settings = SessionSettings(instructions="x", voice="ara", reasoning_effort="high")
    assert whole
    for session in whole:
        assert set(session) <= {"resumption", *session_of(settings)}


def test_every_update_is_complete():
    first, second = sent(codec(None), UpdateSession(HANDS_FREE), UpdateSession(MANUAL))
    assert second["session"] == {**first["session"], "turn_detection": None}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (SessionSettings(), "xai has no setting turn_detection semantic_vad: a silence"),
        (SessionSettings(turn_detection=ServerVad(create_response=False)), "is answered"),
        (SessionSettings(output="text", turn_detection=None), "output text: it always speaks"),
        (SessionSettings(max_output_tokens=5, turn_detection=None), "max_output_tokens"),
        (SessionSettings(noise_reduction=NoiseReduction(), turn_detection=None), "noise_reduction"),
        (SessionSettings(reasoning_effort="low", turn_detection=None), "reasoning_effort low"),
        (SessionSettings(transcription=Transcription(prompt="x"), turn_detection=None),
         "transcription.prompt"),
        (SessionSettings(input_format=AudioFormat(rate=12_345), turn_detection=None), "12345 Hz"),
        (SessionSettings(mcp_servers=(McpServer("a", connector="b"),), turn_detection=None),
         "only servers with a url"),
    ],
)  # fmt: skip
def test_unsupported_settings_are_reported(settings, sentence):
    (said,) = codec().unsupported(settings)
    assert said.startswith("xai has no setting ")
    assert sentence in said


def test_semantic_turn_detection_becomes_server_vad():
    wanted = SessionSettings(turn_detection=SemanticVad("low", interrupt_response=False))
    assert session_of(wanted)["turn_detection"] == {
        "type": "server_vad", "create_response": True, "interrupt_response": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "flag"),
    [
        (RetrieveItem("i"), "retrieve"),
        (DeleteItem("i"), "delete"),
        (ClearOutput(), "clear_output"),
        (CreateResponse(out_of_band=True), "out_of_band"),
    ],
)
def test_unsupported_commands_have_a_flag_and_no_frame(command, flag):
    assert not getattr(XAI.capabilities, flag)
    assert codec().encode(command) == []


def test_every_command_is_a_frame_or_a_flag():
    commands = {
        UpdateSession(HANDS_FREE), AppendAudio(b"\0\0"), CommitAudio(), ClearAudio(),
        CreateMessage("i", "user", "hi"), ToolResult("c", "{}"),
        CancelResponse("r"), SeedCall("c", "look", "{}"), SeedResult("c", "{}"),
        AnswerApproval("mcpr_1", True), TruncateItem("i", 5),
    }  # fmt: skip
    without = {
        RetrieveItem, DeleteItem, ClearOutput, CreateResponse,
    }  # fmt: skip
    assert {type(c) for c in commands} | without == set(get_args(Command))
    known = {json.loads(f)["type"] for f in frames("xai_client")} | {"conversation.item.truncate"}
    for command in commands:
        (message,) = sent(codec(), command)
        assert message["type"] in known


def test_items_and_responses():
    (item,) = sent(codec(), CreateMessage("typed_1", "user", "Hi"))
    assert item["item"] == {
        "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}],
    }  # fmt: skip
    (plain,) = sent(codec(), CreateResponse(metadata={"a": "b"}))
    assert set(plain) == {"type", "event_id"}
    (told,) = sent(codec(), CreateResponse("Short."))
    assert told["response"] == {"instructions": "Short."}


def test_a_text_is_spoken_word_for_word():
    example = next(
        json.loads(frame) for frame in frames("xai_client", "xai-misc") if "force_message" in frame
    )
    for settings in (HANDS_FREE, MANUAL):
        (said,) = sent(codec(settings), CreateResponse(verbatim="Your call is being recorded."))
        assert said["type"] == example["type"]
        assert said["item"] == {k: v for k, v in example["item"].items() if k != "interruptible"}


# ------------------------------------------------------------------------------- half duplex

BEGUN = {"type": "response.created", "response": {"id": "r"}}
OVER = {"type": "response.done", "response": {"id": "r", "status": "completed"}}
BLOCK = AppendAudio(bytes(960))


def test_a_commit_alone_requests_the_response():
    assert XAI.capabilities.commit_starts_response


def test_a_response_after_a_manual_turn_is_kept():
    types = [m["type"] for m in sent(codec(MANUAL), CreateResponse())]
    assert types == ["input_audio_buffer.clear", "response.create"]


def test_audio_waits_for_the_end_of_a_response_and_keeps_its_order():
    writer = codec(MANUAL)
    decode(writer, BEGUN)
    blocks = [AppendAudio(bytes([n, 0] * 480)) for n in range(8)]
    assert sent(writer, *blocks[:6]) == []
    decode(writer, OVER)
    out = sent(writer, *blocks[6:], CommitAudio())
    assert [m["type"] for m in out] == ["input_audio_buffer.append"] * 8 + [
        "input_audio_buffer.commit"
    ]
    expected = [sent(codec(MANUAL), block)[0]["audio"] for block in blocks]
    assert [m["audio"] for m in out[:-1]] == expected


def test_with_turn_detection_audio_never_waits():
    writer = codec()
    decode(writer, BEGUN)
    assert len(sent(writer, BLOCK)) == 1


def test_held_audio_is_bounded_and_can_be_cleared():
    writer = codec(MANUAL)
    decode(writer, BEGUN)
    assert sent(writer, *[BLOCK] * 1000) == []
    decode(writer, OVER)
    assert len(sent(writer, CommitAudio())) == HELD / 20 + 1
    decode(writer, BEGUN)
    sent(writer, *[BLOCK] * 5)
    decode(writer, OVER)
    assert [m["type"] for m in sent(writer, ClearAudio(), CommitAudio())] == [
        "input_audio_buffer.clear", "input_audio_buffer.commit",
    ]  # fmt: skip


def test_key_terms_are_limited_and_the_limit_is_reported():
    terms = ("a" * 51, *(f"term {n}" for n in range(101)))
    settings = SessionSettings(transcription=Transcription(keywords=terms), turn_detection=None)
    sent_terms = session_of(settings)["audio"]["input"]["transcription"]["keyterms"]
    assert sent_terms == list(terms[1:101])
    (said,) = codec().unsupported(settings)
    assert said.endswith("transcription.keywords beyond 100 or 50 characters: they are left out.")


# ------------------------------------------------------------------------------- interruptions

CUT = TruncateItem("i", 700)


def test_an_item_is_truncated_to_what_was_heard():
    (frame,) = sent(codec(), CUT)
    assert frame["type"] == "conversation.item.truncate"
    assert (frame["item_id"], frame["content_index"], frame["audio_end_ms"]) == ("i", 0, 700)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"type": "invalid_request_error",
                   "message": "Unknown event type: conversation.item.truncate"}},
        {"error": "Truncation is not supported"},
        {"error": {"message": "No such event", "event_id": "TruncateItem-2"}},
    ],
)  # fmt: skip
def test_a_server_that_refuses_to_truncate_is_not_asked_again(error):
    writer = codec()
    assert sent(writer, CUT)
    (refusal,) = decode(writer, {"type": "error", **error})
    assert refusal.command == "TruncateItem"
    assert not refusal.fatal
    assert sent(writer, CUT) == []
    assert sent(codec(), CUT)


def test_a_late_cancel_is_no_error_of_a_response():
    late = {"error": {"message": "Cancellation failed: no active response found"}}
    (refusal,) = decode(codec(), {"type": "error", **late})
    assert refusal.command == "CancelResponse"
    assert sent(codec(), CancelResponse("r"))


@pytest.mark.parametrize(("asked", "sent"), [(0.25, 0.7), (0.7, 0.7), (1.2, 1.2), (3.0, 1.5)])
def test_speed_is_clipped_to_the_range_of_xai_and_the_clip_is_reported(
    asked: float, sent: float
) -> None:
    """xAI takes speaking speeds from 0.7 to 1.5 and refuses others."""
    xai = codec()
    settings = SessionSettings(speed=asked)
    (frame,) = xai.encode(UpdateSession(settings))
    assert json.loads(frame)["session"]["audio"]["output"]["speed"] == sent
    reported = [line for line in xai.unsupported(settings) if "speed" in line]
    clipped = [f"xai has no setting speed {asked:g}: {sent:g} is used."]
    assert reported == ([] if asked == sent else clipped)
