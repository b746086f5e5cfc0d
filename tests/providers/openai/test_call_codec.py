"""The codec of a call: sound gets the ids of its item, and a response ends when it was heard."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from voicechat.core.commands import (
    AppendAudio,
    CancelResponse,
    CommitAudio,
    TruncateItem,
    UpdateSession,
)
from voicechat.core.events import AudioDelta, AudioDone, Event, ResponseDone, ResponseStatus
from voicechat.core.settings import AudioFormat, ServerVad, SessionSettings
from voicechat.errors import KeyMissing, Secret, UsageError
from voicechat.providers import catalog
from voicechat.providers.call_request import dial_target
from voicechat.providers.openai.call_codec import CallCodec
from voicechat.providers.openai.live_call import LiveCallCodec
from voicechat.providers.openai.openai_codec import GENERAL
from voicechat.providers.rest import bearer
from voicechat.system.dial_target import DialTarget

LOUD, QUIET = np.full(480, 3_000, "<i2").tobytes(), bytes(960)
URL = "wss://api.openai.com/v1/realtime?model=m"


class CodecTalk:
    """A codec, and the frames of a server."""

    def __init__(self) -> None:
        self.codec = CallCodec(URL, "m", Secret("key"), GENERAL)

    def read(self, kind: str, **fields: object) -> list[Event]:
        return self.codec.decode(json.dumps({"type": kind, **fields}))

    def sound(self, blocks: int, pcm: bytes = LOUD) -> list[Event]:
        return [event for _ in range(blocks) for event in self.codec.decode(pcm)]

    def begin(self, response: str = "r1", items: tuple[str, ...] = ("i1",)) -> None:
        """Begin a response and name its spoken items."""
        self.read("response.created", response={"id": response})
        for item in items:
            where = {"response_id": response, "item_id": item, "content_index": 0}
            self.read("response.output_audio_transcript.delta", **where, delta="Hello. ")

    def end(self, response: str = "r1", status: str = "completed") -> list[Event]:
        return self.read("response.done", response={"id": response, "status": status})

    def buffer(self, state: str, response: str = "r1") -> list[Event]:
        return self.read(f"output_audio_buffer.{state}", response_id=response)


def kinds(found: list[Event]) -> list[type]:
    return [type(event) for event in found]


def test_sound_between_started_and_stopped_belongs_to_the_item():
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    assert talk.sound(3, QUIET) == []
    assert talk.sound(2) == [AudioDelta("r1", "i1", LOUD)] * 2
    # A pause inside the reply is part of it.
    assert talk.sound(1, QUIET) == [AudioDelta("r1", "i1", QUIET)]
    assert talk.read("response.output_audio.done", response_id="r1", item_id="i1") == []
    assert talk.end() == []
    assert talk.buffer("stopped") == []
    # The jitter buffer still holds the last part.
    assert talk.sound(2) == [AudioDelta("r1", "i1", LOUD)] * 2
    found = talk.sound(5, QUIET)
    assert found == [AudioDone("r1", "i1"), ResponseDone("r1")]
    assert talk.sound(3) == []


def test_late_sound_ends_nothing():
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    talk.sound(2)
    talk.end()
    talk.buffer("stopped")
    assert talk.sound(20, b"") == []
    assert talk.sound(1) == [AudioDelta("r1", "i1", LOUD)]
    assert kinds(talk.sound(30, b"")) == [AudioDone, ResponseDone], "it waits 1 s"


def test_sound_before_a_late_started_is_heard_at_once():
    talk = CodecTalk()
    talk.buffer("started", "other")
    talk.buffer("cleared", "other")
    talk.sound(10, QUIET)
    talk.begin()
    assert talk.sound(3) == [AudioDelta("r1", "i1", LOUD)] * 3
    assert talk.buffer("started") == []
    assert talk.sound(1) == [AudioDelta("r1", "i1", LOUD)], "no second item"


def test_a_reply_whose_events_all_come_after_its_sound_is_heard():
    talk = CodecTalk()
    talk.buffer("stopped", "other")
    talk.sound(20, QUIET)
    assert talk.sound(100) == []
    assert talk.sound(60, QUIET) == [], "a lost event comes seconds late"
    talk.begin()
    found = [*talk.buffer("started"), *talk.end(), *talk.buffer("stopped"), *talk.sound(50, QUIET)]
    assert found.count(AudioDelta("r1", "i1", LOUD)) == 100
    assert kinds(found)[-2:] == [AudioDone, ResponseDone]


def test_noise_in_pauses_is_not_kept_for_the_next_reply():
    talk = CodecTalk()
    talk.buffer("stopped", "other")
    noise = np.full(480, 40, "<i2").tobytes()
    talk.sound(100, noise)
    talk.begin()
    assert len(talk.buffer("started")) <= 3


def test_a_cut_reply_that_the_server_still_plays_is_dropped_until_it_confirms():
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    talk.sound(3)
    talk.codec.encode(TruncateItem("i1", 40))
    talk.begin("r2", ("i2",))
    assert AudioDelta not in kinds([*talk.sound(5), *talk.sound(20, QUIET), *talk.sound(5)])
    talk.buffer("cleared")
    assert AudioDelta not in kinds([*talk.sound(5), *talk.sound(10, QUIET)])
    assert talk.sound(1) == [AudioDelta("r2", "i2", LOUD)]


def test_the_rest_of_a_cut_reply_is_not_the_start_of_the_next():
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    talk.sound(3)
    talk.buffer("cleared")
    talk.sound(4)
    talk.sound(10, QUIET)
    talk.sound(2)
    talk.begin("r2", ("i2",))
    assert talk.buffer("started", "r2") == [AudioDelta("r2", "i2", LOUD)] * 2


def test_a_second_start_of_a_response_means_its_next_item():
    talk = CodecTalk()
    talk.begin(items=("i1", "i2"))
    talk.buffer("started")
    assert talk.sound(1) == [AudioDelta("r1", "i1", LOUD)]
    talk.buffer("started")
    assert talk.sound(1) == [AudioDelta("r1", "i2", LOUD)]


def test_a_response_without_speech_ends_at_once():
    talk = CodecTalk()
    talk.read("response.created", response={"id": "r1"})
    assert kinds(talk.end()) == [ResponseDone]


def test_the_end_of_sound_that_never_comes_is_not_awaited_for_ever():
    talk = CodecTalk()
    talk.begin()
    talk.end()
    found = talk.sound(160, QUIET)
    assert kinds(found) == [AudioDone, ResponseDone]


@pytest.mark.parametrize("command", [CancelResponse("r1"), TruncateItem("i1", 40)])
def test_a_cut_clears_the_buffer_of_the_server_and_drops_what_still_comes(command):
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    talk.sound(3)
    talk.end()
    sent = [json.loads(frame)["type"] for frame in talk.codec.encode(command)]
    assert "output_audio_buffer.clear" in sent
    found = talk.sound(3)
    assert kinds(found) == [AudioDone, ResponseDone], "the response ends, its sound is dropped"
    assert talk.buffer("cleared") == []


@pytest.mark.parametrize("interrupts", [True, False])
def test_a_server_that_interrupts_by_itself_gets_no_clear(interrupts):
    talk = CodecTalk()
    detection = ServerVad(interrupt_response=interrupts)
    talk.codec.encode(UpdateSession(SessionSettings(turn_detection=detection)))
    talk.begin()
    talk.buffer("started")
    talk.sound(3)
    talk.read("input_audio_buffer.speech_started", item_id="u1", audio_start_ms=60)
    sent = [json.loads(frame)["type"] for frame in talk.codec.encode(TruncateItem("i1", 40))]
    # It would come after the server's own one, and might drop the next reply.
    assert ("output_audio_buffer.clear" in sent) is not interrupts
    assert AudioDelta not in kinds(talk.sound(3))


@pytest.mark.parametrize("command", [CancelResponse("r1"), TruncateItem("i1", 40)])
def test_a_late_cut_of_a_reply_leaves_the_next_one_alone(command):
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    talk.sound(3)
    talk.buffer("cleared")
    talk.begin("r2", ("i2",))
    talk.buffer("started", "r2")
    assert len(talk.codec.encode(command)) == 1
    assert talk.sound(1) == [AudioDelta("r2", "i2", LOUD)]


def test_a_cleared_buffer_needs_no_clear():
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    talk.sound(3)
    talk.end()
    assert kinds(talk.buffer("cleared")) == [AudioDone, ResponseDone]
    assert len(talk.codec.encode(TruncateItem("i1", 40))) == 1


def test_a_cancelled_response_ends_at_once():
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    (done,) = talk.end(status="cancelled")
    assert isinstance(done, ResponseDone)
    assert done.status is ResponseStatus.CANCELLED
    assert talk.sound(2) == []


def test_a_new_response_ends_the_one_before():
    talk = CodecTalk()
    talk.begin()
    talk.buffer("started")
    talk.end()
    found = talk.read("response.created", response={"id": "r2"})
    assert kinds(found)[:2] == [AudioDone, ResponseDone]


def test_sound_in_events_is_dropped():
    talk = CodecTalk()
    talk.begin()
    where = {"response_id": "r1", "item_id": "i1", "content_index": 0}
    assert talk.read("response.output_audio.delta", **where, delta="AAAA") == []


def test_the_microphone_is_sent_as_it_is_and_a_commit_follows_silence():
    codec = CodecTalk().codec
    assert codec.encode(AppendAudio(LOUD)) == [LOUD]
    silence, commit = codec.encode(CommitAudio())
    assert silence == bytes(4_800)
    assert json.loads(commit)["type"] == "input_audio_buffer.commit"


def test_the_session_names_no_formats_and_other_rates_are_converted():
    codec = CodecTalk().codec
    law = AudioFormat("pcmu", 8_000)
    settings = SessionSettings(voice="marin", input_format=law, output_format=law)
    (frame,) = codec.encode(UpdateSession(settings))
    audio = json.loads(frame)["session"]["audio"]
    assert "format" not in audio["input"]
    assert audio["output"] == {"voice": "marin"}
    assert len(codec.encode(AppendAudio(LOUD))[0]) > 2_000
    assert [text for text in codec.unsupported(settings) if "over WebRTC" in text]


def test_the_offer_goes_with_the_session_or_with_a_token():
    codec = CodecTalk().codec
    call = codec.endpoint().call
    assert call is not None
    assert call.url == "https://api.openai.com/v1/realtime/calls"
    assert json.loads(call.session) == {"type": "realtime", "model": "m"}
    codec.redirect(DialTarget("wss://proxy.example/v1/realtime", bearer(Secret("ek_1"))))
    call = codec.endpoint().call
    assert call is not None
    assert (call.url, call.session) == ("https://proxy.example/v1/realtime/calls", "")


# --------------------------------------------------------------------------- choosing it


def choose(model: str, **more: object) -> object:
    environ = dict.fromkeys(("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "GEMINI_API_KEY"), "key")
    choice = catalog.resolve(model, environ=environ, transport="webrtc", **more)  # type: ignore[arg-type]
    return choice.codec() if not choice.needs_local_server else None


def test_azure_takes_calls_at_the_address_of_the_resource():
    codec = choose("azure/mine", base_url="https://mine.openai.azure.com")
    assert isinstance(codec, CallCodec)
    target = codec.endpoint()
    assert target.call is not None
    assert target.call.url == "https://mine.openai.azure.com/openai/v1/realtime/calls"
    assert json.loads(target.call.session)["model"] == "mine"
    assert [*target.headers] == ["api-key"]


@pytest.mark.parametrize(
    ("model", "more"),
    [
        ("google", {}),
        ("openai/gpt-realtime-translate", {}),
        ("openai", {"wire": "beta"}),
        ("azure/mine", {"base_url": "https://mine.openai.azure.com", "wire": "beta"}),
    ],
    ids=["google", "translation", "beta", "azure beta"],
)
def test_a_model_without_calls_is_refused(model, more):
    with pytest.raises(UsageError, match=r"WebRTC|webrtc"):
        choose(model, **more)


@pytest.mark.parametrize(
    ("model", "more", "url", "header"),
    [
        ("openai/gpt-live-1.1", {}, "https://api.openai.com/v1/live/sessions", "Authorization"),
        (
            "azure/mine",
            {"base_url": "https://mine.openai.azure.com", "wire": "live"},
            "https://mine.openai.azure.com/openai/v1/live/sessions",
            "api-key",
        ),
    ],
    ids=["openai", "azure"],
)
def test_the_request_for_a_live_call_carries_the_session(model, more, url, header):
    codec = choose(model, **more)
    assert isinstance(codec, LiveCallCodec)
    target = dial_target(codec, SessionSettings(voice="marin", instructions="Be brief."))
    assert target.call is not None
    assert (target.call.url, target.call.is_json, [*target.headers]) == (url, True, [header])
    session = json.loads(target.call.session)
    assert session["model"] == model.partition("/")[2]
    assert session["audio"] == {"output": {"voice": "marin"}}
    assert codec.opening(SessionSettings()) == []
    assert codec.encode(AppendAudio(LOUD)) == [LOUD]
    assert codec.silence(100.0) == []


def test_a_live_call_without_packets_is_a_pause_that_ends_the_reply():
    codec = LiveCallCodec("wss://api.openai.com/v1/live/sessions", "gpt-live-1.1", Secret("key"))
    found = [event for _ in range(20) for event in codec.decode(LOUD)]
    assert AudioDelta in kinds(found)
    found = [event for _ in range(80) for event in codec.decode(b"")]
    assert kinds(found)[-1] is ResponseDone


def test_other_rates_of_a_live_call_need_no_other_connection():
    codec = LiveCallCodec("wss://api.openai.com/v1/live/sessions", "gpt-live-1.1", Secret("key"))
    codec.begin(SessionSettings())
    codec.decode('{"type": "session.started", "session": {"id": "live_1"}}')
    slow = SessionSettings(
        input_format=AudioFormat(rate=16_000), output_format=AudioFormat(rate=16_000)
    )
    assert codec.deferred(slow) == []
    codec.encode(UpdateSession(slow))
    assert not codec.stale
    assert len(codec.encode(AppendAudio(LOUD[:640]))[0]) > 640
    sounds = [e for _ in range(9) for e in codec.decode(LOUD) if isinstance(e, AudioDelta)]
    assert max(len(sound.pcm) for sound in sounds) <= 640
    assert codec.deferred(replace(slow, voice="cedar"))


def test_the_embedded_voice_keeps_its_own_connection():
    assert choose("local") is None


def test_without_the_extra_a_call_is_refused_before_it_is_dialed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'voicechat\[webrtc\]'"):
        choose("openai")


def test_a_call_needs_a_key_like_a_socket():
    with pytest.raises(KeyMissing):
        catalog.resolve("openai", environ={}, transport="webrtc")
