"""The AI Gateway's normalized events, both ways."""

import json

import pytest
from wire_examples import frames

from voicechat.core.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    Command,
    CommandName,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    RetrieveItem,
    ToolResult,
    TruncateItem,
    UpdateSession,
)
from voicechat.core.events import (
    AudioDelta,
    AudioDone,
    Event,
    InputCommitted,
    ItemAdded,
    OutputItemAdded,
    OutputItemDone,
    ProviderError,
    ResponseCreated,
    ResponseDone,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolArgumentsDelta,
    ToolCallReady,
    Unmapped,
    UsageReported,
    UserTranscript,
)
from voicechat.core.settings import (
    AudioFormat,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
    Transcription,
)
from voicechat.errors import Secret, UsageError
from voicechat.providers import catalog
from voicechat.providers.codec import unsupported
from voicechat.providers.gateway.gateway_address import address
from voicechat.providers.gateway.gateway_codec import GatewayCodec
from voicechat.providers.gateway.gateway_events import KNOWN_UNMAPPED, TABLE
from voicechat.providers.gateway.normalized_config import config_of, settings_of
from voicechat.system.dial_target import DialTarget

EXPECTED_EVENTS = {
    "session-created": SessionCreated,
    "session-updated": SessionUpdated,
    "speech-started": SpeechStarted,
    "speech-stopped": SpeechStopped,
    "audio-committed": InputCommitted,
    "conversation-item-added": ItemAdded,
    "input-transcription-completed": UserTranscript,
    "response-created": ResponseCreated,
    "response-done": ResponseDone,
    "output-item-added": OutputItemAdded,
    "output-item-done": OutputItemDone,
    "content-part-added": Unmapped,
    "content-part-done": Unmapped,
    "audio-delta": AudioDelta,
    "audio-done": AudioDone,
    "audio-transcript-delta": TextDelta,
    "audio-transcript-done": TextDone,
    "text-delta": TextDelta,
    "text-done": TextDone,
    "function-call-arguments-delta": ToolArgumentsDelta,
    "function-call-arguments-done": ToolCallReady,
    "error": ProviderError,
    "custom": Unmapped,
    "session-started": Unmapped,
    "session-closed": Unmapped,
    "session-usage": Unmapped,
    "audio-chunk": Unmapped,
    "transcript-fragment": Unmapped,
    "delegation-created": Unmapped,
    "command-acknowledged": Unmapped,
}


def codec(model: str = "openai/gpt-realtime-2.1") -> GatewayCodec:
    return GatewayCodec(address("wss://example.invalid", model), model, Secret("key"))


def decode(reader: GatewayCodec, *said: dict) -> list[Event]:
    return [event for frame in said for event in reader.decode(json.dumps(frame))]


def encode(writer: GatewayCodec, *commands: Command) -> list[dict]:
    return [json.loads(frame) for command in commands for frame in writer.encode(command)]


def said(kind: str, item: str = "i", **fields: object) -> dict:
    return {"type": kind, "responseId": "r", "itemId": item, **fields, "raw": {}}


def test_the_table_names_all_30_events():
    assert len(EXPECTED_EVENTS) == 30
    assert set(EXPECTED_EVENTS) == {json.loads(f)["type"] for f in frames("gateway_server")}
    assert {k for k, e in EXPECTED_EVENTS.items() if e is Unmapped} == {
        *KNOWN_UNMAPPED, "custom",
    }  # fmt: skip
    assert TABLE.keys().isdisjoint(KNOWN_UNMAPPED)


@pytest.mark.parametrize("frame", frames("gateway_server"))
def test_each_event(frame):
    kind = EXPECTED_EVENTS[json.loads(frame)["type"]]
    (event, *_) = events = codec().decode(frame)
    if "usage" in frame and kind is Unmapped and "usageMetadata" in frame:
        assert isinstance(event, UsageReported)
    else:
        assert isinstance(events[-1], kind)


def test_an_update_alone_makes_a_session():
    events = decode(codec(), {"type": "session-updated"}, {"type": "session-created"})
    assert events == [SessionCreated(), SessionUpdated(), Unmapped("session-created")]


