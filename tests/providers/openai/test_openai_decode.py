"""Events of each server event of the OpenAI Realtime wire."""

import itertools
import json
from base64 import b64encode
from collections import Counter
from typing import get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from wire_examples import NO_RECORDINGS, RECORDINGS, frames

from voicechat.core import commands
from voicechat.core.commands import CommandName
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
    ItemRetrieved,
    ItemTruncated,
    KeypadPressed,
    OutputItemAdded,
    OutputItemDone,
    ProviderError,
    RateLimits,
    RemoteApproval,
    RemoteCall,
    RemoteTools,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    ResumptionHandle,
    SessionCreated,
    SessionEnding,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolArgumentsDelta,
    ToolCallReady,
    ToolCallsCancelled,
    TranscriptSegment,
    Unmapped,
    UsageReported,
    UserTranscript,
)
from voicechat.core.items import Usage
from voicechat.core.settings import AudioFormat, SessionSettings
from voicechat.providers.openai.openai_codec import OpenAICodec
from voicechat.providers.openai.openai_events import KNOWN_UNMAPPED, TABLE

EXPECTED_EVENTS = {
    "session.created": SessionCreated,
    "session.updated": SessionUpdated,
    "conversation.created": Unmapped,
    "conversation.item.added": ItemAdded,
    "conversation.item.done": ItemAdded,
    "conversation.item.created": ItemAdded,
    "conversation.item.retrieved": ItemRetrieved,
    "conversation.item.deleted": ItemDeleted,
    "conversation.item.truncated": ItemTruncated,
    "conversation.item.input_audio_transcription.delta": UserTranscript,
    "conversation.item.input_audio_transcription.completed": UserTranscript,
    "conversation.item.input_audio_transcription.segment": TranscriptSegment,
    "conversation.item.input_audio_transcription.failed": UserTranscript,
    "input_audio_buffer.speech_started": SpeechStarted,
    "input_audio_buffer.speech_stopped": SpeechStopped,
    "input_audio_buffer.committed": InputCommitted,
    "input_audio_buffer.cleared": InputCleared,
    "input_audio_buffer.timeout_triggered": IdleTimeout,
    "input_audio_buffer.dtmf_event_received": Unmapped,
    "output_audio_buffer.started": Unmapped,
    "output_audio_buffer.stopped": Unmapped,
    "output_audio_buffer.cleared": Unmapped,
    "response.created": ResponseCreated,
    "response.output_item.added": OutputItemAdded,
    "response.output_item.done": OutputItemDone,
    "response.content_part.added": Unmapped,
    "response.content_part.done": Unmapped,
    "response.output_audio.delta": AudioDelta,
    "response.output_audio.done": AudioDone,
    "response.output_audio_transcript.delta": TextDelta,
    "response.output_audio_transcript.done": TextDone,
    "response.output_text.delta": TextDelta,
    "response.output_text.done": TextDone,
    "response.function_call_arguments.delta": ToolArgumentsDelta,
    "response.function_call_arguments.done": ToolCallReady,
    "mcp_list_tools.in_progress": RemoteTools,
    "mcp_list_tools.completed": RemoteTools,
    "mcp_list_tools.failed": RemoteTools,
    "response.mcp_call_arguments.delta": RemoteCall,
    "response.mcp_call_arguments.done": RemoteCall,
    "response.mcp_call.in_progress": RemoteCall,
    "response.mcp_call.completed": RemoteCall,
    "response.mcp_call.failed": RemoteCall,
    "response.done": ResponseDone,
    "rate_limits.updated": RateLimits,
    "error": ProviderError,
}
OLD_NAMES = {
    "response.audio.delta": "response.output_audio.delta",
    "response.audio.done": "response.output_audio.done",
    "response.audio_transcript.delta": "response.output_audio_transcript.delta",
    "response.audio_transcript.done": "response.output_audio_transcript.done",
    "response.text.delta": "response.output_text.delta",
    "response.text.done": "response.output_text.done",
    "transcription_session.updated": "session.updated",
}
OF_OTHER_WIRES = {
    ToolCallsCancelled, SessionEnding, ResumptionHandle, UsageReported, KeypadPressed,
}  # fmt: skip
"""Events that no server of this family causes, phone calls aside."""
REMOTE = (RemoteTools, RemoteCall, RemoteApproval)
"""Further events that a frame about an item may cause."""


