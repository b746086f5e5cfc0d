"""Plain text, pieces of it, and words as they are written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.synthesis.speech_text import (
    SentenceBuffer,
    WordBuffer,
    cut_text,
    plain_text,
    weight,
)

MARKDOWN = "# Title\n\nThis is **bold** and a [link](http://a.b).\n\n- one\n- `two`\n"
PLAIN = "Title\n\nThis is bold and a link.\n\none\ntwo"


def test_markup_is_not_spoken() -> None:
    assert plain_text(MARKDOWN) == PLAIN
    assert plain_text("\x1b[31mred\x00\n") == "[31mred"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ('<p align="center"><b>Bold</b> &amp; <br/>red</p><!-- no -->', "Bold & red"),
        ("If a<b and c>d, or x < y", "If a<b and c>d, or x < y"),
        ("&lt;b&gt; &#27;[31m AT&T &nothing;", "<b> \ufffd[31m AT&T &nothing;"),
    ],
    ids=range(3),
)
def test_html_in_markdown_is_not_spoken(text: str, plain: str) -> None:
    assert plain_text(text).replace("\ufffd", "") == plain.replace("\ufffd", "")


def test_unfinished_html_takes_no_time() -> None:
    many = "<a x=" * 20_000 + "<p " + "a=b " * 5_000 + "<!--" * 20_000
    assert len(plain_text(many)) > 90_000


def test_a_text_is_cut_at_sentences() -> None:
    text = "A sentence ends here. " * 500
    pieces = cut_text(text, 4_096)
    assert " ".join(pieces) == text.strip()
    assert all(piece.endswith("here.") and len(piece) <= 4_096 for piece in pieces)
    assert len(pieces) == 3


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("One two. Three four", ["One two.", "Three four"]),
        ("one, two three", ["one,", "two three"]),
        ("onetwothree", ["onetwothre", "e"]),
        ("ab.\n\ncd ef gh", ["ab.", "cd ef gh"]),
        ("abcdef\n\ncd ef", ["abcdef", "cd ef"]),
        ("... !!!", []),
    ],
)
def test_the_best_place_for_a_cut_is_used(text: str, pieces: list[str]) -> None:
    assert cut_text(text, 10) == pieces


def test_wide_characters_count_more() -> None:
    assert weight("漢字ab") == 8
    assert all(weight(piece) <= 100 for piece in cut_text("漢字。" * 200, 100))


@given(st.text(alphabet="ab .,\n漢", max_size=300), st.integers(3, 40))
def test_no_letter_is_lost_and_no_piece_is_too_long(text: str, most: int) -> None:
    pieces = cut_text(text, most)
    letters = [each for each in text if each.isalnum()]
    assert [each for piece in pieces for each in piece if each.isalnum()] == letters
    assert all(weight(piece) <= most for piece in pieces)


def test_sentences_are_returned_when_they_are_complete() -> None:
    buffer = SentenceBuffer()
    assert buffer.take() == ""
    buffer.add("Hello **you**. How a")
    assert buffer.take() == "Hello you."
    assert buffer.take() == ""
    buffer.add("re you?")
    assert buffer.take() == ""
    assert buffer.rest() == "How are you?"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_words_are_returned_without_markup(size: int) -> None:
    buffer, text = WordBuffer(), MARKDOWN + "last word"
    parts = [buffer.add(text[start : start + size]) for start in range(0, len(text), size)]
    assert (
        "".join([*parts, buffer.rest()])
        == "Title\n\nThis is bold and a link.\n\none\ntwo\nlast word"
    )


def test_a_word_is_returned_before_its_sentence_ends() -> None:
    buffer = WordBuffer()
    assert buffer.add("Good d") == "Good "
    assert buffer.add("ay th") == "day "
    assert buffer.add("ere ") == "there "
