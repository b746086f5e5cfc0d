"""Normalized events of every wire, and the command `voicechat wire`."""

import json
import subprocess
import sys

import pytest
from wire_examples import frames

from voicechat.cli.wire import WireAction, _translate
from voicechat.core import events
from voicechat.errors import UsageError
from voicechat.providers import catalog
from voicechat.providers.gateway.normalized import SILENT, NormalizedWire

SERVERS = {
    "openai": "openai_ga_server",
    "xai": "xai_server",
    "google": "gemini_server",
    "gateway": "gateway_server",
    "local": "openai_ga_server",
}
FIELDS = {
    "session-created": set(),
    "session-updated": set(),
    "speech-started": {"itemId"},
    "speech-stopped": {"itemId"},
    "audio-committed": {"itemId"},
    "conversation-item-added": {"itemId", "item"},
    "input-transcription-completed": {"itemId", "transcript"},
    "response-created": {"responseId"},
    "response-done": {"responseId", "status"},
    **dict.fromkeys(
        (
            "output-item-added", "output-item-done", "content-part-added", "content-part-done",
            "audio-done", "audio-transcript-done", "text-done",
        ),
        frozenset({"responseId", "itemId"}),
    ),
    **dict.fromkeys(
        ("audio-delta", "audio-transcript-delta", "text-delta"),
        frozenset({"responseId", "itemId", "delta"}),
    ),
    "function-call-arguments-delta": {"responseId", "itemId", "callId", "delta"},
    "function-call-arguments-done": {"responseId", "itemId", "callId", "name", "arguments"},
    "error": {"message"},
    "custom": {"rawType"},
}  # fmt: skip
"""Required fields of each event type."""


def wire(model: str) -> NormalizedWire:
    return NormalizedWire(catalog.codec_of(model, environ={}))


def decode(model: str, scenario: str | None = None) -> list[dict]:
    reader = wire(model)
    return [event for frame in frames(SERVERS[model], scenario) for event in reader.decode(frame)]


@pytest.mark.parametrize("model", SERVERS)
def test_every_example_frame_becomes_known_events_with_their_fields(model):
    reader = wire(model)
    for frame in frames(SERVERS[model]):
        events = reader.decode(frame)
        assert events
        for event in events:
            if model != "gateway":
                assert event["raw"] == json.loads(frame)
                assert event.keys() >= FIELDS[event["type"]]


@pytest.mark.parametrize("model", ["openai", "xai", "google"])
def test_every_normalized_type_is_reached(model):
    reached = {event["type"] for event in decode(model)}
    missing = {
        "openai": set(),
        "xai": set(),
        "google": {"session-updated", "conversation-item-added", "content-part-added",
                   "content-part-done", "error"},
    }  # fmt: skip
    assert FIELDS.keys() - reached == missing[model]


def test_gateway_frames_are_passed_through():
    raw = [json.loads(frame) for frame in frames("gateway_server")]
    assert decode("gateway") == raw


def test_an_interrupted_google_turn_is_cancelled_and_thoughts_are_not_text():
    done = [e for e in decode("google", "gemini-barge-in") if e["type"] == "response-done"]
    assert [event["status"] for event in done] == ["cancelled"]
    turn = decode("google", "gemini-turn")
    assert "Weighing" not in json.dumps([e for e in turn if e["type"] == "text-delta"])
    heard = [e for e in turn if e["type"] == "input-transcription-completed"]
    assert [event["transcript"] for event in heard] == ["What's the weather in Oslo?"]
    (usage,) = (e["usage"] for e in turn if "usage" in e)
    assert (usage["inputTokens"], usage["outputTokens"]) == (826, 76)


def test_openai_usage_with_cached_tokens():
    usage = next(e["usage"] for e in decode("openai") if e["type"] == "response-done"
                 and e.get("usage"))  # fmt: skip
    assert {"inputTokens", "outputTokens", "cachedInputTextTokens"} <= usage.keys()