def codec() -> OpenAICodec:
    return OpenAICodec("wss://example.invalid/v1/realtime")


def decode(*said: dict) -> list[Event]:
    """Return the events of these frames on a new connection."""
    reader = codec()
    return [event for frame in said for event in reader.decode(json.dumps(frame))]


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


# ------------------------------------------------------------------------------- the table


def test_the_table_names_all_46_documented_events():
    example_types = {json.loads(frame)["type"] for frame in frames("openai_ga_server")}
    assert len(EXPECTED_EVENTS) == 46
    assert set(EXPECTED_EVENTS) == example_types
    unmapped = {name for name, event in EXPECTED_EVENTS.items() if event is Unmapped}
    assert unmapped == KNOWN_UNMAPPED - {"ping"}
    assert not KNOWN_UNMAPPED & TABLE.keys()


def test_every_event_class_is_reached():
    reached = {
        type(event) for frame in frames("openai_ga_server") for event in codec().decode(frame)
    }
    assert {*EXPECTED_EVENTS.values(), *OF_OTHER_WIRES, *reached} == set(get_args(Event))


@pytest.mark.parametrize("wire_type", EXPECTED_EVENTS)
def test_each_documented_event(wire_type):
    reader, seen = codec(), []
    for frame in frames("openai_ga_server"):
        events = reader.decode(frame)
        if json.loads(frame)["type"] == wire_type:
            seen.append([e for e in events if "item" not in wire_type or not isinstance(e, REMOTE)])
            if wire_type == "response.done":
                seen[-1] = [e for e in seen[-1] if not isinstance(e, TextDone)]
    kind = EXPECTED_EVENTS[wire_type]
    assert seen
    assert all(len(events) <= 1 for events in seen)
    assert any(isinstance(event, kind) for events in seen for event in events)
    assert all(isinstance(event, kind) for events in seen for event in events)


@pytest.mark.parametrize("wire_type", OLD_NAMES)
def test_each_beta_name_means_the_ga_name(wire_type):
    (frame,) = (f for f in frames("openai_beta_server") if json.loads(f)["type"] == wire_type)
    renamed = {**json.loads(frame), "type": OLD_NAMES[wire_type]}
    assert codec().decode(frame) == decode(renamed)
    assert isinstance(codec().decode(frame)[0], EXPECTED_EVENTS[OLD_NAMES[wire_type]])


def test_all_34_beta_events_are_decoded():
    kinds = {json.loads(frame)["type"] for frame in frames("openai_beta_server")}
    assert len(kinds) == 34
    assert kinds <= TABLE.keys() | KNOWN_UNMAPPED


@pytest.mark.parametrize("name", ["openai_ws", "azure_ws", "azure_voice_live_ws", "xai_ws"])
def test_recorded_sockets_are_decoded(name):
    recordings = sorted(RECORDINGS.joinpath(name).glob("*.yaml"))
    if not recordings:
        pytest.skip(NO_RECORDINGS)
    for recording in recordings:
        reader, events = codec(), []
        for one in yaml.safe_load(recording.read_text("utf-8"))["interactions"]:
            if one["direction"] == "received" and isinstance(one["data"], dict):
                events += reader.decode(json.dumps(one["data"]))
        unknown = {e.wire_type for e in of(Unmapped, events)} - KNOWN_UNMAPPED
        assert not unknown - {"response.output_audio.delta", "response.audio.delta"}
        counts = Counter(type(event) for event in events)
        assert counts[SessionCreated] == 1
        assert counts[ResponseCreated] == counts[ResponseDone] > 0
        assert counts[ProviderError] == 0
        if "tool_call" in recording.name:
            assert counts[ToolCallReady] == 1


