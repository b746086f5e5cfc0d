"""The flat session of the beta, checked against its published types."""

import json
from base64 import b64encode
from collections import Counter
from typing import get_args

import pytest
import yaml
from openai.types.beta.realtime import RealtimeClientEvent, TranscriptionSessionUpdate
from pydantic import BaseModel, TypeAdapter
from wire_examples import NO_RECORDINGS, RECORDINGS, frames

from voicechat.core import commands
from voicechat.core.events import (
    AudioDelta,
    ProviderError,
    ResponseCreated,
    ResponseDone,
    TextDone,
    ToolCallReady,
)
from voicechat.core.settings import (
    AudioFormat,
    McpChoice,
    NoiseReduction,
    RetentionRatio,
    SemanticVad,
    ServerVad,
    SessionSettings,
    StoredPrompt,
    ToolSpec,
    Tracing,
    Transcription,
)
from voicechat.errors import Secret
from voicechat.providers import catalog
from voicechat.providers.openai.openai_beta import BETA, VOICE_LIVE
from voicechat.providers.openai.openai_codec import Dialect, OpenAICodec

PUBLISHED = TypeAdapter(RealtimeClientEvent)
FULL = SessionSettings(
    instructions="Be brief.",
    voice="alloy",
    turn_detection=ServerVad(0.5, 300, 200),
    transcription=Transcription("whisper-1", "en", "names"),
    input_format=AudioFormat("pcmu", 8_000),
    output_format=AudioFormat("pcma", 8_000),
    noise_reduction=NoiseReduction("far_field"),
    speed=1.2,
    tools=(ToolSpec("look", "Looks.", {"type": "object", "properties": {}}),),
    tool_choice="required",
    max_output_tokens=500,
    temperature=0.7,
    tracing=Tracing("talk", "g", {"k": "v"}),
)
COMMANDS = [
    commands.UpdateSession(FULL),
    commands.UpdateSession(SessionSettings()),
    commands.UpdateSession(SessionSettings(turn_detection=None, transcription=None, output="text")),
    commands.AppendAudio(b"\x01\x02"),
    commands.CommitAudio(),
    commands.ClearAudio(),
    commands.CreateMessage("i", "user", "hi", "root"),
    commands.CreateMessage("i", "assistant", "hi"),
    commands.ToolResult("c", "{}"),
    commands.SeedCall("c", "look", "{}"),
    commands.SeedResult("c", "{}"),
    commands.RetrieveItem("i"),
    commands.DeleteItem("i"),
    commands.TruncateItem("i", 100),
    commands.CreateResponse(),
    commands.CreateResponse("Hi.", out_of_band=True, metadata={"turn": "1"}),
    commands.CreateResponse("Hi.", output="text"),
    commands.CreateResponse("Hi.", output="audio"),
    commands.CancelResponse("r"),
    commands.ClearOutput(),
]


def codec(dialect: Dialect = BETA) -> OpenAICodec:
    return OpenAICodec("wss://old.invalid/v1/realtime?model=m", Secret("sk-test"), dialect)


def sent(command: commands.Command, dialect: Dialect = BETA) -> dict:
    (frame,) = codec(dialect).encode(command)
    return json.loads(frame)


def undeclared(value: object) -> list[object]:
    """Return every field that the published types do not have."""
    if isinstance(value, BaseModel):
        return [*(value.model_extra or ()), *undeclared(list(dict(value).values()))]
    if isinstance(value, list):
        return [found for inner in value for found in undeclared(inner)]
    return []


def test_all_commands_are_covered():
    without = {commands.AnswerApproval}
    assert {type(command) for command in COMMANDS} | without == set(get_args(commands.Command))
    assert not BETA.capabilities.remote_tools
    assert codec().encode(commands.AnswerApproval("mcpr_1", True)) == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: type(c).__name__)
def test_the_beta_types_accept_it(command):
    message = sent(command)
    assert message["type"] in {json.loads(f)["type"] for f in frames("openai_beta_client")}
    if not isinstance(command, commands.CancelResponse | commands.ClearOutput):
        assert not undeclared(PUBLISHED.validate_python(message))


def test_the_whole_session():
    assert sent(commands.UpdateSession(FULL))["session"] == {
        "modalities": ["audio", "text"],
        "instructions": "Be brief.",
        "voice": "alloy",
        "input_audio_format": "g711_ulaw",
        "output_audio_format": "g711_alaw",
        "input_audio_transcription": {"model": "whisper-1", "prompt": "names", "language": "en"},
        "input_audio_noise_reduction": {"type": "far_field"},
        "turn_detection": {
            "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300,
            "silence_duration_ms": 200, "create_response": True, "interrupt_response": True,
        },
        "tools": [{"type": "function", "name": "look", "description": "Looks.",
                   "parameters": {"type": "object", "properties": {}}}],
        "tool_choice": "required",
        "max_response_output_tokens": 500,
        "speed": 1.2,
        "temperature": 0.7,
        "tracing": {"workflow_name": "talk", "group_id": "g", "metadata": {"k": "v"}},
    }  # fmt: skip
    assert not codec().unsupported(FULL)