def test_a_call_through_google_ends_the_response():
    reader = codec("google/gemini-3.8-live")
    call = said("function-call-arguments-done", callId="c", name="f", arguments="{}")
    ready, done = decode(reader, call)
    assert isinstance(ready, ToolCallReady)
    assert done == ResponseDone(ready.response_id)
    (delta,) = decode(reader, said("text-delta", "j", delta="Sunny"))
    assert delta.response_id != ready.response_id
    assert decode(reader, said("response-done", status="completed"))[0].response_id == (
        delta.response_id
    )
    assert reader.encode(CreateResponse()) == [], "it answers without a request"


def test_counted_ids_differ_between_connections():
    delta = said("text-delta", "google-item-1", delta="x")
    events = [decode(codec("google/gemini-3.8-live"), delta)[0] for _ in range(2)]
    assert events[0].item_id != events[1].item_id
    assert events[0].response_id != events[1].response_id


def test_speech_without_an_id_gets_one_and_keeps_it():
    reader = codec("google/gemini-3.8-live")
    started, first, again = decode(
        reader,
        {"type": "speech-started"},
        {"type": "input-transcription-completed", "itemId": "google-input-1", "transcript": "a"},
        {"type": "input-transcription-completed", "itemId": "google-input-1", "transcript": "a b"},
    )
    assert started.item_id
    assert {first.item_id, again.item_id} == {started.item_id}
    assert (first.final, again.final, again.replace) == (True, False, True)


def test_a_session_is_configured_once():
    writer = codec()
    settings = SessionSettings(instructions="Be brief.")
    (frame,) = map(json.loads, writer.opening(settings))
    assert frame["type"] == "session-update"
    assert frame["config"] == config_of(settings)
    assert writer.encode(UpdateSession(settings)) == []
    error = {"type": "error", "message": "bad", "clientEventId": frame["eventId"]}
    assert decode(writer, error) == [ProviderError("bad", command=CommandName.UPDATE_SESSION)]
    assert writer.encode(UpdateSession(SessionSettings()))
    behind = codec("google/gemini-3.8-live")
    behind.opening(settings)
    assert behind.encode(UpdateSession(SessionSettings())) == []
    assert behind.stale


def test_each_command():
    writer = codec()
    kinds = [
        frame["type"]
        for frame in encode(
            writer,
            AppendAudio(b"\0\0"),
            CommitAudio(),
            ClearAudio(),
            CreateMessage("i", "user", "hi"),
            ToolResult("c", "{}", "f"),
            TruncateItem("i", 260),
            CreateResponse("Short.", metadata={"k": "v"}),
            CancelResponse(),
        )
    ]
    assert kinds == [
        "input-audio-append", "input-audio-commit", "input-audio-clear",
        "conversation-item-create", "conversation-item-create", "conversation-item-truncate",
        "response-create", "response-cancel",
    ]  # fmt: skip
    known = {json.loads(frame)["type"] for frame in frames("gateway_client")}
    assert set(kinds) < known
    for nothing in (RetrieveItem("i"), DeleteItem("i"), ClearOutput()):
        assert writer.encode(nothing) == []
    assert writer.encode(CreateResponse(out_of_band=True)) == []
    behind = codec("google/gemini-3.8-live")
    assert behind.encode(TruncateItem("i", 5)) == behind.encode(CancelResponse()) == []


def test_frames_are_those_of_the_examples():
    (example,) = (f for f in map(json.loads, frames("gateway_client")) if "truncate" in f["type"])
    assert encode(codec(), TruncateItem(example["itemId"], 260)) == [example]
    config = json.loads(frames("gateway_client")[0])["config"]
    settings = settings_of(config)
    again = {**config_of(settings), "providerOptions": config["providerOptions"]}
    assert again == config


def test_messages_of_other_roles_are_quoted():
    (frame,) = encode(codec(), CreateMessage("i", "assistant", "hello"))
    assert frame["item"]["role"] == "user"
    assert "hello" in frame["item"]["text"]
    writer = codec("google/gemini-3.8-live")
    told = [CreateMessage("a", "assistant", "hello"), CreateMessage("b", "user", "and?")]
    (frame,) = encode(writer, *told, CreateResponse())
    assert frame["item"]["text"].endswith("and?")


