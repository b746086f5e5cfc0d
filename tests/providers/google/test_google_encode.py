"""Frames of each command on Gemini Live, checked against google-genai's own types."""

import json
from dataclasses import replace

import pytest
from google.genai import types
from wire_examples import frames

from voicechat.core.commands import (
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
from voicechat.core.settings import (
    AudioFormat,
    NoiseReduction,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
    Transcription,
)
from voicechat.errors import Secret
from voicechat.providers.codec import unsupported
from voicechat.providers.gateway.gateway_codec import GatewayCodec
from voicechat.providers.google import google_address
from voicechat.providers.google.google_codec import GoogleCodec

HANDS_FREE = SessionSettings(turn_detection=ServerVad(), input_format=AudioFormat(rate=16_000))
MANUAL = SessionSettings(turn_detection=None, input_format=AudioFormat(rate=16_000))
FULL = SessionSettings(
    instructions="Be brief.",
    voice="Puck",
    turn_detection=ServerVad(0.3, 200, 400, interrupt_response=False),
    transcription=Transcription(languages=("en", "de"), keywords=("Oslo",)),
    input_format=AudioFormat(rate=16_000),
    tools=(ToolSpec("look", "Looks.", {"type": "object", "properties": {}}),),
    max_output_tokens=500,
    temperature=0.5,
)
SOUND = AppendAudio(bytes(640))


def codec(settings: SessionSettings | None = HANDS_FREE, model: str = "gemini-3.8-live"):
    made = GoogleCodec("wss://example.invalid", model, Secret("key"), tag="t")
    if settings is not None:
        made.opening(settings)
    return made


def check(frame: str) -> dict:
    """Return the frame as JSON after the package's own class validated each field."""
    said = json.loads(frame)
    assert len(said) == 1
    rest = json.loads(frame)
    if "setup" in rest:
        types.RealtimeInputConfig.model_validate(rest["setup"].pop("realtimeInputConfig", {}))
    types.LiveClientMessage.model_validate(rest)
    return said


def encode(writer: GoogleCodec, *commands: Command) -> list[dict]:
    return [check(frame) for command in commands for frame in writer.encode(command)]


def setup(settings: SessionSettings, model: str = "gemini-3.8-live", resume: str = "") -> dict:
    (frame,) = GoogleCodec("wss://x", model).opening(settings, resume)
    return check(frame)["setup"]


@pytest.mark.parametrize("frame", frames("gemini_client"))
def test_the_examples_pass_the_same_check(frame):
    check(frame)


@pytest.mark.parametrize("settings", [HANDS_FREE, MANUAL, FULL, SessionSettings()])
@pytest.mark.parametrize(
    "model",
    ["gemini-3.8-live", "gemini-3.8-live-extended-thinking", "gemini-live-2.5-flash", "models/x"],
)
def test_every_setup_is_valid(settings, model):
    asked = setup(settings, model)
    assert asked["model"].startswith("models/")
    assert ("historyConfig" in asked) == ("2.5" not in model)
    assert "historyConfig" not in setup(settings, model, "handle")


def test_the_setup_contains_every_setting():
    asked = setup(FULL)
    assert asked["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}},
        "temperature": 0.5,
        "maxOutputTokens": 500,
    }
    assert asked["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert asked["realtimeInputConfig"] == {
        "automaticActivityDetection": {
            "disabled": False,
            "startOfSpeechSensitivity": "START_SENSITIVITY_HIGH",
            "prefixPaddingMs": 200,
            "silenceDurationMs": 400,
        },
        "activityHandling": "NO_INTERRUPTION",
    }
    assert asked["inputAudioTranscription"] == {
        "languageCodes": ["en", "de"], "customVocabulary": ["Oslo"],
    }  # fmt: skip
    (tools,) = asked["tools"]
    assert tools["functionDeclarations"][0]["behavior"] == "BLOCKING"
    manual = setup(MANUAL)["realtimeInputConfig"]
    assert manual == {"automaticActivityDetection": {"disabled": True}}


def test_setups_depend_on_the_model():
    thinks = setup(FULL, "gemini-3.8-live-extended-thinking")
    assert thinks["tools"][0]["functionDeclarations"][0]["behavior"] == "NON_BLOCKING"
    assert thinks["generationConfig"]["thinkingConfig"] == {"thinkingLevel": "LOW"}
    text = SessionSettings(output="text")
    assert setup(text)["generationConfig"]["responseModalities"] == ["AUDIO"]
    older = GoogleCodec("wss://x", "gemini-live-2.5-flash-preview")
    assert older.capabilities.text_output
    asked = setup(text, "gemini-live-2.5-flash-preview")
    assert asked["generationConfig"]["responseModalities"] == ["TEXT"]
    assert "outputAudioTranscription" not in asked


def test_unsupported_settings_are_named():
    odd = SessionSettings(
        noise_reduction=NoiseReduction(),
        speed=2.0,
        tool_choice="required",
        turn_detection=ServerVad(idle_timeout_ms=5000, create_response=False),
        transcription=Transcription(model="m"),
    )
    said = unsupported(codec(), odd)
    for name in ("noise_reduction", "speed", "tool_choice", "transcription.model", "idle_timeout"):
        assert [line for line in said if name in line and "google" in line]
    assert unsupported(codec(), HANDS_FREE) == []


def test_every_command_has_frames_or_none():
    for command in (
        RetrieveItem("i"), DeleteItem("i"), TruncateItem("i", 5), CancelResponse(),
        ClearOutput(), ClearAudio(), CreateResponse(out_of_band=True),
    ):  # fmt: skip
        assert encode(codec(), command) == []
    capabilities = codec().capabilities
    flags = (
        capabilities.retrieve,
        capabilities.delete,
        capabilities.truncate,
        capabilities.cancel,
        capabilities.clear_output,
        capabilities.out_of_band,
    )
    assert not any(flags)


# ------------------------------------------------------------------------------- sound


def test_audio_is_labelled_with_its_rate():
    _, frame = encode(codec(), SOUND)
    assert frame["realtimeInput"]["audio"]["mimeType"] == "audio/pcm;rate=16000"
    other = codec(SessionSettings(turn_detection=ServerVad()))
    assert encode(other, SOUND)[-1]["realtimeInput"]["audio"]["mimeType"].endswith("=24000")


def test_a_manual_turn_has_start_and_end():
    writer = codec(MANUAL)
    said = encode(writer, ClearAudio(), *[SOUND] * 10, CommitAudio())
    live = [frame["realtimeInput"] for frame in said[1:]]
    assert said[0] == {"clientContent": {"turnComplete": True}}
    assert [next(iter(frame)) for frame in live] == [
        "activityStart", *["audio"] * 3, "activityEnd",
    ]  # fmt: skip
    again = encode(writer, ClearAudio(), *[SOUND] * 8, CommitAudio())
    assert next(iter(again[0]["realtimeInput"])) == "activityStart"


def test_a_short_turn_sends_no_frames():
    writer = codec(MANUAL)
    encode(writer, CommitAudio())
    assert encode(writer, ClearAudio(), *[SOUND] * 5, ClearAudio()) == []


def test_a_cleared_turn_that_was_sent_is_ended():
    writer = codec(MANUAL)
    encode(writer, *[SOUND] * 20)
    assert encode(writer, ClearAudio()) == [{"realtimeInput": {"activityEnd": {}}}]


def test_a_hands_free_commit_flushes_the_audio():
    assert encode(codec(), CommitAudio())[-1] == {"realtimeInput": {"audioStreamEnd": True}}


# ------------------------------------------------------------------------------- messages


def test_a_typed_line_is_live_text_and_needs_no_request():
    said = encode(codec(), CreateMessage("i", "user", "hi"), CreateResponse())
    assert said == [
        {"clientContent": {"turnComplete": True}},
        {"realtimeInput": {"text": "hi"}},
    ]


def test_history_is_sent_first_without_a_response():
    writer = codec()
    said = encode(
        writer,
        CreateMessage("a", "user", "hi"),
        CreateMessage("b", "assistant", "hello"),
        CreateMessage("c", "user", "again"),
        CreateResponse(),
        CreateMessage("d", "user", "more"),
        CreateResponse(),
    )
    roles = [frame["clientContent"]["turns"][0]["role"] for frame in said[:2]]
    assert roles == ["user", "model"]
    assert not any(frame["clientContent"]["turnComplete"] for frame in said[:2])
    assert said[2:] == [
        {"clientContent": {"turnComplete": True}},
        {"realtimeInput": {"text": "again"}},
        {"realtimeInput": {"text": "more"}},
    ]


def test_an_earlier_call_is_sent_as_text():
    call, result = SeedCall("c", "look", "{}"), SeedResult("c", "a cat")
    (frame,) = encode(codec(), call, result)
    assert "look was called with {}: a cat" in json.dumps(frame)
    other = GatewayCodec("wss://x", "openai/m")
    assert other.encode(result) == other.encode(call) == [], "half a call is not told"
    (text,) = other.encode(result)
    assert "a cat" in str(text)


def test_history_ends_before_audio_starts():
    said = encode(codec(), CreateMessage("a", "user", "hi"), SOUND)
    assert [next(iter(frame)) for frame in said] == [
        "clientContent", "clientContent", "realtimeInput",
    ]  # fmt: skip


def test_older_models_get_text_as_content():
    writer = codec(model="gemini-live-2.5-flash")
    (frame,) = encode(writer, CreateMessage("i", "user", "hi"), CreateResponse())
    assert frame["clientContent"]["turnComplete"] is True


def test_a_response_without_new_input_is_requested_once():
    writer = codec(model="gemini-live-2.5-flash")
    said = encode(writer, CreateResponse(), CreateResponse())
    assert said == [{"clientContent": {"turnComplete": True}}]


# ------------------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("output", "failed", "response"),
    [
        ('{"temperature": 4}', False, {"output": {"temperature": 4}}),
        ("[1, null]", False, {"output": [1, None]}),
        ("null", False, {"output": None}),
        ("plain", False, {"output": "plain"}),
        ("", False, {"output": ""}),
        ("1e999", False, {"output": "1e999"}),
        ("[" * 5000, False, {"output": "[" * 5000}),
        ('{"error": "no"}', True, {"error": "no"}),
        ("broke", True, {"error": "broke"}),
    ],
)
def test_a_tool_result_is_an_object(output, failed, response):
    writer = codec(None)
    (frame,) = encode(writer, ToolResult("c", output, "look", failed))
    (answer,) = frame["toolResponse"]["functionResponses"]
    assert answer == {"id": "c", "name": "look", "response": response}
    assert encode(writer, CreateResponse()) == [], "it is answered by itself"


