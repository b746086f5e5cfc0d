"""Cleaning of outside text."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.core.text import REPLACEMENT, clean, clean_json, split_tail

HIDING = [
    *(chr(code) for code in range(0x20) if chr(code) not in "\n\t"),
    *(chr(code) for code in range(0x7F, 0xA0)),
    *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069",
    *"\u00ad\u034f\u180e\u200b\u200c\u200d\u2060\u2061\u2064\u206a\u206f\u3164\ufeff\ufff9",
    *"\ud800\udbff\udc00\udfff",
    *(chr(code) for code in range(0xE0000, 0xE0080)),
]

any_text = st.text(st.characters() | st.sampled_from([*HIDING, "\r", "\n", "\ufe0f", "😀"]))


@pytest.mark.parametrize("character", HIDING, ids=lambda c: f"U+{ord(c):04X}")
def test_a_control_character_becomes_one_visible_mark(character):
    assert clean(f"a{character}b") == f"a{REPLACEMENT}b"
    assert clean(character) == REPLACEMENT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain words, 17 × 23 = 391",
        "two\nlines\tand a tab",
        "naïve café — “quoted” …",
        "日本語のテキスト",
        "שלום עולם، مرحبا",
        "👩\u200d👩\u200d👧 ❤\ufe0f 👍🏽 🇨🇭",
        "می\u200cخواهم",
        "क\u094d\u200dष",
        "葛\U000e0100城",
    ],
)
def test_ordinary_text_is_unchanged(text):
    assert clean(text) is text


def test_line_ends_are_normalized():
    assert clean("a\r\nb\u2028c\u2029d") == "a\nb\nc\nd"


@pytest.mark.parametrize(
    "attack",
    [
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b[2J\x1b[?1049l",
        "\x9b31m\x9d0;title\x9c",
        "\x1b]8;;https://evil.example\x1b\\click\x1b]8;;\x1b\\",
        "run \u202egpj.exe",
        "safe\U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065",
        "😀" + "".join(chr(0xE0100 + byte) for byte in b"hidden"),
    ],
)
def test_attacks_are_visible_and_harmless(attack):
    shown = clean(attack)
    assert REPLACEMENT in shown
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs"} for character in shown)


def test_surrogate_halves_are_joined():
    assert clean("\ud83d\ude00 \ude00\ud83d") == f"😀 {REPLACEMENT}{REPLACEMENT}"


@given(any_text)
def test_clean_text_is_encodable_and_stays_clean(text):
    once = clean(text)
    once.encode("utf-8")
    assert clean(once) == once


@given(any_text)
def test_newline_and_tab_are_the_only_controls_kept(text):
    assert not any(
        unicodedata.category(character) == "Cc" and character not in "\n\t"
        for character in clean(text)
    )


@pytest.mark.parametrize(
    ("whole", "cut"),
    [("\ud83d\ude00", 1), ("a\r\nb", 2), ("👩\u200d👧", 2), ("می\u200cخواهم", 3), ("plain", 2)],
)
def test_a_split_text_cleans_like_the_whole(whole, cut):
    head, tail = split_tail(whole[:cut])
    assert clean(head) + clean(tail + whole[cut:]) == clean(whole)


@given(any_text)
def test_splitting_loses_nothing(text):
    head, tail = split_tail(text)
    assert head + tail == text
    assert len(tail) <= 1


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (r'{"a":"\u001b[2J"}', {"a": "\ufffd[2J"}),
        (r'{"a":"\\u001b"}', {"a": r"\u001b"}),
        (r'{"a":"\u202e\ud800\b"}', {"a": "\ufffd\ufffd\ufffd"}),
        (r'{"a":"\ud83d\ude00\u0022\n\t\r\n"}', {"a": '\U0001f600"\n\t\n'}),
        ('{"a":"x\u2028y"}', {"a": "x\ny"}),
        (r'{"a":"\u000a\u2029"}', {"a": "\n\n"}),
        (r'{"\u001b":{"b":["\u0007"]}}', {"\ufffd": {"b": ["\ufffd"]}}),
    ],
)
def test_json_values_are_clean(text: str, meant: object) -> None:
    cleaned = clean_json(text)
    assert json.loads(cleaned) == meant
    assert clean_json(cleaned) == cleaned