# ------------------------------------------------------------------------------- whole turns


def test_a_spoken_turn():
    reader = codec()
    events = [e for f in frames("openai_ga_server", "vad-turn") for e in reader.decode(f)]
    told = [type(event).__name__ for event in events if not isinstance(event, Unmapped)]
    assert told[:5] == ["SpeechStarted", "SpeechStopped", "InputCommitted", *["ItemAdded"] * 2]
    assert [e.done for e in of(ItemAdded, events)] == [False, True, False, True]
    heard = of(UserTranscript, events)
    assert "".join(e.text for e in heard if not e.replace) == heard[-1].text
    assert [e.final for e in heard] == [False, False, True]
    assert heard[-1].usage == Usage(28, 19, 9, 0, 19)
    spoken = of(TextDelta, events)
    assert all(e.spoken for e in spoken)
    assert "".join(e.text for e in spoken) == of(TextDone, events)[0].text == "Mount Everest."
    (done,) = of(ResponseDone, events)
    assert done.status is ResponseStatus.COMPLETED
    assert done.usage == Usage(199, 143, 56, 119, 24, 0, 64, 14, 42, cached_text_tokens=64)
    assert {e.response_id for e in of(AudioDelta, events)} == {done.response_id}


def test_an_interrupted_turn():
    reader = codec()
    events = [e for f in frames("openai_ga_server", "barge-in") for e in reader.decode(f)]
    (done,) = of(ResponseDone, events)
    assert (done.status, done.reason) == (ResponseStatus.CANCELLED, "turn_detected")
    assert [e.complete for e in of(OutputItemDone, events)] == [False]
    assert [e.audio_end_ms for e in of(ItemTruncated, events)] == [260.0]
    (error,) = of(ProviderError, events)
    assert (error.code, error.fatal) == ("response_cancel_not_active", False)


def test_items_of_one_response_overlap():
    reader = codec()
    events = [e for f in frames("openai_ga_server", "preamble-and-call") for e in reader.decode(f)]
    said, call = of(OutputItemAdded, events)
    assert (said.kind, call.kind) == (ItemKind.MESSAGE, ItemKind.TOOL_CALL)
    (done,) = of(TextDone, events)
    assert done.item_id == said.item_id
    assert not done.spoken
    (ready,) = of(ToolCallReady, events)
    assert (ready.item_id, ready.call_id) == (call.item_id, call.call_id)
    assert ready.arguments == "".join(e.text for e in of(ToolArgumentsDelta, events))
    assert {e.call_id for e in of(ToolArgumentsDelta, events)} == {call.call_id}


@pytest.mark.parametrize(
    ("status", "details", "reason", "error"),
    [
        ("completed", None, None, None),
        ("cancelled", {"reason": "client_cancelled"}, "client_cancelled", None),
        ("incomplete", {"reason": "content_filter"}, "content_filter", None),
        ("failed", {"error": {"code": "insufficient_quota", "message": "No."}},
         "insufficient_quota", "No."),
        ("failed", {"error": {"type": "server_error"}}, "server_error", None),
        ("completed", "unimplemented", None, None),
    ],
)  # fmt: skip
def test_how_a_response_ends(status, details, reason, error):
    response = {"id": "r", "status": status, "status_details": details}
    (done,) = decode({"type": "response.done", "response": response})
    assert (done.status, done.reason, done.error) == (ResponseStatus(status), reason, error)


def test_usage_outside_the_response():
    frame = {"type": "response.done", "usage": {"total_tokens": 5}, "response": {"usage": {}}}
    assert decode(frame)[0].usage == Usage(total_tokens=5)


# ------------------------------------------------------------------------------- tool calls

