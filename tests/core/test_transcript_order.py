"""Passages are released complete, once, and in the order of speech."""

from __future__ import annotations

import itertools

import pytest

from voicechat.core.events import Event, InputCommitted, Token, TranscriptSegment, UserTranscript
from voicechat.core.transcript_order import MAX_DELAY_S, TranscriptOrder


def final(item_id: str, text: str, **more: object) -> UserTranscript:
    return UserTranscript(item_id, text, final=True, replace=True, **more)  # type: ignore[arg-type]


def failed(item_id: str) -> UserTranscript:
    return UserTranscript(item_id, "", final=True, error="unintelligible")


def given(dictation: TranscriptOrder, *events: Event, now: float = 0.0) -> list[str]:
    return [
        f"{each.text}!{each.error}" if each.error else each.text
        for event in events
        for each in dictation.handle(event, now)
    ]


@pytest.mark.parametrize("order", itertools.permutations("abc"))
@pytest.mark.parametrize("commits", itertools.permutations([("a", None), ("b", "a"), ("c", "b")]))
def test_any_order_of_completions_and_commits(order, commits):
    dictation = TranscriptOrder()
    assert not given(dictation, *(InputCommitted(*each) for each in commits))
    assert given(dictation, *(final(each, each) for each in order)) == ["a", "b", "c"]


def test_passages_in_a_cycle_are_not_lost():
    dictation = TranscriptOrder()
    circle = [InputCommitted("a", "b"), InputCommitted("b", "a"), InputCommitted("c", "c")]
    given(dictation, *circle)
    assert sorted(given(dictation, *(final(each, each) for each in "abc"))) == ["a", "b", "c"]


def test_a_passage_inserted_after_a_released_one():
    dictation = TranscriptOrder()
    given(dictation, InputCommitted("a", None))
    assert given(dictation, final("a", "a")) == ["a"]
    assert not given(dictation, InputCommitted("c", "b"), InputCommitted("b", "a"))
    assert given(dictation, final("c", "c"), final("b", "b")) == ["b", "c"]


def test_partials_are_shown_in_order_and_replaced_by_the_final_text():
    dictation = TranscriptOrder()
    given(
        dictation,
        UserTranscript("a", "one"),
        UserTranscript("a", " two"),
        InputCommitted("a", None),
        UserTranscript("b", "thr"),
        UserTranscript("b", "three", replace=True),
    )
    assert dictation.partial == "one two three"
    assert given(dictation, final("a", "One, two.")) == ["One, two."]
    assert dictation.partial == "three"


def test_a_failed_passage_keeps_its_position_and_its_partial_text():
    dictation = TranscriptOrder()
    given(dictation, InputCommitted("a", None), InputCommitted("b", "a"))
    given(dictation, UserTranscript("a", "half"))
    assert not given(dictation, final("b", "b"))
    assert given(dictation, failed("a")) == ["half!unintelligible", "b"]


def test_a_missing_passage_delays_the_others_only_for_a_time():
    dictation = TranscriptOrder()
    given(dictation, InputCommitted("a", None), InputCommitted("b", "a"))
    assert not given(dictation, final("b", "b"), now=5.0)
    assert dictation.deadline == 5.0 + MAX_DELAY_S
    assert dictation.tick(5.0 + MAX_DELAY_S - 0.1) == []
    assert [each.text for each in dictation.tick(5.0 + MAX_DELAY_S)] == ["b"]
    assert dictation.deadline is None
    assert given(dictation, final("a", "a"), now=30.0) == ["a"]


def test_no_passage_is_released_twice():
    dictation = TranscriptOrder()
    given(dictation, InputCommitted("a", None))
    assert given(dictation, final("a", "a"), final("a", "again")) == ["a"]
    assert not given(dictation, UserTranscript("a", "late"), InputCommitted("a", None))
    assert dictation.partial == ""


def test_a_lost_connection_releases_final_passages_only():
    dictation = TranscriptOrder()
    given(dictation, InputCommitted("a", None), InputCommitted("b", "a"))
    given(dictation, UserTranscript("a", "half"), final("b", "b"))
    assert [each.text for each in dictation.lost()] == ["b"]
    assert (dictation.partial, dictation.deadline) == ("", None)


def test_speakers_are_named_when_they_change():
    dictation = TranscriptOrder()
    segments = [
        TranscriptSegment("a", "Fine.", "B", 2.0, 3.0),
        TranscriptSegment("a", "Good morning.", "A", 0.0, 1.0),
        TranscriptSegment("a", "How are you?", "A", 1.0, 2.0),
    ]
    given(dictation, InputCommitted("a", None), *segments)
    (passage,) = dictation.handle(final("a", "Good morning. How are you? Fine."), 0.0)
    assert passage.spoken == "A: Good morning. How are you? B: Fine."


def test_tokens_come_with_the_final_text_or_from_the_deltas():
    one, two = Token("one", -0.1), Token(" two", -0.2)
    dictation = TranscriptOrder()
    given(dictation, UserTranscript("a", "one", tokens=(one,)))
    given(dictation, UserTranscript("a", " two", tokens=(two,)))
    (passage,) = dictation.handle(final("a", "one two", languages=("en",)), 0.0)
    assert (passage.tokens, passage.languages) == ((one, two), ("en",))
    given(dictation, UserTranscript("b", "one", tokens=(one,)))
    (passage,) = dictation.handle(final("b", "two", tokens=(two,)), 0.0)
    assert passage.tokens == (two,)
