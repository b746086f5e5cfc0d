"""Any input of Gemini or the gateway decodes to clean events and never raises."""

import json

import pytest
from hostile_json import any_json, clean_events
from hypothesis import given
from hypothesis import strategies as st

from voicechat.core.events import Unmapped
from voicechat.core.settings import SessionSettings
from voicechat.providers.gateway.gateway_codec import GatewayCodec
from voicechat.providers.gateway.gateway_events import TABLE
from voicechat.providers.gateway.normalized import NormalizedWire, json_line
from voicechat.providers.google.google_calls import MOST_CALLS
from voicechat.providers.google.google_codec import GoogleCodec


def google() -> GoogleCodec:
    return GoogleCodec("wss://example.invalid", "gemini-3.8-live", tag="t")


def gateway() -> GatewayCodec:
    return GatewayCodec("wss://example.invalid", "google/gemini-3.8-live")


anything = any_json(["id", "text", "parts", "data", "ids", "name", "args", "type", "x"])
KEYS = [
    "setupComplete", "toolCall", "toolCallCancellation", "usageMetadata", "goAway", "error",
    "sessionResumptionUpdate", "voiceActivity", "new",
]  # fmt: skip
CONTENT = [
    "modelTurn", "generationComplete", "turnComplete", "turnCompleteReason", "interrupted",
    "inputTranscription", "interimInputTranscription", "outputTranscription", "new",
]  # fmt: skip
google_frame = st.dictionaries(st.sampled_from(KEYS), anything, max_size=3) | st.builds(
    lambda content: {"serverContent": content},
    st.dictionaries(st.sampled_from(CONTENT), anything, max_size=5),
)
gateway_frame = st.fixed_dictionaries(
    {"type": st.sampled_from([*TABLE, "new"])},
    optional=dict.fromkeys(
        ("itemId", "responseId", "callId", "delta", "item", "usage", "raw", "status"), anything
    ),
)


@given(st.lists(google_frame, max_size=6), st.booleans())
def test_arbitrary_fields_in_known_frames(said, opened):
    reader = google()
    if opened:
        reader.opening(SessionSettings())
    for frame in said:
        clean_events(reader, json.dumps(frame))
        for event in NormalizedWire(google()).decode(json.dumps(frame)):
            json_line(event)


@given(st.lists(gateway_frame, max_size=6))
def test_arbitrary_fields_in_normalized_frames(said):
    reader = gateway()
    for frame in said:
        reader.decode(json.dumps(frame))
        json_line(NormalizedWire(gateway()).decode(json.dumps(frame)))


@given(st.text() | st.binary())
def test_arbitrary_bytes(frame):
    clean_events(google(), frame)
    clean_events(gateway(), frame)
    json_line(NormalizedWire(google()).decode(frame))


@pytest.mark.parametrize(
    "frame",
    [
        "", "null", "[]", "{", "{}", '{"serverContent": null}', '{"serverContent": {}}',
        '{"serverContent": {"modelTurn": {"parts": [null, 1, {}, {"inlineData": 5}]}}}',
        '{"toolCall": {"functionCalls": [{}, null, {"name": "f"}, {"id": 3, "name": "g"}]}}',
        '{"goAway": {"timeLeft": "soon"}}', '{"goAway": {"timeLeft": 1e400}}',
        '{"sessionResumptionUpdate": {"resumable": true, "newHandle": "\\u0007"}}',
        '{"usageMetadata": {"totalTokenCount": 1e300}}',
        '{"usageMetadata": {"promptTokenCount": -4, "promptTokensDetails": [3]}}',
        "[" * 100_000,
        '{"serverContent": {"groundingMetadata": ' + "[" * 5000 + "]" * 5000 + "}}",
        b"\xff\xfe\x00",
    ],
    ids=lambda frame: repr(frame[:40]),
)  # fmt: skip
def test_known_malformed_frames(frame):
    clean_events(google(), frame)


def test_invalid_frames_are_unmapped():
    assert google().decode("nonsense") == [Unmapped("")]
    assert google().decode('{"brandNew": {}}') == [Unmapped("brandNew")]
    assert gateway().decode('{"type": "brand-new"}') == [Unmapped("brand-new")]


def test_memory_is_bounded():
    reader, other = google(), gateway()
    for number in range(1_000):
        calls = [{"id": f"{number}", "name": "f"}]
        reader.decode(json.dumps({"toolCall": {"functionCalls": calls}}))
        item = {"itemId": f"i{number}", "responseId": "r", "delta": "x"}
        other.decode(json.dumps({"type": "text-delta", **item}))
        other.decode('{"type": "speech-started"}')
        heard = {"type": "input-transcription-completed", "itemId": f"u{number}"}
        other.decode(json.dumps({**heard, "transcript": "x"}))
    assert len(reader._calls._names) == MOST_CALLS
    assert len(other._state.items) == 512
    assert len(other._state.aliases) == 512