ADDED = {
    "type": "response.output_item.added",
    "response_id": "r",
    "item": {"id": "i", "type": "function_call", "call_id": "c", "name": "look"},
}
ARGUMENTS = {
    "type": "response.function_call_arguments.done",
    "response_id": "r",
    "item_id": "i",
    "call_id": "c",
    "name": "look",
    "arguments": '{"at": 1}',
}
ITEM = {**ADDED["item"], "status": "completed", "arguments": '{"at": 1}'}
DONE = {"type": "response.output_item.done", "response_id": "r", "item": ITEM}
OVER = {
    "type": "response.done",
    "response": {"id": "r", "status": "completed", "output": [ITEM]},
}
READY = ToolCallReady("r", "i", "c", "look", '{"at": 1}')


def without(frame: dict, *names: str) -> dict:
    return {name: value for name, value in frame.items() if name not in names}


@pytest.mark.parametrize(
    "said",
    [
        [ADDED, ARGUMENTS, DONE, OVER],
        [ARGUMENTS, DONE, OVER],
        [ADDED, without(ARGUMENTS, "name"), DONE, OVER],
        [ADDED, without(ARGUMENTS, "name", "call_id"), OVER],
        [without(ARGUMENTS, "name"), DONE],
        [without(ARGUMENTS, "name"), OVER],
        [DONE],
        [OVER],
        [DONE, ARGUMENTS, OVER, OVER, DONE, ARGUMENTS],
        [ADDED, ARGUMENTS, ARGUMENTS],
    ],
)
def test_a_call_is_reported_exactly_once(said):
    assert of(ToolCallReady, decode(*said)) == [READY]


def test_a_call_without_arguments():
    call = {**ITEM, "arguments": ""}
    ready = of(ToolCallReady, decode({**ARGUMENTS, "arguments": ""}, {**DONE, "item": call}))
    assert [event.arguments for event in ready] == [""]


def test_a_call_with_truncated_arguments_is_dropped():
    cut = {**ITEM, "status": "incomplete", "arguments": '{"at'}
    over = {"id": "r", "status": "cancelled", "output": [cut]}
    said = [
        ADDED,
        {**ARGUMENTS, "arguments": '{"at'},
        {**DONE, "item": cut},
        {"type": "response.done", "response": over},
    ]
    assert not of(ToolCallReady, decode(*said))


def test_invalid_arguments_are_reported_for_the_model():
    call = {**ITEM, "arguments": "not json"}
    said = [{**ARGUMENTS, "arguments": "not json"}, {**DONE, "item": call}]
    assert [e.arguments for e in of(ToolCallReady, decode(*said))] == ["not json"]


def test_two_calls_of_one_response():
    other = {**ITEM, "id": "i2", "call_id": "c2"}
    said = [ARGUMENTS, DONE, {**DONE, "item": other}]
    over = {"type": "response.done", "response": {**OVER["response"], "output": [ITEM, other]}}
    assert [e.call_id for e in of(ToolCallReady, decode(*said, over))] == ["c", "c2"]


# ------------------------------------------------------------------------------- sound


def sound(pcm: bytes, item_id: str = "i", **more) -> dict:
    delta = b64encode(pcm).decode()
    return {"type": "response.output_audio.delta", "item_id": item_id, "delta": delta, **more}


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
def test_audio_in_pieces_of_any_size_is_whole_samples(pcm, cuts):
    edges = [0, *sorted(min(cut, len(pcm)) for cut in cuts), len(pcm)]
    pieces = [pcm[a:b] for a, b in itertools.pairwise(edges)]
    played = [event.pcm for event in decode(*map(sound, pieces))]
    assert all(len(piece) % 2 == 0 and piece for piece in played)
    assert b"".join(played) == pcm[: len(pcm) & ~1]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["i", "j", "i\x1b"]), st.sampled_from([0, 1, 20]), st.binary(max_size=5)
        )
    )
)
def test_audio_that_continues_an_item_reads_like_any_other_audio(pieces):
    reader, without_short_path = codec(), codec()
    for item_id, part, pcm in pieces:
        frame = json.dumps(sound(pcm, item_id, response_id="r", content_index=part))
        without_short_path._latest = None
        assert reader.decode(frame) == without_short_path.decode(frame)


