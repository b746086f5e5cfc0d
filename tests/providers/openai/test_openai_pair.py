"""Both halves of the wire in memory: the codec with the embedded server's protocol."""

from dataclasses import replace

import pytest

from voicechat.core.commands import (
    AppendAudio,
    CancelResponse,
    Command,
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
    ItemDeleted,
    ItemKind,
    ItemRetrieved,
    ItemTruncated,
    OutputItemDone,
    ProviderError,
    ResponseCreated,
    ResponseDone,
    ResponseStatus,
    SessionCreated,
    SessionUpdated,
    SpeechStarted,
    SpeechStopped,
    TextDelta,
    TextDone,
    ToolCallReady,
    Unmapped,
    UserTranscript,
)
from voicechat.core.settings import (
    NoiseReduction,
    SemanticVad,
    ServerVad,
    SessionSettings,
    ToolSpec,
)
from voicechat.providers.openai.openai_codec import OpenAICodec
from voicechat.server.realtime.protocol_actions import (
    AudioCommitted,
    InputSound,
    ResponseStarted,
    ResponseStopped,
)
from voicechat.server.realtime.server_protocol import ServerProtocol

TEXT = SessionSettings(output="text", turn_detection=None)
SPOKEN = SessionSettings(turn_detection=None)
TOOL = ToolSpec("look", "Looks.", {"type": "object", "properties": {"at": {"type": "integer"}}})
SECOND = b"\x01\x02" * 24_000


class Pair:
    """One connection without a socket."""

    def __init__(self, settings: SessionSettings = TEXT) -> None:
        self.codec = OpenAICodec("ws://localhost/")
        self.server = ServerProtocol("built-in")
        self.actions = []
        self.greeting = self.events()
        self.tell(UpdateSession(settings))
        self.greeting += self.events()

    def tell(self, *commands: Command) -> None:
        for command in commands:
            for frame in self.codec.encode(command):
                self.actions += self.server.receive(frame)

    def events(self) -> list[Event]:
        decoded = [event for frame in self.server.take() for event in self.codec.decode(frame)]
        assert not [e for e in decoded if isinstance(e, Unmapped) and not e.wire_type]
        return [event for event in decoded if not isinstance(event, Unmapped)]

    def did(self, kind):
        """Return the newest action of this kind."""
        return next(a for a in reversed(self.actions) if isinstance(a, kind))


def one(kind, events):
    (event,) = (e for e in events if isinstance(e, kind))
    return event


