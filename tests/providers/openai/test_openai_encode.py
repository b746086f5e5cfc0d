"""Frames of each command on the OpenAI Realtime wire, checked against OpenAI's own types."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import get_args

import pytest
from openai.types.realtime import RealtimeClientEvent
from pydantic import BaseModel, TypeAdapter

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
from voicechat.core.settings import (
    AudioFormat,
    McpChoice,
    McpServer,
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
from voicechat.providers.catalog import local_codec
from voicechat.providers.codec import deferred, unsupported
from voicechat.providers.openai.openai_codec import OpenAICodec

PUBLISHED = TypeAdapter(RealtimeClientEvent)

FULL = SessionSettings(
    instructions="Be brief.",
    voice="marin",
    turn_detection=ServerVad(0.6, 200, 400, 6000, create_response=False, interrupt_response=False),
    transcription=Transcription("gpt-4o-transcribe", "en", "names"),
    noise_reduction=NoiseReduction("near_field"),
    speed=1.2,
    tools=(ToolSpec("look", "Looks.", {"type": "object", "properties": {}}),),
    tool_choice="look",
    max_output_tokens=500,
)
PLAIN = SessionSettings()

EVERYTHING = SessionSettings(
    voice="voice_custom",
    transcription=Transcription(languages=("en", "de"), keywords=("voicechat",)),
    noise_reduction=NoiseReduction("far_field", 1.5),
    input_format=AudioFormat("pcmu", 8_000),
    output_format=AudioFormat("pcma", 8_000),
    tools=FULL.tools,
    mcp_servers=(
        McpServer("docs", "https://docs.example/mcp", authorization="t-1", allowed_tools=("a",)),
        McpServer("mail", connector="connector_gmail", description="Mail"),
    ),
    tool_choice=McpChoice("docs", "a"),
    parallel_tool_calls=False,
    reasoning_effort="low",
    tracing=Tracing("talk", "group", {"k": "v"}),
    truncation=RetentionRatio(0.7, 8000),
    prompt=StoredPrompt("pmpt_1", "2", {"city": "Oslo"}),
    include=("item.input_audio_transcription.logprobs",),
)
WRITTEN_DOWN = SessionSettings(
    purpose="transcription",
    turn_detection=ServerVad(),
    transcription=Transcription("gpt-realtime-whisper", delay="low"),
    include=("item.input_audio_transcription.logprobs",),
)

COMMANDS = {
    "session.update": [
        *map(UpdateSession, (FULL, PLAIN, EVERYTHING, WRITTEN_DOWN)),
        UpdateSession(SessionSettings(tracing="auto", truncation="disabled")),
    ],
    "input_audio_buffer.append": [AppendAudio(b"\x01\x02")],
    "input_audio_buffer.commit": [CommitAudio()],
    "input_audio_buffer.clear": [ClearAudio()],
    "conversation.item.create": [
        CreateMessage("i", "user", "hi", "root"),
        CreateMessage("i", "assistant", "hi"),
        CreateMessage("i", "system", "hi"),
        ToolResult("c", "{}"),
        SeedCall("c", "look", "{}"),
        SeedResult("c", "{}"),
        AnswerApproval("mcpr_kNkR8Dci0QFIf2m5g2CtC", True),
        AnswerApproval("mcpr_kNkR8Dci0QFIf2m5g2CtC", False, "Not now."),
    ],
    "conversation.item.retrieve": [RetrieveItem("i")],
    "conversation.item.delete": [DeleteItem("i")],
    "conversation.item.truncate": [TruncateItem("i", 100)],
    "response.create": [
        CreateResponse(),
        CreateResponse("Say hello.", out_of_band=True, metadata={"turn": "1"}),
    ],
    "response.cancel": [CancelResponse(), CancelResponse("r")],
    "output_audio_buffer.clear": [ClearOutput()],
}


def codec() -> OpenAICodec:
    return OpenAICodec("wss://example.invalid/v1/realtime?model=m", Secret("sk-test"))


def encode(*commands: Command) -> list[dict]:
    """Return the messages of these commands on one connection."""
    writer = codec()
    return [json.loads(frame) for command in commands for frame in writer.encode(command)]


def undeclared(value: object) -> Iterator[object]:
    """Return every field that the published types do not have."""
    if isinstance(value, BaseModel):
        yield from value.model_extra or ()
        value = list(dict(value).values())
    if isinstance(value, list):
        for inner in value:
            yield from undeclared(inner)


def test_all_client_events_and_all_commands_are_covered():
    kinds = {type(command) for commands in COMMANDS.values() for command in commands}
    assert len(COMMANDS) == 11
    assert kinds == set(get_args(Command))


@pytest.mark.parametrize(
    ("wire_type", "command"),
    [(wire_type, command) for wire_type, commands in COMMANDS.items() for command in commands],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_openai_types_accept_it(wire_type, command):
    (message,) = encode(command)
    event = PUBLISHED.validate_python(message)
    assert message["type"] == event.type == wire_type
    assert not list(undeclared(event))


def test_event_ids_name_the_command_and_are_unique():
    sent = encode(CommitAudio(), CreateResponse(), CommitAudio())
    assert [m["event_id"] for m in sent] == ["CommitAudio-1", "CreateResponse-2", "CommitAudio-3"]


def test_the_key_is_in_a_header_only():
    endpoint = codec().endpoint()
    assert endpoint.url == "wss://example.invalid/v1/realtime?model=m"
    assert endpoint.headers["Authorization"].reveal() == "Bearer sk-test"
    assert "sk-test" not in repr(endpoint) + repr(vars(codec()))
    assert OpenAICodec("ws://localhost/").endpoint().headers == {}


def test_no_frame_is_sent_before_the_server_is_ready():
    assert codec().opening(FULL) == []


def test_a_full_session():
    (sent,) = encode(UpdateSession(FULL))
    assert sent["session"] == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "instructions": "Be brief.",
        "tool_choice": {"type": "function", "name": "look"},
        "max_output_tokens": 500,
        "tools": [
            {
                "type": "function",
                "name": "look",
                "description": "Looks.",
                "parameters": {"type": "object", "properties": {}},
            }
        ],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "noise_reduction": {"type": "near_field"},
                "transcription": {
                    "model": "gpt-4o-transcribe",
                    "language": "en",
                    "prompt": "names",
                },
                "turn_detection": {
                    "type": "server_vad",
                    "threshold": 0.6,
                    "prefix_padding_ms": 200,
                    "silence_duration_ms": 400,
                    "idle_timeout_ms": 6000,
                    "create_response": False,
                    "interrupt_response": False,
                },
            },
            "output": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "voice": "marin",
                "speed": 1.2,
            },
        },
    }


def session_of(settings: SessionSettings) -> dict:
    return encode(UpdateSession(settings))[0]["session"]


def test_unset_settings_are_left_out():
    session = session_of(PLAIN)
    assert set(session) == {"type", "output_modalities", "audio", "tools"}
    assert set(session["audio"]["output"]) == {"format"}
    assert session["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"


def test_off_is_sent_as_null():
    heard = session_of(SessionSettings(turn_detection=None, transcription=None))["audio"]["input"]
    assert heard["turn_detection"] is None
    assert heard["transcription"] is None


@pytest.mark.parametrize(
    ("wanted", "written"),
    [
        (ServerVad(), {"type": "server_vad"}),
        (SemanticVad("low"), {"type": "semantic_vad", "eagerness": "low"}),
    ],
)
def test_turn_detection(wanted, written):
    heard = session_of(SessionSettings(turn_detection=wanted))["audio"]["input"]
    reply = {"create_response": True, "interrupt_response": True}
    assert heard["turn_detection"] == {**written, **reply}


def test_languages_use_the_field_of_the_transcriber():
    heard = session_of(SessionSettings(transcription=Transcription(language="de")))
    assert heard["audio"]["input"]["transcription"] == {
        "model": "gpt-transcribe",
        "languages": ["de"],
    }


def test_text_output_has_no_audio_format():
    session = session_of(SessionSettings(output="text", voice="marin"))
    assert session["output_modalities"] == ["text"]
    assert "output" not in session["audio"]


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tool_choice(choice):
    assert session_of(SessionSettings(tool_choice=choice))["tool_choice"] == choice


def test_an_update_contains_only_the_changes():
    hands_free, by_key = PLAIN, SessionSettings(turn_detection=None)
    sent = [
        message["session"]
        for message in encode(*map(UpdateSession, (hands_free, by_key, by_key, hands_free)))
    ]
    assert sent[1] == {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    assert sent[2] == {"type": "realtime"}
    assert sent[3]["audio"]["input"]["turn_detection"]["type"] == "semantic_vad"


def test_a_removed_setting_is_reset():
    back = encode(UpdateSession(FULL), UpdateSession(PLAIN))[1]["session"]
    assert (back["instructions"], back["tool_choice"]) == ("", "auto")
    assert (back["tools"], back["max_output_tokens"]) == ([], "inf")
    assert back["audio"]["input"]["noise_reduction"] is None
    assert back["audio"]["output"] == {"speed": 1.0}


def test_after_a_refused_update_the_whole_session_is_sent():
    writer = codec()
    (first,) = writer.encode(UpdateSession(FULL))
    at_fault = json.loads(first)["event_id"]
    writer.decode(json.dumps({"type": "error", "error": {"event_id": at_fault}}))
    again = json.loads(writer.encode(UpdateSession(FULL))[0])
    assert again["session"] == json.loads(first)["session"]


def test_g711_input():
    writer = codec()
    writer.encode(UpdateSession(SessionSettings(input_format=AudioFormat("pcma", 8000))))
    (frame,) = writer.encode(AppendAudio(b"\x08\x00\xf8\xff"))
    assert json.loads(frame)["audio"] == "1VU="


def test_unpaired_surrogates_never_reach_the_wire():
    (frame,) = codec().encode(ToolResult("c", 'a\ud83d "b"'))
    assert json.loads(frame)["item"]["output"] == 'a\ufffd "b"'
    (frame,) = codec().encode(CreateMessage("i", "user", "\ud83d\ude00"))
    assert json.loads(frame)["item"]["content"][0]["text"] == "😀"
    tool = ToolSpec("t", "d", {"enum": ["\udc00"]})
    (frame,) = codec().encode(UpdateSession(SessionSettings(tools=(tool,))))
    assert json.loads(frame)["session"]["tools"][0]["parameters"] == {"enum": ["\ufffd"]}


# ------------------------------------------------------------------------------- settings


def test_every_other_setting_reaches_the_wire():
    session = session_of(EVERYTHING)
    heard, spoken = session["audio"]["input"], session["audio"]["output"]
    assert heard == {
        "format": {"type": "audio/pcmu"},
        "transcription": {
            "model": "gpt-transcribe", "languages": ["en", "de"], "keywords": ["voicechat"],
        },
        "turn_detection": {
            "type": "semantic_vad", "eagerness": "auto",
            "create_response": True, "interrupt_response": True,
        },
        "noise_reduction": {"type": "far_field", "strength": 1.5},
    }  # fmt: skip
    assert spoken == {"format": {"type": "audio/pcma"}, "voice": {"id": "voice_custom"}}
    assert session["tools"][1:] == [
        {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp",
         "authorization": "t-1", "allowed_tools": ["a"], "require_approval": "never"},
        {"type": "mcp", "server_label": "mail", "connector_id": "connector_gmail",
         "server_description": "Mail", "require_approval": "never"},
    ]  # fmt: skip
    rest = {name: session[name] for name in session.keys() - {"audio", "tools"}}
    assert rest == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "tool_choice": {"type": "mcp", "server_label": "docs", "name": "a"},
        "parallel_tool_calls": False,
        "reasoning": {"effort": "low"},
        "tracing": {"workflow_name": "talk", "group_id": "group", "metadata": {"k": "v"}},
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.7,
                       "token_limits": {"post_instructions": 8000}},
        "prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Oslo"}},
        "include": ["item.input_audio_transcription.logprobs"],
    }  # fmt: skip
    assert not codec().unsupported(EVERYTHING)


def test_a_transcription_session_has_its_own_type():
    assert session_of(replace(WRITTEN_DOWN, voice="marin", instructions="x")) == {
        "type": "transcription",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24000},
                "transcription": {"model": "gpt-realtime-whisper", "delay": "low"},
                "turn_detection": None,
            }
        },
        "include": ["item.input_audio_transcription.logprobs"],
    }


def test_secrets_of_mcp_servers_are_not_printed():
    assert "t-1" not in repr(EVERYTHING)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (SessionSettings(temperature=0.7), "temperature"),
        (SessionSettings(reasoning_effort="none"), "reasoning_effort none"),
        (SessionSettings(transcription=Transcription("whisper-1", languages=("a", "b"))),
         "transcription.languages with whisper-1"),
        (SessionSettings(transcription=Transcription("whisper-1", keywords=("a",))),
         "transcription.keywords with whisper-1"),
        (SessionSettings(transcription=Transcription("gpt-realtime-whisper", prompt="a")),
         "transcription.prompt with gpt-realtime-whisper"),
        (SessionSettings(transcription=Transcription(delay="low")), "transcription.delay"),
        (WRITTEN_DOWN, "turn_detection with gpt-realtime-whisper"),
        (SessionSettings(input_format=AudioFormat(rate=16_000)), "input_format of 16000 Hz"),
        (SessionSettings(output_format=AudioFormat("pcma")), "output_format of 24000 Hz"),
    ],
)  # fmt: skip
def test_settings_missing_on_the_wire_are_reported(settings, name):
    (sentence,) = codec().unsupported(settings)
    assert sentence.startswith(f"openai has no setting {name}")
    assert unsupported(codec(), settings) == [sentence]


def test_the_embedded_voice_gets_no_setting_it_refuses():
    local = local_codec("ws://127.0.0.1:1/v1/realtime", Secret("t"))
    told = local.unsupported(EVERYTHING)
    assert all(sentence.startswith("local has no setting ") for sentence in told)
    for name in ("mcp_servers", "prompt", "truncation", "transcription.keywords"):
        assert any(f" {name}:" in sentence for sentence in told)
    assert local.unsupported(PLAIN) == []
    (frame,) = local.encode(UpdateSession(EVERYTHING))
    session = json.loads(frame)["session"]
    assert "prompt" not in session
    assert [tool["type"] for tool in session["tools"]] == ["function"]


@pytest.mark.parametrize("settings", [FULL, PLAIN, EVERYTHING])
def test_supported_settings_are_not_reported(settings):
    assert codec().unsupported(settings) == []


def test_a_codec_without_reports_supports_everything():
    class Quiet:
        """A codec without the optional methods."""

    assert unsupported(Quiet(), SessionSettings(temperature=1)) == []


# ------------------------------------------------------------------------------- later

SOUND = '{"type":"response.output_audio.delta","item_id":"i","delta":"AAAA"}'


def test_a_voice_can_change_until_audio_was_sent():
    writer = codec()
    marin, cedar = SessionSettings(voice="marin"), SessionSettings(voice="cedar", speed=1.1)
    writer.encode(UpdateSession(marin))
    assert writer.deferred(cedar) == []
    writer.decode(SOUND)
    assert writer.deferred(cedar) == ["voice changes with the next session only."]
    assert deferred(writer, cedar) == writer.deferred(cedar)
    (frame,) = writer.encode(UpdateSession(cedar))
    assert json.loads(frame)["session"]["audio"] == {"output": {"speed": 1.1}}
    assert deferred(codec(), cedar) == []


def test_tracing_and_purpose_cannot_change():
    writer = codec()
    writer.encode(UpdateSession(SessionSettings()))
    assert writer.deferred(SessionSettings(tracing="auto")) == []
    writer.encode(UpdateSession(SessionSettings(tracing="auto")))
    (said,) = writer.deferred(SessionSettings())
    assert said.startswith("tracing ")
    (said,) = writer.deferred(SessionSettings(tracing="auto", purpose="transcription"))
    assert said.startswith("purpose ")
