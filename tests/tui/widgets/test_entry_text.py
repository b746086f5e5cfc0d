"""What an entry says, in every state."""

from __future__ import annotations

import re

import pytest

from voicechat.core import tool_calls
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.tui.widgets.entry_text import (
    FOLDED_CHARS,
    UNFOLDED_CHARS,
    duration,
    read,
    worth_showing,
)


def spoken(text: str, status: ItemStatus, heard: int | None) -> Item:
    return Item("a", Role.ASSISTANT, text, status, spoken=True, heard_chars=heard)


def body(entry: Item | ToolCall, unfolded: bool = False) -> str:
    return read(entry, unfolded).body.plain


@pytest.mark.parametrize(
    ("heard", "shown"),
    [(0, ""), (1, "Hello"), (5, "Hello"), (6, "Hello there"), (99, "Hello there world")],
)
def test_speech_shows_whole_words_of_what_was_heard(heard: int, shown: str) -> None:
    assert body(spoken("Hello there world", ItemStatus.IN_PROGRESS, heard)) == shown


def test_a_cut_answer_says_in_words_where_it_was_cut() -> None:
    text = body(spoken("one two three", ItemStatus.INTERRUPTED, 7))
    assert text == "one two\n┄ interrupted · not heard: three"


def test_the_unheard_rest_is_struck_through_and_the_heard_part_is_not() -> None:
    content = read(spoken("one two three", ItemStatus.INTERRUPTED, 7)).body
    struck = [
        content.plain[span.start : span.end] for span in content.spans if "strike" in str(span)
    ]
    assert struck == ["three"]


def test_an_answer_cut_before_its_first_word_keeps_its_text() -> None:
    text = body(spoken("one two", ItemStatus.INTERRUPTED, 0))
    assert text == "┄ interrupted · not heard: one two"


def test_an_answer_heard_to_its_end_before_the_cut_has_no_rest() -> None:
    assert body(spoken("one", ItemStatus.INTERRUPTED, 3)) == "one\n┄ interrupted"


def test_a_typed_answer_that_was_cut_has_no_unheard_part() -> None:
    assert body(Item("a", Role.ASSISTANT, "one", ItemStatus.INTERRUPTED)) == "one\n┄ interrupted"


def test_a_failed_answer_says_why() -> None:
    item = Item("a", Role.ASSISTANT, "We", ItemStatus.FAILED, error="overloaded")
    assert body(item) == "We\n✗ not finished: overloaded"


def test_what_a_person_is_saying_ends_in_dots_until_it_is_written_down() -> None:
    item = Item("u", Role.USER, "", spoken=True)
    assert body(item) == "…"
    item.text = "what time"
    assert body(item) == "what time …"
    item.status = ItemStatus.COMPLETED
    assert body(item) == "what time"


def test_a_turn_without_words_says_so() -> None:
    assert body(Item("u", Role.USER, "", ItemStatus.COMPLETED)) == "(no words)"
    failed = Item("u", Role.USER, "", ItemStatus.COMPLETED, error="too noisy")
    assert body(failed) == "✗ not transcribed: too noisy"


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        (Item("a", Role.ASSISTANT, "x", hidden=True), False),
        (Item("a", Role.ASSISTANT, ""), False),
        (spoken("words", ItemStatus.IN_PROGRESS, 0), False),
        (spoken("words", ItemStatus.INTERRUPTED, 0), True),
        (Item("a", Role.ASSISTANT, "", ItemStatus.COMPLETED), False),
        (Item("u", Role.USER, ""), True),
    ],
)
def test_only_what_says_something_is_shown(item: Item, shown: bool) -> None:
    assert worth_showing(item) is shown


@pytest.mark.parametrize("state", list(ToolState))
def test_every_tool_state_has_a_word_of_its_own(state: ToolState) -> None:
    words = {body(ToolCall("c", "i", "r", "look", "{}", one)) for one in ToolState}
    assert len(words) == len(ToolState)
    assert body(ToolCall("c", "i", "r", "look", "{}", state)).startswith("look  ")


def test_a_tool_shows_arguments_result_and_time() -> None:
    call = ToolCall("c", "i", "r", "look", '{"q": "a b", "n": 2}', ToolState.DONE, '{"x": [1]}')
    call.elapsed_ms = 1400.0
    assert body(call) == "look  ✓ done · 1.4 s\nq: a b · n: 2\n→ x: [1]"


@pytest.mark.parametrize(
    "output",
    [text for text in vars(tool_calls).values() if str(text).startswith('{"error": ')],
)
@pytest.mark.parametrize("unfolded", [False, True])
def test_texts_for_the_model_are_not_shown_to_the_user(output: str, unfolded: bool) -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.CANCELLED, output)
    shown = body(call, unfolded=unfolded)
    assert not re.search(r"[Tt]he user|Do not|error|[{}]", shown)


def test_an_interrupted_or_denied_call_says_so() -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.CANCELLED, tool_calls.INTERRUPTED)
    assert body(call).endswith("\n→ Interrupted.")
    call.output = tool_calls.denied("not {this} one")
    assert body(call).endswith("\n→ Not allowed: not {this} one")


def test_arguments_that_are_not_json_yet_are_shown_as_they_are() -> None:
    assert body(ToolCall("c", "i", "r", "look", '{"q": "a')).endswith('\n{"q": "a')


def test_a_long_result_is_folded_and_unfolds() -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.DONE, "word " * 100)
    folded, whole = body(call), body(call, unfolded=True)
    assert "more characters (Ctrl+R)" in folded
    assert len(folded) < FOLDED_CHARS + 80
    assert ("word " * 100).strip() in whole


def test_even_unfolded_a_result_is_bounded() -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.DONE, "x" * 1_000_000)
    assert len(body(call, unfolded=True)) < UNFOLDED_CHARS + 100


@pytest.mark.parametrize("text", ["[" * 100_000, "NaN", "1e999", "9" * 5000, "null", '"x"', ""])
def test_no_json_breaks_a_panel(text: str) -> None:
    call = ToolCall("c", "i", "r", "look", text, ToolState.DONE, text)
    body(call)
    body(call, unfolded=True)


@pytest.mark.parametrize(
    ("ms", "text"), [(0.4, "0 ms"), (999, "999 ms"), (1400, "1.4 s"), (125_000, "2 min 5 s")]
)
def test_durations_read_well(ms: float, text: str) -> None:
    assert duration(ms) == text