SETTINGS = [
    TEXT,
    SPOKEN,
    SessionSettings(turn_detection=SemanticVad("low")),
    SessionSettings(turn_detection=ServerVad(0.4, 100, 300, 5000), instructions="Be brief."),
    SessionSettings(tools=(TOOL,), tool_choice="look", max_output_tokens=100, speed=1.2),
    SessionSettings(transcription=None, noise_reduction=NoiseReduction("near_field")),
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_settings_are_applied(settings):
    pair = Pair(settings)
    created, updated = pair.greeting
    assert isinstance(created, SessionCreated)
    assert isinstance(updated, SessionUpdated)
    for other in SETTINGS:
        pair.tell(UpdateSession(other))
        assert pair.events() == [SessionUpdated()]


def test_a_typed_turn():
    pair = Pair()
    pair.tell(CreateMessage("typed_1", "user", "What time is it?"))
    assert [e.done for e in pair.events()] == [False, True]
    pair.tell(CreateResponse())
    reply = pair.did(ResponseStarted).reply
    created = one(ResponseCreated, pair.events())
    assert not created.out_of_band
    reply.write("It is ")
    reply.write("noon.")
    pair.server.finish(reply)
    events = pair.events()
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "It is noon."
    assert one(TextDone, events).text == "It is noon."
    done = one(ResponseDone, events)
    assert (done.response_id, done.status) == (created.response_id, ResponseStatus.COMPLETED)
    assert done.usage is not None


def test_a_spoken_turn():
    pair = Pair(SPOKEN)
    pair.tell(AppendAudio(SECOND))
    assert pair.did(InputSound).sound == SECOND
    pair.tell(CommitAudio())
    committed = one(InputCommitted, pair.events())
    assert pair.did(AudioCommitted).item_id == committed.item_id
    pair.server.transcribed(committed.item_id, "What time is it?")
    heard = pair.events()
    assert [e.text for e in heard if isinstance(e, UserTranscript) and e.final] == [
        "What time is it?"
    ]
    pair.tell(CreateResponse())
    reply = pair.did(ResponseStarted).reply
    reply.word("Noon.", 1000.0)
    reply.sound(SECOND)
    pair.server.finish(reply)
    events = pair.events()
    assert b"".join(e.pcm for e in events if isinstance(e, AudioDelta)) == SECOND
    item_id = one(AudioDone, events).item_id
    assert one(TextDone, events) == TextDone(
        one(ResponseDone, events).response_id, item_id, "Noon.", True
    )
    pair.tell(TruncateItem(item_id, 500))
    assert pair.events() == [ItemTruncated(item_id, 500.0)]


def test_speech_that_was_not_recognized():
    pair = Pair(SPOKEN)
    pair.tell(AppendAudio(SECOND), CommitAudio())
    item_id = one(InputCommitted, pair.events()).item_id
    pair.server.transcription_failed(item_id, "Too loud.")
    heard = one(UserTranscript, pair.events())
    assert (heard.final, heard.error) == (True, "Too loud.")


def test_tool_calls():
    pair = Pair(replace(TEXT, tools=(TOOL,)))
    pair.tell(CreateMessage("m", "user", "Look."), CreateResponse())
    reply = pair.did(ResponseStarted).reply
    reply.call("call_1", "look", '{"at":1}')
    reply.call("call_2", "look", '{"at":2}')
    pair.server.finish(reply)
    ready = [e for e in pair.events() if isinstance(e, ToolCallReady)]
    assert [(e.call_id, e.name, e.arguments) for e in ready] == [
        ("call_1", "look", '{"at":1}'), ("call_2", "look", '{"at":2}'),
    ]  # fmt: skip
    pair.tell(ToolResult("call_1", "{}"), ToolResult("call_2", "{}"), CreateResponse())
    events = pair.events()
    assert [e.kind for e in events if isinstance(e, ItemAdded)] == [ItemKind.TOOL_RESULT] * 4
    assert one(ResponseCreated, events)


def test_a_cancelled_response():
    pair = Pair()
    pair.tell(CreateMessage("m", "user", "Talk."), CreateResponse())
    reply = pair.did(ResponseStarted).reply
    reply.write("I was about to")
    response_id = one(ResponseCreated, pair.events()).response_id
    pair.tell(CancelResponse(response_id))
    assert pair.did(ResponseStopped).reply is reply
    events = pair.events()
    done = one(ResponseDone, events)
    assert (done.status, done.reason) == (ResponseStatus.CANCELLED, "client_cancelled")
    assert not one(OutputItemDone, events).complete


def test_an_out_of_band_response():
    pair = Pair()
    pair.tell(CreateResponse("Say hello.", out_of_band=True, metadata={"purpose": "test"}))
    created = one(ResponseCreated, pair.events())
    assert created.out_of_band
    assert created.metadata["purpose"] == "test"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (CommitAudio(), "input_audio_buffer_commit_empty"),
        (CancelResponse(), "response_cancel_not_active"),
        (DeleteItem("nothing"), "item_delete_invalid_item_id"),
    ],
)
def test_errors_name_the_command(command, code):
    pair = Pair()
    pair.tell(command)
    error = one(ProviderError, pair.events())
    assert (error.command, error.code, error.fatal) == (type(command).__name__, code, False)


def test_items_are_retrieved_and_deleted():
    pair = Pair()
    pair.tell(CreateMessage("m", "user", "Hello."), RetrieveItem("m"), DeleteItem("m"))
    events = pair.events()
    assert one(ItemRetrieved, events).item["id"] == "m"
    assert one(ItemDeleted, events) == ItemDeleted("m")


def test_user_audio_reaches_the_server():
    pair = Pair(SessionSettings(turn_detection=ServerVad()))
    pair.tell(AppendAudio(SECOND * 2))
    pair.server.speech_started(500.0)
    started = one(SpeechStarted, pair.events())
    pair.actions += pair.server.speech_stopped(1500.0, 1900.0)
    events = pair.events()
    assert one(SpeechStopped, events).item_id == started.item_id
    assert one(InputCommitted, events).item_id == started.item_id


def test_the_end_of_a_session_is_fatal():
    pair = Pair()
    pair.server.expire()
    assert one(ProviderError, pair.events()).fatal