# ------------------------------------------------------------------------------- settings


def test_changeable_settings_are_updated():
    writer = codec(FULL)
    assert encode(writer, UpdateSession(FULL)) == []
    assert not writer.stale
    (frame,) = encode(writer, UpdateSession(replace(FULL, instructions="Be long.")))
    changed = {"systemInstruction": {"parts": [{"text": "Be long."}]}}
    assert frame == {"contextUpdate": changed}
    (frame,) = encode(writer, UpdateSession(replace(FULL, instructions="Be long.", tools=())))
    assert frame == {"contextUpdate": {"tools": {"tools": []}}}
    assert not writer.stale
    assert encode(writer, UpdateSession(replace(FULL, turn_detection=None)))
    assert writer.stale, "turn detection holds as long as the connection"


def test_semantic_detection_uses_the_models_own():
    asked = setup(SessionSettings(turn_detection=SemanticVad("low")))
    found = asked["realtimeInputConfig"]["automaticActivityDetection"]
    assert found == {"disabled": False, "endOfSpeechSensitivity": "END_SENSITIVITY_LOW"}


# ------------------------------------------------------------------------------- dialling


def test_key_and_token_have_separate_headers():
    endpoint = codec().endpoint()
    assert endpoint.headers == {"x-goog-api-key": Secret("key")}
    assert not endpoint.subprotocols
    token = GoogleCodec("wss://x", "m", Secret("auth_tokens/abc")).endpoint()
    assert token.headers == {"Authorization": Secret("Token auth_tokens/abc")}
    assert google_address.address("wss://h").endswith(
        "v1beta.GenerativeService.BidiGenerateContent"
    )
    assert google_address.address("wss://h", token=True).endswith(
        "v1alpha.GenerativeService.BidiGenerateContentConstrained"
    )