def test_endpoint():
    endpoint = codec().endpoint()
    assert endpoint.url.endswith("/v4/ai/realtime-model?ai-model-id=openai%2Fgpt-realtime-2.1")
    assert endpoint.headers["Authorization"] == Secret("Bearer key")
    assert endpoint.headers["ai-gateway-protocol-version"].reveal() == "0.0.1"
    assert not endpoint.subprotocols


def test_unsupported_settings_are_named():
    said_of = unsupported(codec(), SessionSettings(speed=1.2, turn_detection=SemanticVad("low")))
    assert [name for name in ("speed", "eagerness") if any(name in line for line in said_of)] == [
        "speed", "eagerness",
    ]  # fmt: skip
    assert unsupported(codec(), SessionSettings()) == []


def test_a_configuration_becomes_settings():
    assert settings_of({}) == SessionSettings(transcription=None, turn_detection=ServerVad())
    assert settings_of({"turnDetection": None}).turn_detection is None
    assert settings_of({"turnDetection": {"type": "disabled"}}).turn_detection is None
    full = settings_of(
        {
            "instructions": "",
            "voice": "marin",
            "outputModalities": ["text"],
            "inputAudioFormat": {"type": "audio/pcmu"},
            "inputAudioTranscription": {"model": "m", "language": "en", "prompt": "p"},
            "turnDetection": {"type": "semantic-vad", "threshold": 0.5},
            "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}, 3],
        }
    )
    assert full == SessionSettings(
        instructions="",
        voice="marin",
        output="text",
        turn_detection=SemanticVad(),
        transcription=Transcription("m", "en", "p"),
        input_format=AudioFormat("pcmu", 8_000),
        tools=(ToolSpec("f", "", {"type": "object"}),),
    )


def test_a_session_with_elevenlabs():
    model = "elevenlabs/eleven-realtime-v1-mini"
    talk = GatewayCodec(address("wss://ai-gateway.vercel.sh", model), model, Secret("k"))
    assert talk.endpoint().url.endswith("?ai-model-id=elevenlabs%2Feleven-realtime-v1-mini")
    assert not talk.capabilities.semantic_vad
    assert talk.capabilities.truncate
    settings = SessionSettings(voice="JBFqnCBsd6RMkjVDRZzb", turn_detection=ServerVad())
    (opened,) = map(json.loads, talk.opening(settings))
    assert opened["config"]["voice"] == "JBFqnCBsd6RMkjVDRZzb"
    assert opened["config"]["turnDetection"] == {"type": "server-vad"}
    kinds = [
        json.loads(frame)["type"]
        for command in (CreateMessage("i", "user", "Hi"), CreateResponse(), TruncateItem("a", 5))
        for frame in talk.encode(command)
    ]
    assert kinds == [
        "conversation-item-create", "response-create", "conversation-item-truncate",
    ]  # fmt: skip


def with_team(team: str) -> GatewayCodec:
    keys = {"AI_GATEWAY_API_KEY": Secret("key"), "AI_GATEWAY_TEAM": team}
    made = catalog.codec_of("gateway/openai/m", environ=keys)
    assert isinstance(made, GatewayCodec)
    return made


def test_a_team_is_named_in_a_header_or_with_a_token_in_a_subprotocol():
    assert codec().endpoint().headers.keys() & {"x-vercel-ai-gateway-team"} == set()
    writer = with_team("team_1")
    assert writer.endpoint().headers["x-vercel-ai-gateway-team"] == Secret("team_1")
    writer.redirect(DialTarget("wss://g.example", {}, ("ai-gateway-realtime.v1", Secret("t"))))
    assert writer.endpoint().subprotocols[-1] == "ai-gateway-team.dGVhbV8x"
    with pytest.raises(UsageError, match="AI_GATEWAY_TEAM"):
        with_team("a team\r\nX: y")