@pytest.mark.parametrize(
    ("model", "without_frame"),
    [
        ("openai", set()),
        ("xai", {"conversation-item-truncate"}),
        ("google", {"input-audio-clear", "conversation-item-create", "conversation-item-truncate",
                    "response-create", "response-cancel"}),
        ("local", set()),
        ("azure/x", set()),
    ],
)  # fmt: skip
def test_every_client_event(model, without_frame):
    writer, silent = wire(model), set()
    for frame in frames("gateway_client"):
        event = json.loads(frame)
        written = writer.encode(event)
        silent |= set() if written else {event["type"]}
        assert all(isinstance(json.loads(each), dict) for each in written)
    assert silent == without_frame | SILENT


def test_client_events_of_openai():
    writer, events = wire("openai"), [json.loads(frame) for frame in frames("gateway_client")]
    kinds = [[json.loads(frame)["type"] for frame in writer.encode(event)] for event in events]
    assert kinds == [
        ["session.update"], ["input_audio_buffer.append"], ["input_audio_buffer.commit"],
        ["input_audio_buffer.clear"], ["conversation.item.create"], ["conversation.item.create"],
        ["conversation.item.create"], ["conversation.item.truncate"], ["response.create"],
        ["response.create"], ["response.cancel"], *[[]] * 5,
    ]  # fmt: skip
    (update,) = wire("openai").encode(events[0])
    assert json.loads(update)["event_id"] == "c1"
    (create,) = wire("openai").encode(events[8])
    assert json.loads(create)["response"] == {
        "instructions": "Short.", "metadata": {"k": "v"}, "output_modalities": ["audio"],
    }  # fmt: skip


def test_client_events_of_google():
    writer, events = wire("google"), [json.loads(frame) for frame in frames("gateway_client")]
    said = [[json.loads(frame) for frame in writer.encode(event)] for event in events]
    assert [len(each) for each in said] == [1, 1, 1, 0, 1, 0, 1, *[0] * 9]
    assert said[0][0]["setup"] == wire("google").session(events[0]["config"])
    assert said[2] == [{"realtimeInput": {"audioStreamEnd": True}}]
    assert said[4] == [{"realtimeInput": {"text": "Hi"}}]
    (answer,) = said[6][0]["toolResponse"]["functionResponses"]
    assert answer["response"] == {"output": {"temperature": 4}}


@pytest.mark.parametrize("model", ["openai", "google", "gateway"])
@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "no-such-event"},
        {"type": "input-audio-append", "audio": "?"},
        {"type": "conversation-item-create", "item": {"type": "picture"}},
    ],
)
def test_unknown_client_events_are_rejected(model, event):
    if model == "gateway" and event.get("type") in {"input-audio-append",
                                                    "conversation-item-create"}:  # fmt: skip
        assert wire(model).encode(event)
        return
    with pytest.raises(UsageError):
        wire(model).encode(event)


@pytest.mark.parametrize("model", ["openai", "google", "gateway"])
def test_a_client_event_without_a_type_is_rejected(model):
    with pytest.raises(UsageError, match='The line has no "type"'):
        wire(model).encode({"x": 1})


def test_an_invalid_frame_is_an_error():
    (event,) = wire("openai").decode("nonsense\x1b")
    assert (event["type"], event["code"]) == ("error", "invalid_frame")


def test_the_dial_target_is_shown_without_the_key():
    made = NormalizedWire(catalog.codec_of("google", environ={"GEMINI_API_KEY": "planted-key"}))
    assert made.connect()["headers"] == {"x-goog-api-key": "***"}
    assert "planted" not in json.dumps(made.connect())


def test_an_unsupported_configuration_is_reported():
    config = {"turnDetection": {"type": "semantic-vad"}, "inputAudioTranscription": {"prompt": "p"}}
    assert any("prompt" in line for line in wire("google").unsupported(config))


