"""Whatever comes over the wire, decoding gives clean events and never raises."""

import dataclasses
import json
import random
import unicodedata
from collections.abc import Iterator, Mapping
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_examples import frames

from voicechat.core import events as ev
from voicechat.core.conversation import Conversation
from voicechat.core.settings import SessionSettings
from voicechat.providers.openai import GENERAL, OpenAICodec
from voicechat.providers.openai_events import KNOWN_UNMAPPED, TABLE
from voicechat.providers.openai_frames import Frame
from voicechat.providers.xai import XAI

EVENTS = get_args(ev.Event)
EXAMPLES = frames("openai_ga_server") + frames("openai_beta_server") + frames("xai_server")
DIALECTS = {"general": GENERAL, "xai": XAI}

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters() | st.sampled_from("\x1b\x9b\u202e\ud800\udc00\r\n")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "type", "content", "output", "error", "audio", "status", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
some_frame = st.fixed_dictionaries(
    {"type": st.sampled_from([*TABLE, *sorted(KNOWN_UNMAPPED), "new.event"])},
    optional={name: anything for name in Frame.__struct_fields__ if name != "type"},
)


def codec(dialect: str = "general") -> OpenAICodec:
    return OpenAICodec("wss://example.invalid", dialect=DIALECTS[dialect])


def texts(value: object) -> Iterator[str]:
    """All text in an event."""
    if isinstance(value, str):
        yield value
    elif dataclasses.is_dataclass(value):
        for inner in dataclasses.fields(value):
            yield from texts(getattr(value, inner.name))
    elif isinstance(value, Mapping):
        yield from texts(list(value))
        yield from texts(list(value.values()))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def check(reader: OpenAICodec, frame: str | bytes) -> None:
    events = reader.decode(frame)
    for event in events:
        assert isinstance(event, EVENTS)
        for text in texts(event):
            assert not any(
                unicodedata.category(c) in {"Cc", "Cs"} and c not in "\n\t" for c in text
            )
        if isinstance(event, ev.AudioDelta):
            assert len(event.pcm) % 2 == 0


@pytest.mark.parametrize("dialect", DIALECTS)
@given(said=st.lists(some_frame, max_size=5))
def test_any_fields_in_known_frames(dialect, said):
    reader = codec(dialect)
    for frame in said:
        check(reader, json.dumps(frame))


@given(st.text() | st.binary())
def test_any_bytes(frame):
    check(codec(), frame)


def mutate(choose: random.Random, frame: str) -> str | bytes:
    """One of the ways in which a frame gets broken."""
    message = json.loads(frame)
    holder = message
    while choose.random() < 0.5:
        inner = [value for value in holder.values() if isinstance(value, dict) and value]
        if not inner:
            break
        holder = choose.choice(inner)
    name = choose.choice(list(holder))
    odd = [None, True, -1, 2**70, 1e308, "", "\x1b[2J", "\ud83d", [], {}, [[]], {"id": 3}]
    match choose.randrange(6):
        case 0:
            del holder[name]
        case 1 | 2:
            holder[name] = choose.choice(odd)
        case 3:
            holder[f"{name}_"] = holder.pop(name)
        case 4:
            at = choose.randrange(len(frame))
            return frame[:at] + choose.choice(['"', "{", "\\", "\x00", "9" * 400]) + frame[at:]
        case 5:
            raw = bytearray(frame.encode())
            raw[choose.randrange(len(raw))] = choose.randrange(256)
            return bytes(raw)
    return json.dumps(message)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("seed", range(3))
def test_broken_examples(seed, dialect):
    choose = random.Random(seed)
    reader = codec(dialect)
    for _ in range(5_000):
        check(reader, mutate(choose, choose.choice(EXAMPLES)))
    assert len(reader._memory.items) <= 512


@pytest.mark.parametrize("frame", EXAMPLES, ids=lambda frame: json.loads(frame)["type"])
def test_each_field_missing_or_wrong(frame):
    message = json.loads(frame)
    for name in message:
        rest = {other: value for other, value in message.items() if other != name}
        check(codec(), json.dumps(rest))
        for wrong in (None, 0, "", [], {}, True, [None], {"type": {}}):
            check(codec("xai"), json.dumps({**rest, name: wrong}))
            check(codec(), json.dumps({**rest, name: wrong}))


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
def test_known_trouble(frame):
    check(codec(), frame)


def test_what_is_no_frame_is_unmapped():
    assert codec().decode("nonsense") == [ev.Unmapped("")]
    assert codec().decode('{"type": "brand.new", "x": 1}') == [ev.Unmapped("brand.new")]


def test_a_frame_of_five_megabytes():
    sound = "A" * 5_000_000
    frame = json.dumps({"type": "response.output_audio.delta", "item_id": "i", "delta": sound})
    (event,) = codec().decode(frame)
    assert len(event.pcm) == 3_750_000
    for field in ("delta", "x", "transcript"):
        check(codec(), json.dumps({"type": "response.output_text.delta", field: sound}))


def test_memory_of_items_is_bounded():
    reader = codec()
    for number in range(2_000):
        delta = {"type": "response.output_text.delta", "item_id": f"i{number}", "delta": "x"}
        reader.decode(json.dumps(delta))
        sound = {"type": "response.output_audio.delta", "item_id": "i", "delta": "AAA="}
        reader.decode(json.dumps({**sound, "content_index": number}))
    assert len(reader._memory.items) == 512
    assert all(len(item.samples) <= 16 for item in reader._memory.items.values())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_after_broken_examples_the_next_turn_can_be_taken(dialect):
    choose = random.Random(7)
    for _ in range(20):
        reader = codec(dialect)
        talk = Conversation(SessionSettings(), reader.capabilities)
        now = 0.0
        talk.handle(ev.SessionCreated(), now)
        for _ in range(300):
            now += 0.1
            for event in reader.decode(mutate(choose, choose.choice(EXAMPLES))):
                for effect in talk.handle(event, now):
                    if isinstance(effect, ev.Send):
                        reader.encode(effect.command)
            if talk.deadline is not None and talk.deadline <= now:
                talk.handle(ev.Tick(), now)
        talk.handle(ev.Disconnected("over"), now)
        asked = talk.handle(ev.SessionCreated(), now)
        asked += talk.handle(ev.Typed("hello"), now)
        assert any(isinstance(e, ev.Send) and isinstance(e.command, ev.CreateResponse)
                   for e in asked)  # fmt: skip
