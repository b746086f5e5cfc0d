"""OpenAI Live: frames to events, and commands to frames that the server takes."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from fake_live import strict
from openai.types.live.client_event import ClientEvent
from pydantic import TypeAdapter
from wire_examples import frames

from voicechat.core import commands, events
from voicechat.core.commands import CommandName
from voicechat.core.events import ResponseStatus
from voicechat.core.items import ToolState, Usage
from voicechat.core.settings import AudioFormat, McpServer, SessionSettings, ToolSpec
from voicechat.errors import Secret
from voicechat.providers.codec import closing, deferred, unsupported
from voicechat.providers.openai.duplex_turns import PAUSE_MS, UNSPOKEN_MS, WORDS_PAUSE_MS
from voicechat.providers.openai.live_codec import LiveCodec
from voicechat.providers.openai.live_session import APPEND_BYTES, appendable, live_url
from voicechat.speech import g711

URL = "wss://api.openai.com/v1/live/sessions"
CLIENT = TypeAdapter(ClientEvent)
STEP_MS = 100
VOICE = b"\x00\x10" * 2_400
SILENCE = bytes(4_800)
TOOL = ToolSpec("look", "Look.", {"type": "object", "properties": {}})


class Wire:
    """A codec, and the frames of a server whose clock runs with its track of sound."""

    def __init__(self, settings: SessionSettings | None = None) -> None:
        self.codec = LiveCodec(URL, "gpt-live-1", Secret("k"), tag="t")
        self.clock = 0
        self.opening = self.codec.opening(settings or SessionSettings())
        self.get("session.started", session={"id": "live_1", "expires_at": 1794646800})

    def get(self, kind: str, **fields: object) -> list[events.Event]:
        return self.codec.decode(json.dumps({"type": kind, **fields}))

    def sound(self, pcm: bytes = SILENCE, ms: int = STEP_MS) -> list[events.Event]:
        """Play so many milliseconds of the track."""
        found = []
        for _ in range(ms // STEP_MS):
            times = {"start_ms": self.clock, "end_ms": self.clock + STEP_MS}
            self.clock += STEP_MS
            delta = b64encode(pcm).decode()
            found += self.get("session.output_audio.delta", delta=delta, **times)
        return found

    def spoken(self, text: str) -> list[events.Event]:
        times = {"start_ms": self.clock, "end_ms": self.clock + STEP_MS}
        return self.get("session.output_transcript.delta", delta=text, **times)

    def heard(self, text: str, start_ms: int) -> list[events.Event]:
        times = {"start_ms": start_ms, "end_ms": self.clock}
        return self.get("session.input_transcript.delta", delta=text, **times)

    def backend(self, kind: str, work: str = "d", **fields: object) -> list[events.Event]:
        return self.get("response.event", delegation_id=work, event={"type": kind, **fields})

    def say(self, *said: commands.Command) -> list[dict[str, Any]]:
        """Encode commands; return their frames, which the server must take."""
        found = [json.loads(frame) for command in said for frame in self.codec.encode(command)]
        for frame in found:
            strict(CLIENT.validate_python(frame))
        return found


def kinds(found: list[events.Event]) -> list[str]:
    return [type(event).__name__ for event in found]


# --------------------------------------------------------------------------- turns


def test_silence_is_no_reply_and_voice_is_one() -> None:
    wire = Wire()
    assert wire.sound(ms=5_000) == []
    assert kinds(wire.spoken("Hello")) == ["ResponseCreated", "OutputItemAdded", "TextDelta"]
    assert kinds(wire.sound(VOICE)) == ["AudioDelta"]
    assert kinds(wire.sound(ms=int(PAUSE_MS) - STEP_MS)) == ["AudioDelta"] * 9, "a short pause"
    ended = wire.sound()
    assert kinds(ended) == ["AudioDelta", "AudioDone", "TextDone", "OutputItemDone", "ResponseDone"]
    assert wire.sound(ms=1_000) == []


def test_late_words_belong_to_the_reply_before() -> None:
    wire = Wire()
    wire.sound(VOICE, ms=500)
    first = wire.sound(ms=int(PAUSE_MS))[-1]
    late = wire.get("session.output_transcript.delta", delta=" end.", start_ms=400, end_ms=500)
    assert kinds(late) == ["TextDelta"]
    assert late[0].response_id == first.response_id
    assert kinds(wire.spoken("Next")) == ["ResponseCreated", "OutputItemAdded", "TextDelta"]


def test_the_users_words_are_one_item_until_they_pause() -> None:
    wire = Wire()
    assert kinds(wire.heard("Can you", 0)) == ["SpeechStarted", "UserTranscript"]
    wire.sound(ms=300)
    assert kinds(wire.heard(" help?", 200)) == ["UserTranscript"]
    committed, final = wire.sound(ms=int(WORDS_PAUSE_MS))
    assert isinstance(committed, events.InputCommitted)
    assert (final.text, final.final) == ("Can you help?", True)


def test_a_reply_commits_the_users_turn() -> None:
    wire = Wire()
    wire.heard("Hi", 0)
    assert kinds(wire.spoken("Hello")) == [
        "InputCommitted", "ResponseCreated", "OutputItemAdded", "TextDelta",
    ]  # fmt: skip


def test_a_reply_that_the_user_talks_over_is_interrupted() -> None:
    wire = Wire()
    wire.spoken("Once upon")
    wire.sound(VOICE, ms=1_000)
    wire.sound(ms=200)
    assert kinds(wire.heard("Stop", 900)) == ["SpeechStarted", "UserTranscript"]
    done = wire.sound(ms=1_000)[-1]
    assert (done.status, done.reason) == (ResponseStatus.CANCELLED, "turn_detected")


def test_a_word_of_agreement_does_not_interrupt() -> None:
    wire = Wire()
    wire.sound(VOICE, ms=1_000)
    wire.heard("Mhm", 800)
    wire.sound(VOICE, ms=2_000)
    done = wire.sound(ms=1_000)[-1]
    assert done.status is ResponseStatus.COMPLETED


def test_the_users_words_end_a_reply_that_was_complete() -> None:
    wire = Wire()
    wire.sound(VOICE, ms=500)
    wire.sound(ms=700)
    found = wire.heard("Thanks", 900)
    done = next(event for event in found if isinstance(event, events.ResponseDone))
    assert done.status is ResponseStatus.COMPLETED
    assert kinds(found)[-2:] == ["SpeechStarted", "UserTranscript"]


def test_a_cancelled_reply_is_discarded_until_the_voice_pauses() -> None:
    wire = Wire()
    wire.sound(VOICE, ms=500)
    (stop,) = wire.say(commands.CancelResponse("resp_t_1"))
    assert stop["type"] == "session.instructions.append"
    found = wire.sound(VOICE)
    assert kinds(found) == ["OutputItemDone", "ResponseDone"]
    assert found[-1].reason == "client_cancelled"
    assert wire.sound(VOICE, ms=1_000) == wire.spoken("more") == wire.sound(ms=300) == []
    assert kinds(wire.sound(VOICE))[0] == "ResponseCreated"


def test_words_stay_hidden_without_transcription() -> None:
    wire = Wire(SessionSettings(transcription=None))
    assert kinds(wire.heard("secret", 0)) == ["SpeechStarted"]
    assert "secret" not in str(wire.sound(ms=1_000))


def test_g711_is_expanded() -> None:
    telephone = AudioFormat("pcmu", 8_000)
    wire = Wire(SessionSettings(input_format=telephone, output_format=telephone))
    started = json.loads(wire.opening[0])["session"]
    assert started["audio"]["format"] == {"type": "audio/pcmu", "rate": 8_000}
    delta = wire.sound(g711.from_pcm16(VOICE[:1600], "pcmu"))[-1]
    assert isinstance(delta, events.AudioDelta)
    assert len(delta.pcm) == 1600
    (frame,) = wire.say(commands.AppendAudio(VOICE[:320]))
    assert len(frame["audio"]) == 216


# --------------------------------------------------------------------------- the backing model


def call(wire: Wire, number: int = 1, work: str = "d") -> list[events.Event]:
    item = {"type": "function_call", "id": f"fc_{number}", "call_id": f"call_{number}",
            "name": "look", "arguments": '{"a":1}'}  # fmt: skip
    return [
        *wire.backend("response.output_item.added", work, item={**item, "arguments": ""}),
        *wire.backend(
            "response.function_call_arguments.delta", work, item_id=item["id"], delta='{"a":1}'
        ),
        *wire.backend("response.output_item.done", work, item=item),
    ]


def test_calls_belong_to_one_response_and_each_is_ready_once() -> None:
    wire = Wire()
    wire.get("session.delegation.created", delegation={"id": "d", "target": "responses"})
    assert wire.backend("response.created", response={"id": "r"}) == []
    found = call(wire, 1) + call(wire, 2) + call(wire, 2)
    assert kinds(found) == [
        "OutputItemAdded", "ToolArgumentsDelta", "ToolCallReady", "OutputItemDone",
        "OutputItemAdded", "ToolArgumentsDelta", "ToolCallReady", "OutputItemDone",
        "ToolArgumentsDelta",
    ]  # fmt: skip
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5}
    (used,) = wire.backend("response.completed", response={"id": "r", "usage": usage})
    assert used == events.UsageReported(
        Usage(15, 10, 5, 10, 0, 0, 4, 5, cached_text_tokens=4), delegated=True
    )
    (done,) = wire.sound()
    assert isinstance(done, events.ResponseDone), "the results wait for it"
    assert done.response_id == found[2].response_id


def test_a_reply_stays_open_while_the_backing_model_works() -> None:
    wire = Wire()
    wire.backend("response.created", response={"id": "r"})
    assert set(kinds(wire.sound(ms=60_000))) == {"OutputItemAdded"}, "signs of life"
    wire.backend("response.completed", response={"id": "r"})
    assert wire.sound(ms=int(UNSPOKEN_MS) - STEP_MS) == []
    assert kinds(wire.sound()) == ["ResponseDone"], "the voice had nothing to say"


def test_work_that_never_ends_is_given_up() -> None:
    wire = Wire()
    wire.backend("response.created", response={"id": "r"})
    assert kinds(wire.sound(ms=130_000))[-1] == "ResponseDone"


def test_calls_of_a_cancelled_reply_belong_to_it() -> None:
    wire = Wire()
    (created,) = wire.backend("response.created", response={"id": "r"})
    wire.say(commands.CancelResponse(created.response_id))
    ready = next(e for e in call(wire) if isinstance(e, events.ToolCallReady))
    assert ready.response_id == created.response_id


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        ("response.failed", {"response": {"error": {"message": "Boom.", "code": "server_error"}}},
         "The backing model failed: Boom."),
        ("error", {"message": "Boom.", "code": "x"}, "The backing model failed: Boom."),
        ("response.incomplete", {"response": {"incomplete_details": {"reason": "content_filter"}}},
         "The backing model stopped early: content_filter."),
    ],
)  # fmt: skip
def test_failures_of_the_backing_model_are_errors(kind, fields, message) -> None:
    wire = Wire()
    wire.backend("response.created", response={"id": "r"})
    (error,) = wire.backend(kind, **fields)
    assert (error.message, error.fatal) == (message, False)
    assert kinds(wire.sound(ms=int(UNSPOKEN_MS)))[-1] == "ResponseDone"


def test_a_server_side_mcp_call_needs_approval_and_runs() -> None:
    wire = Wire()
    wire.backend("response.created", response={"id": "r"})
    item = {"type": "mcp_approval_request", "id": "mcpr_1", "server_label": "s", "name": "n",
            "arguments": "{}"}  # fmt: skip
    (asked,) = wire.backend("response.output_item.done", item=item)
    assert isinstance(asked, events.RemoteApproval)
    answer, go = wire.say(commands.AnswerApproval("mcpr_1", True))
    assert answer["item"]["approve"] is True
    assert go["type"] == "response.create"
    begun = {"type": "mcp_call", "id": "mcp_1", "server_label": "s", "name": "n"}
    wire.backend("response.output_item.added", item=begun)
    (running,) = wire.backend("response.mcp_call.in_progress", item_id="mcp_1")
    assert (running.state, running.server) == (ToolState.RUNNING, "s")
    whole = {**begun, "output": "42", "status": "completed"}
    (done,) = wire.backend("response.output_item.done", item=whole)
    assert (done.state, done.output) == (ToolState.DONE, "42")


# --------------------------------------------------------------------------- the session


def test_every_example_frame_is_read() -> None:
    codec = LiveCodec(URL, "gpt-live-1")
    codec.opening(SessionSettings())
    found = [event for frame in frames("openai_live_server") for event in codec.decode(frame)]
    assert not any(isinstance(e, events.Unmapped) and e.unreadable for e in found)
    reached = {type(event) for event in found}
    expected = {"SessionCreated", "UserTranscript", "AudioDelta", "TextDelta", "UsageReported"}
    assert expected <= {kind.__name__ for kind in reached}


def test_usage_is_a_running_total_with_pauses() -> None:
    wire = Wire()
    (first,) = wire.get("session.usage.updated", usage={"seconds": 30})
    usage = {"seconds": 50, "active_seconds": 40, "paused_seconds": 10}
    (second,) = wire.get("session.usage.updated", usage=usage)
    assert first.usage == Usage(seconds=30)
    assert second.usage == Usage(seconds=20, paused_seconds=10)
    assert wire.get("session.usage.updated", usage={"seconds": 50}) == []


def test_the_sound_since_the_last_total_is_billed_too() -> None:
    wire = Wire()
    second = commands.AppendAudio(bytes(2 * 24_000))
    for _ in range(3):
        wire.codec.encode(second)
    wire.get("session.usage.updated", usage={"seconds": 2})
    assert wire.codec.unreported(99.0) == Usage(seconds=1)
    assert wire.codec.unreported(99.0) == Usage()
    wire.codec.encode(second)
    wire.get("session.closed", usage={"seconds": 3.5})
    assert wire.codec.unreported(99.0) == Usage()


def test_a_pause_ends_what_is_open() -> None:
    wire = Wire()
    wire.spoken("Well")
    assert kinds(wire.get("session.paused"))[-1] == "ResponseDone"
    assert kinds(wire.get("session.resumed")) == ["Unmapped"]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [("close_requested", []), ("expired", ["SessionEnding"]), ("content", ["ProviderError"])],
)
def test_reasons_for_the_end(reason: str, expected: list[str]) -> None:
    wire = Wire()
    assert kinds(wire.get("session.closed", reason=reason)) == expected
    assert closing(wire.codec) == []


def test_an_error_names_its_command() -> None:
    wire = Wire()
    (frame,) = wire.say(commands.CreateResponse())
    error = {"message": "No.", "code": "x", "client_event_id": frame["event_id"]}
    (event,) = wire.get("error", error=error)
    assert event.command is CommandName.CREATE_RESPONSE
    (fatal,) = wire.get("error", error={"message": "No.", "code": "credit_balance_exhausted"})
    assert fatal.fatal


def test_the_first_frame_holds_everything() -> None:
    server = McpServer("s", "https://s", headers={"X": "y"}, defer_loading=True, tunnel="t",
                       allowed_callers=("direct",), allowed_tools=("a",))  # fmt: skip
    wire = Wire(SessionSettings(
        instructions="Be brief.", voice="willow", tools=(TOOL,), mcp_servers=(server,),
        backing_model="gpt-5.6", reasoning_effort="low", max_output_tokens=99,
    ))  # fmt: skip
    (frame,) = map(json.loads, wire.opening)
    strict(CLIENT.validate_python(frame))
    session = frame["session"]
    assert session["model"] == "gpt-live-1"
    assert session["audio"] == {
        "format": {"type": "audio/pcm", "rate": 24_000}, "output": {"voice": "willow"},
    }  # fmt: skip
    responses = session["delegation"]["responses"]
    assert responses["model"] == "gpt-5.6"
    assert responses["reasoning"] == {"effort": "low"}
    assert [tool["type"] for tool in responses["tools"]] == ["function", "mcp"]
    assert (
        responses["tools"][1] | {"headers": {"X": "y"}, "tunnel_id": "t"} == (responses["tools"][1])
    )


def test_tools_change_at_once_and_the_voice_with_a_new_connection() -> None:
    before = SessionSettings(instructions="Be brief.")
    wire = Wire(before)
    assert wire.say(commands.UpdateSession(before)) == []
    (update,) = wire.say(commands.UpdateSession(SessionSettings("Be brief.", tools=(TOOL,))))
    assert list(update["session"]["delegation"]["responses"]) == ["tools"]
    changed = wire.say(commands.UpdateSession(SessionSettings("Rhyme.", tools=(TOOL,))))
    assert [frame["type"] for frame in changed] == ["session.update", "session.instructions.append"]
    other = SessionSettings("Rhyme.", "willow", tools=(TOOL,))
    assert deferred(wire.codec, other) == [
        "voice changes between two turns, with a new connection."
    ]
    assert wire.say(commands.UpdateSession(other)) == []
    assert wire.codec.stale


def test_typed_text_goes_to_both_models() -> None:
    wire = Wire()
    item, context = wire.say(commands.CreateMessage("i", "user", "Hi."))
    assert item["item"] == {"type": "message", "role": "user", "content": "Hi."}
    assert context["content"] == "The user typed: Hi."
    spoken, _ = wire.say(commands.CreateMessage("j", "assistant", "Ho."))
    assert spoken["item"]["role"] == "assistant"
    assert wire.say(commands.SeedCall("c", "look", "{}")) == []
    seeded, _ = wire.say(commands.SeedResult("c", "42"))
    assert "42" in seeded["item"]["content"]
    result = wire.say(commands.ToolResult("c", "42"))
    assert [frame["type"] for frame in result] == ["response.item.create"]


@pytest.mark.parametrize("text", ["word " * 500, "w" * 2_000, "語" * 700, "😀" * 300])
def test_long_context_is_split(text: str) -> None:
    pieces = appendable(text)
    assert all(0 < len(piece.encode()) <= APPEND_BYTES for piece in pieces)
    assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


def test_silence_fills_what_the_microphone_does_not_send() -> None:
    wire = Wire()
    (frame,) = wire.codec.silence(100.0)
    assert json.loads(frame)["audio"] == b64encode(SILENCE).decode()
    wire.say(commands.AppendAudio(VOICE))
    assert wire.codec.silence(100.0) == []
    assert len(wire.codec.silence(60_000.0)[0]) < 100_000, "a stall is not made up for"
    assert LiveCodec(URL, "m").silence(100.0) == [], "the session has not started"


def test_settings_that_the_wire_does_not_have() -> None:
    wire = Wire()
    assert unsupported(wire.codec, SessionSettings(speed=1.2, temperature=1.0)) == [
        "openai has no setting speed: it is ignored.",
        "openai has no setting temperature: it is ignored.",
    ]


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://host/v1", "wss://host/v1/live/sessions"),
        ("wss://host/v1/realtime", "wss://host/v1/live/sessions"),
        ("http://127.0.0.1:1", "ws://127.0.0.1:1/v1/live/sessions"),
        ("https://host/gate/v1/?x=1", "wss://host/gate/v1/live/sessions"),
    ],
)
def test_the_address(base: str, url: str) -> None:
    assert live_url(base) == url


def test_a_long_text_is_split_in_linear_time() -> None:
    pieces = appendable("ab " * 4_000_000)
    assert max(map(len, pieces)) <= APPEND_BYTES
    assert sum(piece.count("ab") for piece in pieces) == 4_000_000