def run(action: str, model: str, lines: list[str]) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-m", "voicechat", "wire", action, "--model", model],
        input="\n".join(lines) + "\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_command_writes_one_line_per_event():
    lines = [*frames("gemini_server", "gemini-turn"), "nonsense", ""]
    found = run("decode", "google", lines)
    assert len(found) == len(lines)
    assert all(isinstance(each, list) for each in found)
    assert found[-2][0]["code"] == "invalid_frame"  # type: ignore[index]
    found = run("encode", "openai", ['{"type": "response-cancel"}', "nonsense", '{"type": "x"}'])
    assert found[0][0]["type"] == "response.cancel"  # type: ignore[index]
    assert ["error" in each for each in found[1:]] == [True, True]  # type: ignore[operator]
    (session,) = run("session", "xai", ['{"voice": "ara"}'])
    assert session["voice"] == "ara"  # type: ignore[index,call-overload]
    (where,) = run("connect", "openai", [])
    assert where["headers"] == {"Authorization": "***"}  # type: ignore[index,call-overload]


def test_the_vocabulary_has_a_normalized_name_or_is_custom():
    made = wire("google")
    (event,) = made.decode('{"goAway": {"timeLeft": "10s"}}')
    assert (event["type"], event["rawType"]) == ("custom", "goAway")
    assert isinstance(events.SessionEnding(10.0), events.SessionEnding)


# ------------------------------------------------------------------------------- transcription


def test_a_transcription_session():
    wire = NormalizedWire(
        catalog.codec_of("openai/gpt-4o-transcribe", environ={}),
        "transcription",
        "gpt-4o-transcribe",
    )
    config = {
        "instructions": "Be brief.",
        "inputAudioTranscription": {"language": "en"},
        "turnDetection": {"type": "server-vad", "silenceDurationMs": 300},
    }
    assert wire.session(config) == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                "turn_detection": {
                    "type": "server_vad", "silence_duration_ms": 300,
                    "create_response": True, "interrupt_response": True,
                },
            }
        },
    }  # fmt: skip
    (frame,) = wire.encode({"type": "session-update", "config": config})
    assert json.loads(frame)["session"]["type"] == "transcription"


def test_a_live_transcriber_has_no_turn_detection():
    wire = NormalizedWire(
        catalog.codec_of("openai/gpt-live-transcribe", environ={}),
        "transcription",
        "gpt-live-transcribe",
    )
    config = {"turnDetection": {"type": "server-vad"}}
    assert wire.session(config)["audio"]["input"]["turn_detection"] is None
    assert wire.unsupported(config) == [
        "openai has no setting turn_detection with gpt-live-transcribe: it is ignored."
    ]


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"type": "input-audio-append", "audio": 5}, "audio must be a text, not a number"),
        ({"type": "conversation-item-truncate", "audioEndMs": 5}, "itemId is missing"),
        ({"type": "response-create", "options": 7}, "options must be an object"),
        ({"type": "response-create", "options": {"modalities": ["smell"]}}, "options.modalities"),
        ({"type": "conversation-item-create", "item": {"type": "text-message",
          "role": "assistant", "text": "x"}}, "item.role is 'assistant'. Known: user"),
        ({"type": "session-update", "config": {"tools": [{"name": True}]}},
         "config.tools[0].name must be a text, not true or false"),
    ],
    ids=lambda value: str(value)[:30],
)  # fmt: skip
@pytest.mark.parametrize("model", ["openai", "google", "gateway"])
def test_a_field_of_a_wrong_type_is_named(model, event, said):
    with pytest.raises(UsageError) as caught:
        wire(model).encode(event)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"voice": 5}, "voice must be a text, not a number."),
        ({"turnDetection": "server-vad"}, "turnDetection must be an object, not a text."),
        ({"turnDetection": {"type": "vad"}}, "turnDetection.type is 'vad'. Known: server-vad"),
        ({"outputAudioFormat": {"type": "audio/mp3"}}, "outputAudioFormat.type is 'audio/mp3'."),
        ({"inputAudioTranscription": True}, "inputAudioTranscription must be an object"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_type_of_a_configuration_is_named(config, said):
    with pytest.raises(UsageError) as caught:
        wire("openai").session(config)
    assert str(caught.value).startswith(said)


def test_an_event_without_a_frame_is_named(capsys):
    lines = [b'{"type": "conversation-item-truncate", "itemId": "a", "audioEndMs": 5}']
    assert _translate(wire("google"), WireAction.ENCODE, lines) == 0
    told = capsys.readouterr()
    assert told.out == "[]\n"
    assert "no frame for conversation-item-truncate" in told.err
