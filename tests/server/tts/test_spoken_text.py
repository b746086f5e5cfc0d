"""The plain form for the synthesizer, and the way back to what was written."""

from __future__ import annotations

import pytest

from voicechat.server.tts.spoken_text import SpokenText
from voicechat.server.tts.streamed_words import split_words


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("Just words.", "Just words."),
        ("**Bold** and *soft* and __strong__.", "Bold and soft and strong."),
        ("Call `__init__` first.", "Call init first."),
        ("It is 2**10, or 3 * 4.", "It is 2 to the power of 10, or 3 * 4."),
        ("snake_case and a*b stay", "snake_case and a*b stay"),
        ("## Title\n- one\n* two\n> said\n", "Title\none\ntwo\nsaid\n"),
        ("```python\nx = 1\n```\n", "\nx = 1\n\n"),
        ("---\n", "\n"),
        ("See [the docs](https://example.org/a_b) now.", "See the docs now."),
        ("a [list] (of) things", "a [list] (of) things"),
        ("-5 degrees, #1 and C# and * alone", "-5 degrees, #1 and C# and * alone"),
        ("", ""),
    ],
)
def test_the_synthesizer_gets_words_and_the_transcript_what_was_written(
    written: str, plain: str
) -> None:
    spoken = SpokenText(written)
    assert spoken.plain == plain
    pieces = [spoken.written(word) for word in split_words(plain)]
    assert "".join(pieces) + spoken.rest() == written


def test_each_word_keeps_its_own_marks() -> None:
    spoken = SpokenText("**One** two [three](http://x.org).")
    assert [spoken.written(word) for word in split_words(spoken.plain)] == [
        "**One** ",
        "two ",
        "[three](http://x.org).",
    ]


@pytest.mark.parametrize("text", ["*" * 50_000, "[" * 50_000, "_a" * 25_000, "- " * 25_000])
def test_hostile_text_is_kept(text: str) -> None:
    assert SpokenText(text).rest() == text