def test_an_update_has_no_type_and_contains_the_changes():
    writer = codec()
    writer.encode(commands.UpdateSession(FULL))
    (frame,) = writer.encode(
        commands.UpdateSession(SessionSettings(voice="alloy", tools=FULL.tools))
    )
    session = json.loads(frame)["session"]
    assert "type" not in session
    assert "tools" not in session
    assert (session["instructions"], session["max_response_output_tokens"]) == ("", "inf")


def test_a_transcription_session():
    settings = SessionSettings(
        purpose="transcription",
        transcription=Transcription("gpt-4o-transcribe", "en"),
        include=("item.input_audio_transcription.logprobs",),
    )
    message = sent(commands.UpdateSession(settings))
    assert message["type"] == "transcription_session.update"
    assert not undeclared(TranscriptionSessionUpdate.model_validate(message))
    assert not codec().unsupported(settings)


def test_the_header_of_the_beta():
    headers = codec().endpoint().headers
    assert {name: value.reveal() for name, value in headers.items()} == {
        "Authorization": "Bearer sk-test", "OpenAI-Beta": "realtime=v1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (SessionSettings(parallel_tool_calls=True), "parallel_tool_calls"),
        (SessionSettings(reasoning_effort="low"), "reasoning_effort"),
        (SessionSettings(truncation=RetentionRatio(0.5)), "truncation"),
        (SessionSettings(prompt=StoredPrompt("p")), "prompt"),
        (SessionSettings(include=("item.input_audio_transcription.logprobs",)), "include"),
        (SessionSettings(tool_choice=McpChoice("docs")), "tool_choice of an MCP server"),
        (SessionSettings(transcription=Transcription(keywords=("x",))), "transcription.keywords"),
        (SessionSettings(transcription=Transcription(languages=("a", "b"))), "first one is used"),
        (SessionSettings(turn_detection=ServerVad(idle_timeout_ms=5000)), "idle_timeout_ms"),
        (SessionSettings(noise_reduction=NoiseReduction(strength=2)), "noise_reduction.strength"),
        (SessionSettings(input_format=AudioFormat(rate=16_000)), "input_format of 16000 Hz"),
    ],
)
def test_unsupported_settings_are_reported(settings, name):
    (sentence,) = codec().unsupported(settings)
    assert sentence.startswith("openai has no setting ")
    assert name in sentence
    PUBLISHED.validate_python(sent(commands.UpdateSession(settings)))


def test_a_whole_turn_in_beta_names():
    reader = codec()
    events = [e for f in frames("openai_beta_server", "beta-turn") for e in reader.decode(f)]
    kinds = Counter(type(event) for event in events)
    assert kinds[ResponseCreated] == kinds[ResponseDone] == 1
    assert kinds[AudioDelta]
    assert kinds[TextDone]


# ------------------------------------------------------------------------------- Voice Live