def test_odd_bytes_of_different_items_do_not_mix():
    events = decode(sound(b"abc"), sound(b"xyz", "j"), sound(b"d"), sound(b"w", "j"))
    assert [(event.item_id, event.pcm) for event in events] == [
        ("i", b"ab"), ("j", b"xy"), ("i", b"cd"), ("j", b"zw"),
    ]  # fmt: skip


@pytest.mark.parametrize("delta", ["!!!!AAAA@@@@", "AAA", "AAAA\n", "AA=A", "Ä", 7, None, ["A"]])
def test_invalid_audio_is_dropped(delta):
    frame = {"type": "response.output_audio.delta", "item_id": "i", "delta": delta}
    assert decode(frame, sound(b"good")) == [
        Unmapped("response.output_audio.delta", broken=True),
        AudioDelta("", "i", b"good"),
    ]


def test_g711_audio_becomes_pcm():
    reader = codec()
    told = AudioFormat("pcmu", 8000)
    reader.encode(commands.UpdateSession(SessionSettings(output_format=told)))
    (event,) = reader.decode(json.dumps(sound(b"\xff\x00\x80")))
    assert event.pcm == b"\x00\x00" + (-32124).to_bytes(2, "little", signed=True) + b"\x7c\x7d"


@pytest.mark.parametrize(
    "session",
    [
        {"audio": {"output": {"format": {"type": "audio/pcma"}}}},
        {"output_audio_format": "g711_alaw"},
    ],
)
def test_the_session_object_sets_the_audio_format(session):
    events = decode({"type": "session.updated", "session": session}, sound(b"\xd5\x55"))
    assert events[1].pcm == b"\x08\x00\xf8\xff"


def test_an_unknown_format_changes_nothing():
    session = {"output_audio_format": "not specified", "audio": {"output": 3}}
    events = decode({"type": "session.updated", "session": session}, sound(b"\xd5\x55"))
    assert events[1].pcm == b"\xd5\x55"


# ------------------------------------------------------------------------------- text


def test_split_characters_are_joined_across_deltas():
    halves = ['{"type":"response.output_text.delta","item_id":"i","delta":"a\\ud83d"}',
              '{"type":"response.output_text.delta","item_id":"i","delta":"\\ude00b"}']  # fmt: skip
    reader = codec()
    assert [e.text for half in halves for e in reader.decode(half)] == ["a", "😀b"]


def test_text_is_clean():
    said = [
        {"type": "response.output_text.delta", "item_id": "i", "delta": "\x1b]52;c;AAAA\x07"},
        {"type": "error", "error": {"message": "\x1b[2J", "code": "\u202ecode"}},
        {"type": "conversation.item.retrieved", "item": {"id": "i", "deep": [{"\x9b": "\x9b"}]}},
    ]
    events = decode(*said)
    assert len(events) == 3
    assert not any(hazard in repr(events) for hazard in ("\\x1b", "\\x07", "\\x9b", "\\u202e"))


def test_a_text_that_is_only_in_its_item():
    content = [{"type": "output_audio", "transcript": "Hello."}]
    item = {"id": "i", "type": "message", "content": content}
    done = {"type": "response.output_item.done", "response_id": "r", "item": item}
    told = {"type": "response.output_audio_transcript.done", "item_id": "i"}
    whole = {**told, "response_id": "r", "transcript": "Hello."}
    assert of(TextDone, decode(done)) == [TextDone("r", "i", "Hello.", True)]
    assert of(TextDone, decode(whole, done)) == [TextDone("r", "i", "Hello.", True)]
    assert of(TextDone, decode(told)) == [TextDone("", "i", None, True)]


