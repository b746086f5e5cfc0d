"""Splitting of streaming text into clauses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.server.assistant.clauses import Clauses, is_sentence, split


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello there. How are you? Fine!", ["Hello there. ", "How are you? ", "Fine!"]),
        (
            "Well, it depends, mostly on you, I think.",
            ["Well, it depends, ", "mostly on you, I think."],
        ),
        ("It costs 3.5 dollars. Really.", ["It costs 3.5 dollars. ", "Really."]),
        (
            "Dr. Smith met Mr. J. Doe, e.g. here. Yes.",
            ["Dr. Smith met Mr. J. Doe, ", "e.g. here. ", "Yes."],
        ),
        ("1. Eat. 2. Sleep.", ["1. Eat. ", "2. Sleep."]),
        ("So did I. Then", ["So did I. ", "Then"]),
        ("one\ntwo\n\nthree", ["one\n", "two\n\n", "three"]),
        ("He said “no.” And left.", ["He said “no.” ", "And left."]),
        ("Wait... what? Yes.", ["Wait... ", "what? ", "Yes."]),
        ("   ", []),
        ("", []),
    ],
)
def test_cuts(text, pieces):
    assert split(text) == pieces


def test_the_first_clause_does_not_wait_for_the_sentence():
    clauses = Clauses()
    assert clauses.feed("As far as I know, the") == ["As far as I know, "]
    assert clauses.feed(" sky is blue, and so on. N") == ["the sky is blue, and so on. "]
    assert clauses.flush() == ["N"]


def test_long_sentences_are_split():
    assert max(map(len, split("word " * 400))) <= 240
    assert max(map(len, split("x" * 1000))) <= 240


@given(st.text(alphabet="ab1.,?! \n", max_size=400), st.integers(1, 30))
def test_no_text_is_lost_in_any_chunking(text, step):
    clauses = Clauses()
    pieces = []
    for at in range(0, len(text), step):
        pieces += clauses.feed(text[at : at + step])
    joined = "".join([*pieces, *clauses.flush()])
    assert joined == text or joined.rstrip() == text.rstrip()


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "Tell me about the moon.",
        "Stop it now!",
        "That is what I said. Please go on.",
    ],
)
def test_a_whole_sentence_ends_a_turn(text: str) -> None:
    assert is_sentence(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Yes.",
        "Paris, please",
        "Tell me about the moon",
        "I was there and.",
        "What I want is um.",
        "Let me think about the…",
        "I was wondering...",
        "It was going to.",
        "The thing is, I'm.",
    ],
)
def test_a_sentence_that_may_continue_does_not_end_a_turn(text: str) -> None:
    assert not is_sentence(text)
