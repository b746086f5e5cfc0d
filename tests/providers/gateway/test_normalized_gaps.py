"""Known gaps of other normalized codecs, each closed here."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest
from wire_examples import frames

from voicechat.providers import catalog
from voicechat.providers.gateway.normalized import NormalizedWire

TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def wire(model: str, **more: str) -> NormalizedWire:
    return NormalizedWire(catalog.codec_of(model, environ={}, **more))  # type: ignore[arg-type]


def decode(model: str, *said: dict) -> list[dict]:
    reader = wire(model)
    return [event for frame in said for event in reader.decode(json.dumps(frame))]


def types(events: list[dict]) -> list[str]:
    return [event["type"] for event in events]


def encoded(model: str, *events: dict) -> list[list[dict]]:
    writer = wire(model)
    return [[json.loads(frame) for frame in writer.encode(event)] for event in events]


def content(**facts: object) -> dict:
    return {"serverContent": facts}


# ------------------------------------------------------------------------------ configuration


@pytest.mark.parametrize(
    ("model", "options", "path", "value"),
    [
        # Options under the provider's name do not leak into the session under that name.
        ("openai", {"openai": {"truncation": "auto"}}, ("truncation",), "auto"),
        ("openai", {"truncation": "auto"}, ("truncation",), "auto"),
        ("openai", {"openai": {"truncation": "auto"}}, ("openai",), None),
        ("openai", {"xai": {"truncation": "auto"}}, ("truncation",), None),
        ("azure/x", {"openai": {"truncation": "auto"}}, ("truncation",), "auto"),
        # An `audio` among them wipes neither format nor voice.
        ("openai", {"openai": {"audio": {"output": {"speed": 1.2}}}},
         ("audio", "output", "voice"), "marin"),
        ("openai", {"openai": {"audio": {"output": {"speed": 1.2}}}},
         ("audio", "output", "speed"), 1.2),
        ("xai", {"xai": {"resumption": {"enabled": True}}}, ("resumption", "enabled"), True),
        ("xai", {"xai": {"tools": [{"type": "web_search"}]}}, ("tools", 1, "type"), "web_search"),
        ("xai", {"xai": {"tools": [{"type": "web_search"}]}}, ("tools", 0, "name"), "f"),
        # A `generationConfig` wipes neither voice nor modalities.
        ("google", {"google": {"generationConfig": {"temperature": 0.5}}},
         ("generationConfig", "responseModalities"), ["AUDIO"]),
        ("google", {"google": {"generationConfig": {"temperature": 0.5}}},
         ("generationConfig", "temperature"), 0.5),
        ("google", {"google": {"thinkingConfig": {"thinkingLevel": "LOW"}}},
         ("generationConfig", "thinkingConfig", "thinkingLevel"), "LOW"),
        ("google", {"google": {"defaultToolBehavior": "BLOCKING"}},
         ("tools", 0, "functionDeclarations", 0, "behavior"), "BLOCKING"),
        ("google", {"google": {"proactivity": {"proactiveAudio": True}}},
         ("proactivity", "proactiveAudio"), True),
    ],
)  # fmt: skip
def test_provider_options(model, options, path, value):
    config = {"voice": "marin", "tools": [TOOL], "providerOptions": options}
    found: object = wire(model).session(config)
    for step in path:
        found = found[step] if isinstance(step, int) else found.get(step)  # type: ignore[attr-defined,index]
    assert found == value


@pytest.mark.parametrize("off", [None, {"type": "disabled"}])
@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("openai", ("audio", "input", "turn_detection")),
        ("xai", ("turn_detection",)),
        ("azure/x", ("audio", "input", "turn_detection")),
    ],
)
def test_null_turn_detection_is_off_not_the_server_default(model, path, off):
    found = wire(model).session({"turnDetection": off})
    for step in path[:-1]:
        found = found[step]
    assert found[path[-1]] is None


def test_turn_detection_reaches_google():
    config = {"turnDetection": {"type": "server-vad", "silenceDurationMs": 300,
                                "prefixPaddingMs": 100}}  # fmt: skip
    found = wire("google").session(config)["realtimeInputConfig"]
    assert found == {
        "automaticActivityDetection": {
            "disabled": False, "silenceDurationMs": 300, "prefixPaddingMs": 100,
        }
    }  # fmt: skip
    found = wire("google").session({"turnDetection": None})["realtimeInputConfig"]
    assert found["automaticActivityDetection"]["disabled"] is True


def test_semantic_detection_has_no_threshold():
    config = {"turnDetection": {"type": "semantic-vad", "threshold": 0.4, "silenceDurationMs": 9}}
    found = wire("openai").session(config)["audio"]["input"]["turn_detection"]
    assert set(found) == {"type", "eagerness", "create_response", "interrupt_response"}


def test_transcription_fields_are_sent_if_supported():
    config = {"inputAudioTranscription": {"language": "de", "prompt": "names"}}
    found = wire("openai").session(config)["audio"]["input"]["transcription"]
    assert found == {"model": "gpt-transcribe", "prompt": "names", "languages": ["de"]}
    found = wire("xai").session(config)["audio"]["input"]["transcription"]
    assert found == {"model": "grok-transcribe", "language_hint": "de"}
    assert wire("xai").unsupported(config) == [
        "xai has no setting transcription.prompt: it is ignored."
    ]


# ------------------------------------------------------------------------------ what is said


def test_manual_google_turns_have_start_and_end():
    config = {"turnDetection": None}
    sound = b64encode(bytes(32_000)).decode()
    _, *said = encoded(
        "google",
        {"type": "session-update", "config": config},
        {"type": "input-audio-append", "audio": sound},
        {"type": "input-audio-commit"},
    )
    assert [list(each["realtimeInput"]) for frame in said for each in frame] == [
        ["activityStart"], ["audio"], ["activityEnd"],
    ]  # fmt: skip


def test_an_update_changes_only_its_fields():
    whole = {"tools": [TOOL], "turnDetection": None, "instructions": "Be brief."}
    updates = [{"type": "session-update", "config": each} for each in (whole, {"voice": "marin"})]
    ((second,),) = encoded("openai", *updates)[1:]
    assert second["session"] == {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    ((session,),) = encoded("xai", *updates)[1:]
    assert session["session"]["turn_detection"] is None
    assert session["session"]["tools"][0]["name"] == "f"
    assert session["session"]["instructions"] == "Be brief."
    assert session["session"]["voice"] == "marin"


def test_an_update_is_not_a_second_setup():
    first, second = encoded(
        "google",
        {"type": "session-update", "config": {"instructions": "Be brief."}},
        {"type": "session-update", "config": {"instructions": "Be long."}},
    )
    assert list(first[0]) == ["setup"]
    assert [list(each) for each in second] == [["contextUpdate"]]


@pytest.mark.parametrize(
    ("output", "response"),
    [
        ('{"a": 1}', {"output": {"a": 1}}),
        ('"text"', {"output": "text"}),
        ("[1]", {"output": [1]}),
        ("null", {"output": None}),
        ("no JSON", {"output": "no JSON"}),
    ],
)
def test_a_tool_result_for_google_is_an_object(output, response):
    item = {"type": "function-call-output", "callId": "c", "name": "f", "output": output}
    ((frame,),) = encoded("google", {"type": "conversation-item-create", "item": item})
    assert frame["toolResponse"]["functionResponses"][0]["response"] == response


def test_truncation_is_not_sent_to_xai():
    truncate = {"type": "conversation-item-truncate", "itemId": "i", "contentIndex": 0,
                "audioEndMs": 5}  # fmt: skip
    assert encoded("xai", truncate) == [[]]
    assert encoded("google", truncate) == [[]]


# ------------------------------------------------------------------------------ what is heard


def test_beta_names_are_read_like_ga_names():
    events = [
        event for frame in frames("openai_beta_server") for event in wire("openai").decode(frame)
    ]
    assert {"audio-delta", "audio-transcript-delta", "audio-transcript-done", "text-delta",
            "text-done", "conversation-item-added"} <= set(types(events))  # fmt: skip


def test_an_xai_turn_is_completed_once_with_its_final_text():
    reader = wire("xai")
    events = [event for frame in frames("xai_server", "xai-turn") for event in reader.decode(frame)]
    heard = [event for event in events if event["type"] == "input-transcription-completed"]
    assert [event["transcript"] for event in heard] == ["Hello, how tall is Everest?"]
    done = next(event for event in events if event["type"] == "response-done")
    assert done["usage"]["inputTokens"] == 156
    added = [e["itemId"] for e in events if e["type"] == "conversation-item-added"]
    assert len(added) == len(set(added)), "an item is added once"


def test_an_xai_response_without_an_end_is_ended():
    reader = wire("xai")
    dropped = frames("xai_server", "xai-dropped-reply")
    events = [event for frame in dropped for event in reader.decode(frame)]
    assert types(events)[-2:] == ["response-done", "speech-started"]
    assert events[-2]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"type": "error", "error": "Too many"}, "Too many"),
        ({"type": "error", "message": "Flat", "code": "c"}, "Flat"),
        ({"type": "error", "error": {}}, "The provider reported an error without a message."),
        ({"type": "error", "error": {"type": "max_duration"}}, "max_duration"),
    ],
)
def test_errors_of_every_shape(frame, message):
    (event,) = decode("xai", frame)
    assert (event["type"], event["message"]) == ("error", message)


def test_google_thoughts_are_not_text_and_interrupted_turns_are_cancelled():
    events = decode(
        "google",
        content(modelTurn={"parts": [{"text": "Hm.", "thought": True}]}),
        content(outputTranscription={"text": "Once"}),
        content(interrupted=True),
        content(turnComplete=True),
    )
    assert (events[0]["type"], events[0]["rawType"]) == ("custom", "thought")
    assert "text-delta" not in types(events)
    done = [event for event in events if event["type"] == "response-done"]
    assert [event["status"] for event in done] == ["cancelled"]


def test_a_google_transcript_in_pieces_is_completed_once():
    events = decode(
        "google",
        content(inputTranscription={"text": "How "}),
        content(inputTranscription={"text": "warm?"}),
        content(outputTranscription={"text": "Very."}),
        content(turnComplete=True),
    )
    heard = [event for event in events if event["type"] == "input-transcription-completed"]
    assert [event["transcript"] for event in heard] == ["How warm?"]
    order = types(events)
    assert order.index("audio-committed") < order.index("response-created")


def test_no_user_item_is_inserted_without_speech():
    events = decode("google", content(outputTranscription={"text": "Hi."}, turnComplete=True))
    assert not {"audio-committed", "input-transcription-completed"} & set(types(events))


def test_usage_of_vertex_and_empty_usage():
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 4}
    reply = content(outputTranscription={"text": "Hi."}, turnComplete=True)
    (done,) = (e for e in decode("google", {**reply, "usageMetadata": usage})
               if e["type"] == "response-done")  # fmt: skip
    assert done["usage"] == {"inputTokens": 3, "outputTokens": 4}
    spent = {"total_tokens": 0, "input_tokens": 0, "output_tokens": 0}
    response = {"id": "r", "status": "failed", "usage": spent}
    (done,) = decode("openai", {"type": "response.done", "response": response})
    assert done["usage"] == {"inputTokens": 0, "outputTokens": 0}


def test_an_odd_byte_of_audio_waits_for_the_next_piece():
    ids = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i"}
    events = decode(
        "openai",
        *({**ids, "delta": b64encode(piece).decode()} for piece in (b"\x01\x02\x03", b"\x04")),
        {**ids, "delta": "???"},
    )
    assert types(events) == ["audio-delta", "audio-delta", "custom"]
    assert [b64decode(event["delta"]) for event in events[:2]] == [b"\x01\x02", b"\x03\x04"]


def test_g711_audio_becomes_samples():
    session = {"type": "realtime", "audio": {"output": {"format": {"type": "audio/pcmu"}}}}
    ids = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i"}
    sound = b64encode(bytes([0xFF, 0x00])).decode()
    _, event = decode("openai", {"type": "session.updated", "session": session},
                      {**ids, "delta": sound})  # fmt: skip
    assert b64decode(event["delta"]) == b"\x00\x00\x84\x82"


def test_a_malformed_frame_is_an_error_and_the_next_is_read():
    reader = wire("openai")
    assert reader.decode("{")[0]["code"] == "invalid_frame"
    assert reader.decode(b"\xff\xfe")[0]["code"] == "invalid_frame"
    assert types(reader.decode('{"type": "session.updated"}')) == ["session-updated"]


@pytest.mark.parametrize("kind", ["session-usage", "audio-chunk", "transcript-fragment",
                                  "delegation-created", "command-acknowledged",
                                  "session-started", "session-closed"])  # fmt: skip
def test_continuous_sessions_pass_through_the_gateway(kind):
    raw = {"type": kind, "delta": "x", "raw": {"type": "up"}}
    assert decode("gateway", raw) == [raw]


def test_an_unknown_gateway_event_is_custom():
    (event,) = decode("gateway", {"type": "news", "x": 1})
    assert (event["type"], event["rawType"]) == ("custom", "news")