def test_an_item_of_two_parts_is_joined():
    part = {"type": "response.output_text.done", "item_id": "i"}
    said = [{**part, "text": "One. "}, {**part, "text": "Two.", "content_index": 1}]
    assert [event.text for event in decode(*said)] == ["One. ", "One. Two."]


def answer(*content: dict[str, str], item_id: str | None = "i", response_id: str = "r") -> dict:
    named = {} if item_id is None else {"id": item_id}
    item = {"type": "message", "role": "assistant", "content": list(content), **named}
    response = {"id": response_id, "status": "completed", "output": [item]}
    return {"type": "response.done", "response": response}


@pytest.mark.parametrize(
    ("part", "spoken"),
    [
        ({"type": "output_text", "text": "Hello."}, False),
        ({"type": "text", "text": "Hello."}, False),
        ({"type": "output_audio", "transcript": "Hello."}, True),
    ],
    ids=["text", "old text", "transcript"],
)
def test_a_text_that_is_only_in_the_end_of_its_response(part, spoken):
    events = decode(answer(part))
    assert events == [TextDone("r", "i", "Hello.", spoken), ResponseDone("r")]


def test_a_text_that_was_reported_is_not_repeated_at_the_end_of_its_response():
    end = answer({"type": "output_text", "text": "Hello."})
    where = {"item_id": "i", "response_id": "r"}
    delta = {"type": "response.output_text.delta", "delta": "Hello", **where}
    whole = {"type": "response.output_text.done", "text": "Hello.", **where}
    assert of(TextDone, decode(delta, end)) == []
    assert of(TextDone, decode(whole, end)) == [TextDone("r", "i", "Hello.", False)]
    assert len(of(TextDone, decode(end, end))) == 1


def test_items_without_ids_at_the_ends_of_responses_are_different_items():
    part = {"type": "output_text", "text": "Hello."}
    events = decode(*(answer(part, item_id=None, response_id=name) for name in ("r1", "r2")))
    items = [event.item_id for event in of(TextDone, events)]
    assert len(set(items)) == 2


def shown(*said):
    """Return the text of the item after these frames, as the conversation joins it."""
    text = ""
    for event in decode(*said):
        text = text + event.text if isinstance(event, TextDelta) else event.text
    return text


@pytest.mark.parametrize("order", itertools.permutations(range(4)), ids=str)
def test_parts_of_an_item_are_in_the_order_of_their_numbers(order):
    part = {"type": "response.output_text.delta", "item_id": "i"}
    said = [
        {
            **part,
            "delta": ["One. ", "Two", ", and. ", "Three."][at],
            "content_index": [0, 1, 1, 2][at],
        }
        for at in sorted(order, key=lambda at: (order[at], at))
    ]
    # The pieces of one part stay in the order of their arrival.
    second = "".join(each["delta"] for each in said if each["content_index"] == 1)
    assert shown(*said) == f"One. {second}Three."


def test_a_part_that_ends_keeps_the_others():
    delta = {"type": "response.output_text.delta", "item_id": "i"}
    done = {"type": "response.output_text.done", "item_id": "i"}
    said = [
        {**delta, "delta": "One. "},
        {**done, "text": "Two.", "content_index": 1},
    ]
    assert shown(*said) == "One. Two."
    assert shown(*said, {**done, "text": "Once. "}) == "Once. Two."


HEARD = "conversation.item.input_audio_transcription"