def test_the_session_of_voice_live():
    settings = SessionSettings(
        voice="en-US-Ava:DragonHDLatestNeural",
        turn_detection=SemanticVad(),
        noise_reduction=NoiseReduction(),
        reasoning_effort="low",
        input_format=AudioFormat(rate=16_000),
    )
    session = sent(commands.UpdateSession(settings), VOICE_LIVE)["session"]
    assert session["voice"] == {
        "type": "azure-standard", "name": "en-US-Ava:DragonHDLatestNeural",
    }  # fmt: skip
    assert session["turn_detection"] == {
        "type": "azure_semantic_vad", "create_response": True, "interrupt_response": True,
    }  # fmt: skip
    assert session["input_audio_noise_reduction"] == {"type": "azure_deep_noise_suppression"}
    assert (session["reasoning_effort"], session["input_audio_sampling_rate"]) == ("low", 16_000)
    assert not codec(VOICE_LIVE).unsupported(settings)
    plain = sent(commands.UpdateSession(SessionSettings(voice="alloy")), VOICE_LIVE)["session"]
    assert plain["voice"] == "alloy"
    (sentence,) = codec(VOICE_LIVE).unsupported(SessionSettings(turn_detection=SemanticVad("low")))
    assert sentence.startswith("azure has no setting turn_detection.eagerness")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Transcription("azure-speech", languages=("en", "de"), keywords=("Neo QLED",)),
         {"model": "azure-speech", "language": "en,de", "phrase_list": ["Neo QLED"]}),
        (Transcription("azure-speech"), {"model": "azure-speech"}),
        (Transcription("mai-transcribe", language="de-DE"),
         {"model": "mai-transcribe", "language": "de-DE"}),
        (Transcription("mai-transcribe-1"), {"model": "mai-transcribe-1"}),
        (Transcription("whisper-1", prompt="x"), {"model": "whisper-1", "prompt": "x"}),
        (None, None),
    ],
)  # fmt: skip
def test_transcribers_of_voice_live(wanted, expected):
    settings = SessionSettings(transcription=wanted, turn_detection=None)
    session = sent(commands.UpdateSession(settings), VOICE_LIVE)["session"]
    assert session["input_audio_transcription"] == expected
    assert not codec(VOICE_LIVE).unsupported(settings)


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Transcription("mai-transcribe", keywords=("a",)), "keywords: only azure-speech uses them"),
        (Transcription(keywords=("a",)), "keywords: only azure-speech uses them"),
        (Transcription("azure-speech", prompt="x"), "transcription.prompt: it is ignored"),
        (Transcription("whisper-1", languages=("en", "de")), "the first one is used"),
    ],
)
def test_what_a_transcriber_of_voice_live_does_not_take(wanted, sentence):
    settings = SessionSettings(transcription=wanted, turn_detection=None)
    (said,) = codec(VOICE_LIVE).unsupported(settings)
    assert sentence in said


@pytest.mark.parametrize(
    ("announced", "transcriber"),
    [
        ("gpt-realtime-global-standard", "whisper-1"),
        ("gpt-4o-mini-realtime-preview", "whisper-1"),
        ("gpt-4.1", "azure-speech"),
        ("phi4-mm-realtime", "azure-speech"),
        ("", "whisper-1"),
    ],
)
def test_the_default_transcriber_fits_the_announced_model(announced, transcriber):
    talk = codec(VOICE_LIVE)
    talk.decode(json.dumps({"type": "session.created", "session": {"model": announced}}))
    (frame,) = talk.encode(commands.UpdateSession(SessionSettings()))
    heard = json.loads(frame)["session"]["input_audio_transcription"]
    assert heard == {"model": transcriber}


def test_a_recorded_voice_live_socket():
    recordings = list(RECORDINGS.joinpath("azure_voice_live_ws").glob("*.yaml"))
    if not recordings:
        pytest.skip(NO_RECORDINGS)
    (recording,) = recordings
    talk = yaml.safe_load(recording.read_text("utf-8"))["interactions"]
    theirs = next(one["data"]["session"] for one in talk if one["direction"] == "sent")
    settings = SessionSettings(instructions="x", output="text", turn_detection=ServerVad())
    ours = sent(commands.UpdateSession(settings), VOICE_LIVE)["session"]
    assert {*theirs} <= {*ours, "tool_choice"}
    for name in ("modalities", "input_audio_format", "turn_detection", "input_audio_sampling_rate"):
        assert ours[name] == theirs[name]
    reader = codec(VOICE_LIVE)
    frames_in = [one["data"] for one in talk if one["direction"] == "received"]
    events = [e for f in frames_in for e in reader.decode(json.dumps(f))]
    kinds = Counter(type(event) for event in events)
    assert kinds[ResponseCreated] == kinds[ResponseDone] == 2
    assert kinds[ToolCallReady] == 1
    assert kinds[ProviderError] == 0
    said = [e for e in events if isinstance(e, TextDone)]
    assert said[-1].text


def test_audio_frames_are_the_same_in_beta_and_ga():
    reader = codec()
    for name in ("response.audio.delta", "response.output_audio.delta"):
        delta = b64encode(b"good").decode()
        frame = {"type": name, "item_id": "i", "delta": delta}
        assert reader.decode(json.dumps(frame)) == [AudioDelta("", "i", b"good")]


@pytest.mark.parametrize("wire", ["beta", "voice-live"])
@pytest.mark.parametrize(
    ("output", "modalities"), [("text", ["text"]), ("audio", ["audio", "text"])]
)
def test_an_out_of_band_response_has_the_modalities_of_the_beta(wire, output, modalities):
    writer = catalog.codec_of("azure/d", environ={}, wire=wire)
    writer.opening(SessionSettings())
    asked = commands.CreateResponse("Sum up.", out_of_band=True, output=output)
    (frame,) = [json.loads(each) for each in writer.encode(asked)]
    assert frame["response"]["modalities"] == modalities
    assert frame["response"]["conversation"] == "none"
    assert "output_modalities" not in frame["response"]
