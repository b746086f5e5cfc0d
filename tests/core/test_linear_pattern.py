"""Linear patterns agree with Python's on the same syntax, and never take long."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicechat.core import linear_pattern
from voicechat.core.linear_pattern import (
    LinearPattern,
    PatternError,
    PatternTooSlow,
    words_pattern,
)

CASES = [
    (r"\bprice\b", "the PRICE is", "PRICE"),
    (r"\bprice\b", "priceless", None),
    (r"\d+ (dollars|euros?)", "about 15 euros", "15 euro"),
    (r"\d{3}-\d{4}", "call 555-1234 now", "555-1234"),
    (r"\d{3}-\d{4}", "call 55-1234 now", None),
    (r"colou?r", "Color", "Color"),
    (r"[^a-z ]+x", "ab ##x", "##x"),
    (r"(?:ab){2,3}c", "zababc", "ababc"),
    (r"a.c", "a\nc abc", "abc"),
    (r"\$\d", "it is $5", "$5"),
    (r"[\w.]+@[\w]+", "to me@home", "me@h"),
    (r"ja\b", "ja", "ja"),
]


@pytest.mark.parametrize(("pattern", "text", "found"), CASES)
def test_search(pattern: str, text: str, found: str | None) -> None:
    assert LinearPattern(pattern).search(text) == found
    assert (re.search(pattern, text, re.IGNORECASE) is None) is (found is None)


PARTS = st.sampled_from(
    ["a", "b", " ", r"\b", "[ab]", "[^a]", ".", r"\w", r"\s", "(a|b)", "(?:ab)"]
)
REPEATS = st.sampled_from(["", "", "", "*", "+", "?", "{2}", "{1,2}"])
SIMPLE = st.lists(st.tuples(PARTS, REPEATS).map(lambda p: p[0] + (p[1] if p[0] != r"\b" else "")))


@given(st.lists(SIMPLE.map("".join), min_size=1, max_size=3), st.text("abAB _\n", max_size=12))
def test_it_agrees_with_the_regular_expressions_of_python(parts: list[str], text: str) -> None:
    pattern = "|".join(parts)
    try:
        found = LinearPattern(pattern).search(text)
    except PatternError:
        return
    assert (found is None) is (re.search(pattern, text, re.IGNORECASE) is None)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("", "empty part"),
        ("a*", "empty text"),
        ("(a", 'before its ")"'),
        ("a)", 'without its "("'),
        ("[a", 'before its "]"'),
        ("[z-a]", "range"),
        ("^a", "not supported"),
        ("(?=a)", "not supported"),
        (r"(a)\1", "not supported"),
        ("a**", "repeats a repeat"),
        ("a{999}", "a number up to 100"),
        ("a{2", 'before its "}"'),
        ("a\\", "too early"),
        ("(" * 30 + "a" + ")" * 30, "nested"),
        ("(((a{100}){100}){100}){100}", "too large"),
        ("x" * 501, "500 characters"),
    ],
)
def test_what_is_not_supported_says_why(pattern: str, why: str) -> None:
    with pytest.raises(PatternError, match=re.escape(why)):
        LinearPattern(pattern)


def test_a_pattern_that_makes_python_backtrack_for_years_reads_each_character_once() -> None:
    pattern = LinearPattern(r"(a+)+(a|aa)+b\d")
    reads = 0
    step = pattern._step

    def counted(*key: object) -> frozenset[int]:
        nonlocal reads
        reads += 1
        return step(*key)  # type: ignore[arg-type]

    pattern._step = counted  # type: ignore[method-assign]
    assert pattern.search("a" * 4_000) is None
    assert reads <= 4_001


def test_words_are_whole_words_and_phrases() -> None:
    pattern = LinearPattern(words_pattern(["cat", "new  york", "c++", "秘密"]))
    assert pattern.search("concatenate") is None
    assert pattern.search("a Cat.") == "Cat"
    assert pattern.search("in New York") == "New York"
    assert pattern.search("I like C++ a lot") == "C++"
    assert pattern.search("これは秘密です") == "秘密"


def test_a_search_that_follows_too_many_ways_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_pattern, "MAX_WORK", 20_000)
    pattern = LinearPattern(r"a.{0,100}.{0,100}.{0,100}\$")
    text = "".join(random.Random(1).choices("abc ", k=1_000))
    for _ in range(2):
        with pytest.raises(PatternTooSlow, match="smaller numbers"):
            pattern.search(text)
    assert pattern.search("abc $") == "abc $"
    assert LinearPattern(r"([a-z]+ )*[a-z]+\$").search(text) is None