def test_interim_transcripts_are_not_final():
    said = [
        {"type": f"{HEARD}.completed", "item_id": "u", "transcript": "w", "status": "interim"},
        {"type": f"{HEARD}.updated", "item_id": "u", "transcript": "what"},
        {
            "type": f"{HEARD}.completed",
            "item_id": "u",
            "transcript": "wha",
            "status": "in_progress",
        },
        {
            "type": f"{HEARD}.completed",
            "item_id": "u",
            "transcript": "What?",
            "status": "completed",
        },
        {"type": f"{HEARD}.completed", "item_id": "u", "transcript": "What?"},
        {"type": f"{HEARD}.failed", "item_id": "u", "error": {"message": "too late"}},
    ]
    assert [(e.text, e.final, e.replace) for e in decode(*said)] == [
        ("w", False, True), ("what", False, True), ("wha", False, True), ("What?", True, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "why"),
    [({"message": "No."}, "No."), ({"code": "x"}, "x"), (None, "transcription failed")],
)
def test_a_failed_transcription(error, why):
    (event,) = decode({"type": f"{HEARD}.failed", "item_id": "u", "error": error})
    assert (event.final, event.text, event.error) == (True, "", why)


# ------------------------------------------------------------------------------- the session


def test_a_session_starts():
    (event,) = decode({"type": "session.created", "session": {"id": "s", "expires_at": 5}})
    assert event == SessionCreated("s", 5.0)
    assert decode({"type": "session.created"}) == [SessionCreated()]


@pytest.mark.parametrize(
    ("frame", "message", "code", "fatal"),
    [
        (
            {"error": {"code": "session_expired", "message": "Over."}},
            "Over.",
            "session_expired",
            True,
        ),
        ({"error": {"type": "max_duration", "message": "Over."}}, "Over.", "max_duration", True),
        ({"error": {"type": "invalid_request_error", "message": "No."}}, "No.", None, False),
        ({"error": "flat"}, "flat", None, False),
        ({"message": "top", "code": "level"}, "top", "level", False),
        ({"error": {}}, "The provider reported an error without a message.", None, False),
        ({"error": {"code": "c"}}, "c", "c", False),
    ],
)
def test_errors(frame, message, code, fatal):
    assert decode({"type": "error", **frame}) == [ProviderError(message, code, None, fatal)]


def test_an_error_names_the_failed_command():
    reader = codec()
    reader.encode(commands.CommitAudio())
    sent = json.loads(reader.encode(commands.CancelResponse())[0])
    frame = {"type": "error", "error": {"message": "No.", "event_id": sent["event_id"]}}
    (error,) = reader.decode(json.dumps(frame))
    assert error.command is CommandName.CANCEL_RESPONSE
    assert decode({"type": "error", "error": {"event_id": "evt_1-2"}})[0].command is None


def created(**response) -> str:
    return json.dumps({"type": "response.created", "response": {"id": "r", **response}})


def test_an_out_of_band_response():
    reader = codec()
    assert not reader.decode(created(conversation_id=None))[0].out_of_band
    sent = json.loads(reader.encode(commands.CreateResponse(out_of_band=True))[0])["response"]
    assert sent["conversation"] == "none"
    for answer in (created(metadata=sent["metadata"]), created(conversation_id=None)):
        assert reader.decode(answer)[0].out_of_band
    assert not reader.decode(created(conversation_id="conv"))[0].out_of_band
    assert not reader.decode(created())[0].out_of_band


def test_a_call_id_that_is_used_again_is_another_call() -> None:
    codec = OpenAICodec("ws://x")
    found = []
    for response_id in ("r1", "r2"):
        item = {**ITEM, "id": f"i_{response_id}", "call_id": "call_0", "status": "completed"}
        where = {"response_id": response_id, "item_id": item["id"], "call_id": "call_0"}
        for frame in (
            {"type": "response.created", "response": {"id": response_id}},
            {"type": "response.output_item.added", "response_id": response_id, "item": item},
            {"type": "response.function_call_arguments.done", **where, "name": "look",
             "arguments": "{}"},
            {"type": "response.output_item.done", "response_id": response_id, "item": item},
            {"type": "response.done", "response": {"id": response_id, "output": [item]}},
        ):  # fmt: skip
            found += codec.decode(json.dumps(frame))
    ready = [event for event in found if isinstance(event, ToolCallReady)]
    assert [(event.response_id, event.call_id) for event in ready] == [
        ("r1", "call_0"), ("r2", "call_0"),
    ]  # fmt: skip
