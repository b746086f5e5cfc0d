"""The server half of the wire, without a socket: every client event and server event."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import check, silence, tone
from socket_events import END_OF_REPLY

from voicechat.server.realtime.client_shapes import EVENTS
from voicechat.server.realtime.item_store import RETAINED_TEXT
from voicechat.server.realtime.protocol_actions import (
    AudioCommitted,
    InputSound,
    RecognizeItem,
    ResponseStarted,
    ResponseStopped,
)
from voicechat.server.realtime.server_protocol import ServerProtocol
from voicechat.server.realtime.server_response import ServerResponse


def opened(**session: Any) -> ServerProtocol:
    """Return a protocol after its first events, with this update applied."""
    protocol = ServerProtocol("m", ("plain", "deep"), now=lambda: 1_000.0)
    if session:
        send(protocol, "session.update", session={"type": "realtime", **session})
    protocol.take()
    return protocol


def send(protocol: ServerProtocol, kind: str, **fields: Any) -> list[Any]:
    """Pass a client event to the protocol; return the actions."""
    return protocol.receive(msgspec.json.encode({"type": kind, **fields}))


def out(protocol: ServerProtocol) -> list[dict[str, Any]]:
    """Return the new frames, each validated by the class of the openai package."""
    return [check(frame) for frame in protocol.take()]


def kinds(protocol: ServerProtocol) -> list[str]:
    return [event["type"] for event in out(protocol)]


def error(protocol: ServerProtocol) -> dict[str, Any]:
    """Return the only new frame, which must be an error."""
    (event,) = out(protocol)
    assert event["type"] == "error"
    assert event["error"]["type"] == "invalid_request_error"
    found: dict[str, Any] = event["error"]
    return found


def append(protocol: ServerProtocol, sound: bytes) -> list[Any]:
    return send(protocol, "input_audio_buffer.append", audio=base64.b64encode(sound).decode())


def message(text: str, role: str = "user", **fields: Any) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    content = [{"type": kind, "text": text}]
    return {"type": "message", "role": role, "content": content, **fields}


def begin(protocol: ServerProtocol, **response: Any) -> ServerResponse:
    (started,) = send(protocol, "response.create", response=response)
    assert isinstance(started, ResponseStarted)
    return started.reply


MANUAL = {"audio": {"input": {"turn_detection": None}}}


# --------------------------------------------------------------------------- session


def test_session_created_looks_like_the_real_one() -> None:
    (event,) = (check(frame) for frame in ServerProtocol("m", now=lambda: 1_000.0).take())
    session = event["session"]
    assert event["type"] == "session.created"
    assert event["event_id"].startswith("event_")
    assert len(event["event_id"]) == 27
    assert session["id"].startswith("sess_")
    assert session["object"] == "realtime.session"
    assert session["expires_at"] == 4_600
    assert session["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"


def test_update_changes_only_its_fields_and_adds_defaults() -> None:
    protocol = opened(instructions="be brief", audio={"output": {"voice": "deep"}})
    vad = {"type": "server_vad", "silence_duration_ms": 200}
    update = {"type": "realtime", "audio": {"input": {"turn_detection": vad}}}
    send(protocol, "session.update", session=update)
    (event,) = out(protocol)
    session = event["session"]
    assert session["instructions"] == "be brief"
    assert session["audio"]["output"]["voice"] == "deep"
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }
    clear = {"type": "realtime", "instructions": "", "audio": {"input": {"turn_detection": None}}}
    send(protocol, "session.update", session=clear)
    assert protocol.turn_detection is None
    assert protocol.session["instructions"] == ""


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"type": "realtime", "voice": "alloy"}, "unknown_parameter", "session.voice"),
        ({"type": "realtime", "instructions": 4}, "invalid_type", "session.instructions"),
        (
            {"type": "realtime", "output_modalities": ["audio", "text"]},
            "invalid_value",
            "session.output_modalities",
        ),
        (
            {"type": "realtime", "audio": {"output": {"speed": 3}}},
            "decimal_above_max_value",
            "session.audio.output.speed",
        ),
        (
            {"type": "realtime", "audio": {"output": {"voice": "nobody"}}},
            "invalid_value",
            "session.audio.output.voice",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/mp3"}}}},
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 8}}}},
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (
            {
                "type": "realtime",
                "audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 1}}},
            },
            "unknown_parameter",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"type": "realtime", "tools": [{"type": "mcp", "server_label": "x"}]},
            "invalid_value",
            "session.tools[0]",
        ),
        ({"type": "realtime", "max_output_tokens": 0}, "integer_below_min_value", None),
        ({"type": "realtime", "tool_choice": "maybe"}, "invalid_value", "session.tool_choice"),
    ],
)
def test_invalid_updates_are_reported_and_change_nothing(
    session: dict[str, Any], code: str, param: str | None
) -> None:
    protocol = opened()
    before = msgspec.json.encode(protocol.session)
    send(protocol, "session.update", event_id="evt_9", session={**session})
    reported = error(protocol)
    assert reported["code"] == code
    assert reported["event_id"] == "evt_9"
    assert param is None or reported["param"] == param
    assert msgspec.json.encode(protocol.session) == before


# --------------------------------------------------------------------------- input buffer


def test_commit_creates_an_item_and_requests_its_transcript() -> None:
    protocol = opened(**MANUAL)
    actions = append(protocol, tone(150))
    assert isinstance(actions[0], InputSound)
    (committed,) = send(protocol, "input_audio_buffer.commit")
    assert isinstance(committed, AudioCommitted)
    events = out(protocol)
    assert [event["type"] for event in events] == [
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert {events[0]["item_id"], events[1]["item"]["id"]} == {committed.item_id}
    protocol.transcribed(committed.item_id, "hello")
    (event,) = out(protocol)
    assert event["transcript"] == "hello"
    send(protocol, "conversation.item.retrieve", item_id=committed.item_id)
    (event,) = out(protocol)
    part = event["item"]["content"][0]
    assert base64.b64decode(part["audio"]) == tone(150)
    assert part["transcript"] == "hello"
    typed = message("and typed")
    send(protocol, "conversation.item.create", item=typed)
    said = [(m.text, m.spoken) for m in protocol.conversation.messages()]
    assert said == [("hello", True), ("and typed", False)]


def test_speech_without_words_is_only_there_as_the_newest_message() -> None:
    protocol = opened(**MANUAL)
    for text in ("set a timer", "", "no, twenty", ""):
        append(protocol, tone(150))
        (committed,) = send(protocol, "input_audio_buffer.commit")
        protocol.transcribed(committed.item_id, text)
    said = [m.text for m in protocol.conversation.messages()]
    assert said == ["set a timer", "no, twenty", ""]


@pytest.mark.parametrize("ms", [0, 99])
def test_commit_needs_a_tenth_of_a_second(ms: int) -> None:
    protocol = opened(**MANUAL)
    append(protocol, silence(ms))
    protocol.take()
    assert send(protocol, "input_audio_buffer.commit") == []
    reported = error(protocol)
    assert reported["code"] == "input_audio_buffer_commit_empty"
    assert f"only has {ms:.2f}ms" in reported["message"]


def test_clear_drops_the_audio() -> None:
    protocol = opened(**MANUAL)
    append(protocol, silence(500))
    send(protocol, "input_audio_buffer.clear")
    assert kinds(protocol) == ["input_audio_buffer.cleared"]
    send(protocol, "input_audio_buffer.commit")
    assert error(protocol)["code"] == "input_audio_buffer_commit_empty"


def test_uncommitted_audio_is_bounded_and_reported_once() -> None:
    protocol = opened(**MANUAL)
    for _ in range(70):
        append(protocol, silence(1_000))
    assert error(protocol)["code"] == "input_audio_buffer_full"
    send(protocol, "input_audio_buffer.commit")
    protocol.take()
    assert isinstance(append(protocol, silence(100))[0], InputSound)


def test_one_append_is_at_most_15_mib() -> None:
    protocol = opened()
    assert append(protocol, bytes(15 * 1024 * 1024 + 2)) == []
    assert error(protocol)["param"] == "audio"


@given(st.lists(st.binary(max_size=9), max_size=20))
def test_samples_split_between_appends_stay_whole(blocks: list[bytes]) -> None:
    protocol = opened(**MANUAL)
    taken = b"".join(action.sound for block in blocks for action in append(protocol, block))
    sent = b"".join(blocks)
    assert taken == sent[: len(sent) // 2 * 2]


@pytest.mark.parametrize("audio", ["!!!!", "AAA", "Zg", "\x00", 7, None])
def test_invalid_base64_is_refused(audio: Any) -> None:
    protocol = opened()
    assert send(protocol, "input_audio_buffer.append", audio=audio) == []
    assert error(protocol)["param"] == "audio"


# --------------------------------------------------------------------------- items


def test_the_text_of_a_conversation_is_bounded_and_the_oldest_items_go() -> None:
    protocol = opened()
    for number in range(200):
        item = message("x" * (RETAINED_TEXT // 100), id=f"i{number}")
        after = {"previous_item_id": "root"} if number == 199 else {}
        send(protocol, "conversation.item.create", item=item, **after)
        assert kinds(protocol) == ["conversation.item.added", "conversation.item.done"]
    kept = [entry.item_id for entry in protocol.conversation.entries()]
    assert 90 < len(kept) <= 100
    assert kept[0] == "i199", "the newest item stays wherever it is"
    assert kept[-1] == "i198"
    send(protocol, "conversation.item.delete", item_id="i0")
    assert error(protocol)["code"] == "item_delete_invalid_item_id"
    url = "data:image/png;base64," + "A" * RETAINED_TEXT
    picture = {"type": "input_image", "image_url": url}
    send(protocol, "conversation.item.create", item={**message(""), "content": [picture]})
    assert len(protocol.conversation) == 1


def test_an_event_that_takes_long_to_read_is_refused() -> None:
    protocol = opened()
    frame = '{"type": "session.update", "session": {"a": [' + "{}," * 300_000 + "1]}}"
    protocol.receive(frame)
    assert error(protocol)["code"] == "event_too_large"


def test_items_are_inserted_at_the_requested_place() -> None:
    protocol = opened()
    for item_id, after in (("b", None), ("c", None), ("a", "root"), ("b2", "b")):
        send(
            protocol,
            "conversation.item.create",
            item=message(item_id, id=item_id),
            previous_item_id=after,
        )
    events = out(protocol)
    assert [event["previous_item_id"] for event in events[::2]] == [None, "b", None, "b"]
    assert [m.text for m in protocol.conversation.messages()] == ["a", "b", "b2", "c"]
    send(protocol, "conversation.item.delete", item_id="b")
    assert kinds(protocol) == ["conversation.item.deleted"]
    assert [m.text for m in protocol.conversation.messages()] == ["a", "b2", "c"]


@pytest.mark.parametrize(
    ("kind", "fields", "code"),
    [
        ("create", {"item": message("x"), "previous_item_id": "no"}, "previous_item_id"),
        ("create", {"item": message("x", id="here")}, "invalid_value"),
        ("create", {"item": message("x", id="i" * 33)}, "string_above_max_length"),
        ("create", {"item": message("x", role="boss")}, "invalid_value"),
        ("create", {"item": {"type": "message", "role": "user"}}, "missing_required_parameter"),
        ("create", {}, "missing_required_parameter"),
        (
            "create",
            {"item": {"type": "function_call_output", "call_id": "no", "output": ""}},
            "invalid_tool_call_id",
        ),
        ("retrieve", {"item_id": "no"}, "item_retrieve_invalid_item_id"),
        ("delete", {"item_id": "no"}, "item_delete_invalid_item_id"),
        (
            "truncate",
            {"item_id": "no", "content_index": 0, "audio_end_ms": 5},
            "item_truncate_invalid_item_id",
        ),
        (
            "truncate",
            {"item_id": "here", "content_index": 0, "audio_end_ms": 5},
            "unsupported_content_type",
        ),
    ],
)
def test_item_errors_are_reported(kind: str, fields: dict[str, Any], code: str) -> None:
    protocol = opened()
    send(protocol, "conversation.item.create", item=message("x", id="here"))
    protocol.take()
    assert send(protocol, f"conversation.item.{kind}", event_id="e1", **fields) == []
    reported = error(protocol)
    assert code in reported["code"]
    assert reported["event_id"] == "e1"


def test_item_with_audio_requests_recognition() -> None:
    protocol = opened()
    audio = base64.b64encode(tone(200)).decode()
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}
    (action,) = send(protocol, "conversation.item.create", item=item)
    assert isinstance(action, RecognizeItem)
    assert action.sound == tone(200)
    assert "audio" not in out(protocol)[0]["item"]["content"][0]


# --------------------------------------------------------------------------- responses


def test_one_response_at_a_time_and_more_out_of_band() -> None:
    protocol = opened()
    reply = begin(protocol, metadata={"turn": "1"})
    (event,) = out(protocol)
    assert event["response"]["metadata"] == {"turn": "1"}
    send(protocol, "response.create", event_id="again")
    reported = error(protocol)
    assert reported["code"] == "conversation_already_has_active_response"
    assert reply.id in reported["message"]
    assert reported["event_id"] == "again"
    aside = begin(
        protocol, conversation="none", input=[message("mood?")], output_modalities=["text"]
    )
    assert [m.text for m in aside.messages()] == ["mood?"]
    aside.write("calm")
    protocol.finish(aside)
    events = out(protocol)
    assert not [event for event in events if event["type"].startswith("conversation")]
    assert events[0]["response"]["conversation_id"] is None
    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "calm"
    assert protocol.active is reply


def test_response_overrides_the_session_for_itself_only() -> None:
    protocol = opened(instructions="long", tools=[{"type": "function", "name": "f"}])
    plan = begin(
        protocol,
        instructions="short",
        output_modalities=["text"],
        tools=[],
        tool_choice={"type": "function", "name": "g"},
        max_output_tokens=7,
    ).plan
    assert (plan.instructions, plan.spoken, plan.tools) == ("short", False, ())
    assert (plan.tool_choice, plan.max_tokens) == ("g", 7)
    assert protocol.session["instructions"] == "long"


def test_input_can_refer_to_items_or_be_empty() -> None:
    protocol = opened()
    send(protocol, "conversation.item.create", item=message("first", id="one"))
    reply = begin(
        protocol,
        conversation="none",
        input=[{"type": "item_reference", "id": "one"}, message("second")],
    )
    assert [m.text for m in reply.messages()] == ["first", "second"]
    assert begin(protocol, conversation="none", input=[]).messages() == []


def test_cancel_ends_the_events_and_drops_late_content() -> None:
    protocol = opened()
    reply = begin(protocol)
    reply.word("Once ", 100.0)
    reply.sound(tone(100))
    protocol.take()
    (stopped,) = send(protocol, "response.cancel")
    assert isinstance(stopped, ResponseStopped)
    events = out(protocol)
    assert [event["type"] for event in events] == END_OF_REPLY
    assert events[-1]["response"]["status_details"]["reason"] == "client_cancelled"
    reply.word("upon ", 100.0)
    reply.sound(tone(100))
    reply.write("x")
    reply.call("c", "f", "{}")
    assert protocol.finish(reply) == []
    assert out(protocol) == []
    send(protocol, "response.cancel", event_id="late")
    assert error(protocol)["code"] == "response_cancel_not_active"


def test_failed_and_full_responses_say_why() -> None:
    protocol = opened()
    reply = begin(protocol)
    why = {"type": "server_error", "code": "server_error", "message": "no"}
    protocol.finish(reply, "failed", error=why)
    assert out(protocol)[-1]["response"]["status_details"] == {"type": "failed", "error": why}
    reply = begin(protocol, max_output_tokens=2, output_modalities=["text"])
    reply.write("a longer text")
    assert reply.full
    protocol.finish(reply, "incomplete", "max_output_tokens")
    done = out(protocol)[-1]["response"]
    assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert done["output"][0]["status"] == "incomplete"


@pytest.mark.parametrize(
    ("heard", "seen"),
    [(0, ""), (99, ""), (100, "Once "), (199, "Once "), (200, "Once upon "), (300, "Once upon a")],
)
def test_truncation_keeps_the_words_that_were_heard(heard: int, seen: str) -> None:
    protocol = opened()
    reply = begin(protocol)
    for word in ("Once ", "upon ", "a"):
        reply.word(word, 100.0)
        reply.sound(tone(100))
    protocol.finish(reply)
    item_id = out(protocol)[-1]["response"]["output"][0]["id"]
    fields = {"item_id": item_id, "content_index": 0}
    send(protocol, "conversation.item.truncate", audio_end_ms=400, **fields)
    assert "already shorter than 400ms" in error(protocol)["message"]
    send(protocol, "conversation.item.truncate", audio_end_ms=heard, **fields)
    assert kinds(protocol) == ["conversation.item.truncated"]
    assert [m.text for m in protocol.conversation.messages()] == [seen]
    send(protocol, "conversation.item.retrieve", item_id=item_id)
    part = out(protocol)[0]["item"]["content"][0]
    assert part["transcript"] == seen
    assert base64.b64decode(part.get("audio", "")) == (tone(100) * 3)[: heard * 48]


# --------------------------------------------------------------------------- turns


def test_speech_cancels_the_reply_only_if_the_session_says_so() -> None:
    vad = {"type": "server_vad", "interrupt_response": False}
    protocol = opened(audio={"input": {"turn_detection": vad}})
    reply = begin(protocol)
    protocol.take()
    append(protocol, tone(900))
    assert protocol.speech_started(500.0) == []
    actions = protocol.speech_stopped(800.0, 900.0)
    assert [type(action) for action in actions] == [AudioCommitted]
    events = out(protocol)
    assert events[0]["audio_start_ms"] == 200
    # The pending response starts when no one speaks.
    (started,) = protocol.finish(reply)
    assert isinstance(started, ResponseStarted)
    assert kinds(protocol)[-2:] == ["response.done", "response.created"]


def test_idle_timeout_commits_an_empty_item_and_answers() -> None:
    protocol = opened()
    append(protocol, silence(1000))
    (started,) = protocol.idle(400.0)
    assert isinstance(started, ResponseStarted)
    events = out(protocol)
    assert [event["type"] for event in events] == [
        "input_audio_buffer.timeout_triggered",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "conversation.item.input_audio_transcription.completed",
        "response.created",
    ]
    assert (events[0]["audio_start_ms"], events[0]["audio_end_ms"]) == (400, 1000)
    assert events[4]["transcript"] == ""


def test_announcements_wait_for_a_pause() -> None:
    protocol = opened()
    append(protocol, silence(1000))
    protocol.speech_started(500.0)
    assert protocol.announce("ring") == []
    _, started = protocol.speech_stopped(800.0, 1000.0)
    assert started.reply.plan.words is None
    (second,) = protocol.finish(started.reply)
    assert second.reply.plan.words == "ring"


def test_failed_transcription_is_reported() -> None:
    protocol = opened(**MANUAL)
    append(protocol, tone(200))
    (committed,) = send(protocol, "input_audio_buffer.commit")
    protocol.take()
    protocol.transcription_failed(committed.item_id, "no stt")
    protocol.transcript_delta(committed.item_id, "a word")
    assert kinds(protocol) == [
        "conversation.item.input_audio_transcription.failed",
        "conversation.item.input_audio_transcription.delta",
    ]


# --------------------------------------------------------------------------- anything at all

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
    ),
    max_leaves=12,
)
_FIELDS = st.sampled_from(
    [
        "session",
        "item",
        "response",
        "audio",
        "item_id",
        "previous_item_id",
        "content_index",
        "audio_end_ms",
        "event_id",
        "type",
        "role",
        "content",
        "text",
        "id",
        "instructions",
        "tools",
        "tool_choice",
        "input",
        "output",
        "format",
        "voice",
        "turn_detection",
        "conversation",
        "metadata",
        "call_id",
        "name",
        "arguments",
        "max_output_tokens",
    ]
)
_WORDS = st.sampled_from(
    [
        "realtime",
        "message",
        "user",
        "assistant",
        "system",
        "input_text",
        "input_audio",
        "function_call",
        "audio/pcmu",
        "function_call_output",
        "function",
        "server_vad",
        "semantic_vad",
        "none",
        "auto",
        "text",
        "AAAA",
        "here",
        "root",
    ]
)
_LIKELY = st.recursive(
    _WORDS | st.integers(-5, 500) | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=5),
    max_leaves=15,
)
_FRAME = st.one_of(
    st.builds(
        lambda kind, fields: json.dumps({**fields, "type": kind}),
        st.sampled_from(sorted(EVENTS)),
        st.dictionaries(_FIELDS, _LIKELY, max_size=6),
    ),
    st.builds(json.dumps, _JSON),
    st.binary(max_size=40),
    st.text(max_size=40),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(_FRAME, max_size=12))
def test_no_frame_breaks_a_connection(frames: list[str | bytes]) -> None:
    protocol = opened()
    send(protocol, "conversation.item.create", item=message("x", id="here"))
    for frame in frames:
        protocol.receive(frame)
    for frame in protocol.take():
        check(frame)
    if protocol.active is not None:
        protocol.finish(protocol.active)
    assert protocol.speech is None
    assert isinstance(begin(protocol), ServerResponse)


@pytest.mark.parametrize(
    "frame",
    [
        b"\xff\xfe",
        b"",
        b"[]",
        b"7",
        b'{"type": NaN}',
        b'{"type": "session.update", "session": ' + b"[" * 100_000,
        b'{"type": ["session.update"]}',
        b'{"type": "response.create", "response": {"max_output_tokens": 1180591620717411303424}}',
        b'{"type": "conversation.item.create", "item": {"id": "\\ud800"}}',
        b'{"type": "tea.make"}',
    ],
)
def test_invalid_frames_get_an_error(frame: bytes) -> None:
    protocol = opened()
    assert protocol.receive(frame) == []
    assert error(protocol)["message"]
