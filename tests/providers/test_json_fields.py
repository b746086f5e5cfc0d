"""Frames that would block the event loop are judged by their marks and not read."""

from __future__ import annotations

import json

import pytest

from voicechat.providers import json_fields
from voicechat.providers.json_fields import message
from voicechat.system.frame_cost import CHEAP_CHARACTERS, MOST_TEXT, is_costly

MEGABYTE = 1 << 20
COSTLY = {
    "objects": '{"a": [' + "{}," * 300_000 + "1]}",
    "fields": "{" + "".join(f'"{n}":1,' for n in range(100_000)) + '"z": 1}',
    "numbers": '{"a": [' + "1.5," * 300_000 + "1]}",
    "lists": '{"a": ' + "[" * 300_000,
    "texts": '{"a": [' + '"",' * 300_000 + "1]}",
    "words": '{"a": "' + "word " * 300_000 + '"}',
    "escapes": '{"a": "' + "\\u001b" * 300_000 + '"}',
    "halves of pairs": '{"a": "' + "\\ud83d" * 300_000 + '"}',
    "joiners": '{"a": "' + "\u200d" * MEGABYTE + '"}',
    "deletes": '{"a": "' + "\x7f" * MEGABYTE + '"}',
    "many long texts": '{"a": [' + ('"' + "x" * 9_000 + '",') * 200 + "1]}",
}


@pytest.mark.parametrize("frame", COSTLY.values(), ids=COSTLY)
def test_a_costly_frame_is_not_read(frame: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object, **__: object) -> object:
        raise AssertionError("it was read")

    monkeypatch.setattr(json_fields.msgspec.json, "decode", decode)
    monkeypatch.setattr(json_fields.json, "loads", decode)
    assert message(frame) is None
    assert message(frame.encode()) is None


@pytest.mark.parametrize(
    "value",
    [
        {"delta": "A+/=" * (3 * MEGABYTE)},
        {"delta": "A" * (12 * MEGABYTE), "text": "word " * 1_000},
        {"text": "word " * (MOST_TEXT // 5 - 10)},
        {"tools": [{"name": f"t{n}", "parameters": {"a": [1, 2, 3]}} for n in range(2_000)]},
    ],
    ids=["sound", "sound and text", "text", "tools"],
)
def test_a_large_frame_of_sound_or_text_is_read(value: dict[str, object]) -> None:
    frame = json.dumps(value)
    assert message(frame) == message(frame.encode()) == value


def test_a_small_frame_is_not_judged() -> None:
    assert not is_costly("[" * CHEAP_CHARACTERS)


def test_a_large_frame_that_is_no_json_is_not_read_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    def loads(*_: object, **__: object) -> object:
        raise AssertionError("it was read twice")

    frame = '{"a": "\\ud83d' + "x" * CHEAP_CHARACTERS
    monkeypatch.setattr(json_fields.json, "loads", loads)
    assert message(frame) is None
