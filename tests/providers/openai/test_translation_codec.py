"""OpenAI translation: frames to events, and commands to frames that the server takes."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from fake_live import strict
from openai.types.realtime.realtime_translation_client_event import RealtimeTranslationClientEvent
from pydantic import TypeAdapter
from wire_examples import frames

from voicechat.core import commands, events
from voicechat.core.items import Usage
from voicechat.core.settings import NoiseReduction, SessionSettings
from voicechat.errors import Secret
from voicechat.providers.codec import closing, unsupported
from voicechat.providers.openai.translation_codec import TranslationCodec, translation_url

URL = "wss://api.openai.com/v1/realtime/translations?model=gpt-realtime-translate"
CLIENT = TypeAdapter(RealtimeTranslationClientEvent)
FRENCH = SessionSettings(translate_to="fr")


def codec() -> TranslationCodec:
    return TranslationCodec(URL, Secret("k"), tag="t")


def test_every_example_frame_has_its_events() -> None:
    talk = codec()
    found = [type(e).__name__ for f in frames("openai_translation_server") for e in talk.decode(f)]
    assert found == [
        "SessionCreated", "SessionUpdated", "SpeechStarted", "UserTranscript",
        "InputCommitted", "ResponseCreated", "OutputItemAdded", "TextDelta", "AudioDelta",
        "UserTranscript", "AudioDone", "TextDone", "OutputItemDone", "ResponseDone",
        "SessionEnding", "ProviderError",
    ]  # fmt: skip


def test_the_client_events_are_those_of_the_wire() -> None:
    talk = codec()
    talk.decode(json.dumps({"type": "session.created", "session": {}}))
    said = [
        *talk.encode(commands.UpdateSession(FRENCH)),
        *talk.encode(commands.AppendAudio(bytes(960))),
        *closing(talk),
    ]
    for frame in map(json.loads, said):
        strict(CLIENT.validate_python(frame))
    assert [json.loads(frame)["type"] for frame in said] == [
        "session.update", "session.input_audio_buffer.append", "session.close",
    ]  # fmt: skip
    assert json.loads(said[0])["session"]["audio"] == {
        "input": {"transcription": {"model": "gpt-realtime-whisper"}},
        "output": {"language": "fr"},
    }
    assert talk.encode(commands.UpdateSession(FRENCH)) == []


def test_both_languages_overlap_without_an_interruption() -> None:
    talk = codec()
    voice = b64encode(b"\x00\x10" * 4_800).decode()
    found = []
    for step in range(10):
        times = {"elapsed_ms": 200 * step + 200}
        for kind, delta in (("input_transcript", "a "), ("output_transcript", "b ")):
            frame = {"type": f"session.{kind}.delta", "delta": delta, **times}
            found += talk.decode(json.dumps(frame))
        found += talk.decode(json.dumps({"type": "session.output_audio.delta", "delta": voice}))
    done = talk.decode(json.dumps({"type": "session.closed"}))
    assert [type(e) for e in found].count(events.ResponseCreated) == 1
    statuses = [e.status for e in done if isinstance(e, events.ResponseDone)]
    assert statuses == [events.ResponseStatus.COMPLETED]


def test_the_sound_that_was_sent_is_the_usage() -> None:
    talk = codec()
    talk.encode(commands.AppendAudio(bytes(48_000 * 10)))
    updated = json.dumps({"type": "session.updated"})
    assert talk.decode(updated)[-1] == events.UsageReported(Usage(seconds=10.0))
    talk.encode(commands.AppendAudio(bytes(48_000)))
    assert len(talk.decode(updated)) == 1, "it waits for more"
    closed = talk.decode(json.dumps({"type": "session.closed"}))
    assert closed[-1] == events.UsageReported(Usage(seconds=1.0))


def test_settings_that_the_wire_does_not_have() -> None:
    settings = SessionSettings(speed=1.2, noise_reduction=NoiseReduction())
    assert unsupported(codec(), settings) == ["openai has no setting speed: it is ignored."]


@pytest.mark.parametrize(
    ("base", "path"),
    [
        ("https://host/v1", "/v1/realtime/translations"),
        ("https://host/v1/realtime", "/v1/realtime/translations"),
        ("https://host/v1/realtime/translations", "/v1/realtime/translations"),
        ("https://host", "/v1/realtime/translations"),
    ],
)
def test_the_address(base: str, path: str) -> None:
    assert translation_url(base, "m") == f"wss://host{path}?model=m"
