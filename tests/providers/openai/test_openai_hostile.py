"""Any input decodes to clean events and never raises."""

import json

import pytest
from hostile_json import any_json, clean_events
from hypothesis import given
from hypothesis import strategies as st
from wire_examples import frames

from voicechat.core.events import Unmapped
from voicechat.providers.openai.openai_codec import GENERAL, OpenAICodec
from voicechat.providers.openai.openai_compatible import ANY_SERVER
from voicechat.providers.openai.openai_events import KNOWN_UNMAPPED, TABLE
from voicechat.providers.openai.openai_frames import Frame
from voicechat.providers.xai_dialect import XAI

EXAMPLES = frames("openai_ga_server") + frames("openai_beta_server") + frames("xai_server")
DIALECTS = {"general": GENERAL, "xai": XAI, "any server": ANY_SERVER}

anything = any_json(["id", "type", "content", "output", "error", "audio", "status", "x"])
some_frame = st.fixed_dictionaries(
    {"type": st.sampled_from([*TABLE, *sorted(KNOWN_UNMAPPED), "new.event"])},
    optional={name: anything for name in Frame.__struct_fields__ if name != "type"},
)


def codec(dialect: str = "general") -> OpenAICodec:
    return OpenAICodec("wss://example.invalid", dialect=DIALECTS[dialect])


@given(said=st.lists(some_frame, max_size=5))
def test_arbitrary_fields_in_known_frames(said):
    encoded = [json.dumps(frame) for frame in said]
    for dialect in DIALECTS:
        reader = codec(dialect)
        for frame in encoded:
            clean_events(reader, frame)


@given(st.text() | st.binary())
def test_arbitrary_bytes(frame):
    clean_events(codec(), frame)


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: json.loads(frame)["type"])
def test_each_field_missing_or_wrong(frame):
    message = json.loads(frame)
    for name in message:
        rest = {other: value for other, value in message.items() if other != name}
        clean_events(codec(), json.dumps(rest))
        for wrong in (None, 0, "", [], {}, True, [None], {"type": {}}):
            clean_events(codec("xai"), json.dumps({**rest, name: wrong}))
            clean_events(codec(), json.dumps({**rest, name: wrong}))


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "null",
        "[]",
        "7",
        '"text"',
        "{",
        "{}",
        '{"type": null}',
        '{"type": ["error"]}',
        '{"type": NaN}',
        '{"type": "error", "error": {"message": "\\ud800"}}',
        '{"type": "rate_limits.updated", "rate_limits": [1, null, {"limit": 1e400}]}',
        '{"type": "response.done", "response": {"output": [[], 1, {"id": []}]}}',
        '{"type": "session.created", "type": "error"}',
        "[" * 100_000,
        '{"type": "error", "error": ' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"type": "conversation.item.retrieved", "item": '
        + '{"a": ' * 800 + "1" + "}" * 800 + "}",
        '{"type": "error", "error": "\\ud800' + "[" * 100_000,
        b"\xff\xfe\x00",
        b'{"type": "\xff"}',
        "\ufeff{}",
    ],
    ids=lambda frame: repr(frame[:40]),
)  # fmt: skip
def test_known_malformed_frames(frame):
    clean_events(codec(), frame)


def test_invalid_frames_are_unmapped():
    assert codec().decode("nonsense") == [Unmapped("")]
    assert codec().decode('{"type": "brand.new", "x": 1}') == [Unmapped("brand.new")]


def test_a_frame_of_five_megabytes():
    sound = "A" * 5_000_000
    frame = json.dumps({"type": "response.output_audio.delta", "item_id": "i", "delta": sound})
    (event,) = codec().decode(frame)
    assert len(event.pcm) == 3_750_000
    for field in ("delta", "x", "transcript"):
        clean_events(codec(), json.dumps({"type": "response.output_text.delta", field: sound}))


def test_memory_of_items_is_bounded():
    reader = codec()
    for number in range(2_000):
        delta = {"type": "response.output_text.delta", "item_id": f"i{number}", "delta": "x"}
        reader.decode(json.dumps(delta))
    assert len(reader._state.items) == 512
    for number in range(2_000):
        sound = {"type": "response.output_audio.delta", "item_id": "i", "delta": "AAA="}
        reader.decode(json.dumps({**sound, "content_index": number}))
    assert len(reader._state.items["i"].samples) == 16
