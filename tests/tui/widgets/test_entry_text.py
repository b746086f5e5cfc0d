"""Text of a transcript entry, in every state."""

from __future__ import annotations

import re

import pytest

from voicechat.core import tool_calls
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState
from voicechat.tui.widgets.entry_text import (
    COLLAPSED_CHARS,
    EXPANDED_CHARS,
    MAX_SHOWN_CHARS,
    MAX_SHOWN_LINES,
    duration,
    format_entry,
    is_visible,
)


def spoken(text: str, status: ItemStatus, heard: int | None) -> Item:
    return Item("a", Role.ASSISTANT, text, status, spoken=True, heard_chars=heard)


def body(entry: Item | ToolCall, expanded: bool = False) -> str:
    return format_entry(entry, expanded).plain


@pytest.mark.parametrize(
    ("heard", "shown"),
    [(0, ""), (1, "Hello"), (5, "Hello"), (6, "Hello there"), (99, "Hello there world")],
)
def test_speech_shows_whole_words_of_the_heard_text(heard: int, shown: str) -> None:
    assert body(spoken("Hello there world", ItemStatus.IN_PROGRESS, heard)) == shown


def test_an_interrupted_answer_shows_heard_and_unheard_text() -> None:
    text = body(spoken("one two three", ItemStatus.INTERRUPTED, 7))
    assert text == "one two\n┄ interrupted · not heard: three"


def test_only_the_unheard_text_is_struck_through() -> None:
    content = format_entry(spoken("one two three", ItemStatus.INTERRUPTED, 7)).body
    struck = [
        content.plain[span.start : span.end] for span in content.spans if "strike" in str(span)
    ]
    assert struck == ["three"]


def test_an_answer_interrupted_before_its_first_word_shows_all_text_as_unheard() -> None:
    text = body(spoken("one two", ItemStatus.INTERRUPTED, 0))
    assert text == "┄ interrupted · not heard: one two"


def test_an_answer_interrupted_after_its_last_word_has_no_unheard_text() -> None:
    assert body(spoken("one", ItemStatus.INTERRUPTED, 3)) == "one\n┄ interrupted"


def test_an_interrupted_text_answer_has_no_unheard_text() -> None:
    assert body(Item("a", Role.ASSISTANT, "one", ItemStatus.INTERRUPTED)) == "one\n┄ interrupted"


def test_a_failed_answer_shows_the_reason() -> None:
    item = Item("a", Role.ASSISTANT, "We", ItemStatus.FAILED, error="overloaded")
    assert body(item) == "We\n✗ not finished: overloaded"


def test_a_user_turn_ends_in_dots_until_it_is_transcribed() -> None:
    item = Item("u", Role.USER, "", spoken=True)
    assert body(item) == "…"
    item.text = "what time"
    assert body(item) == "what time …"
    item.status = ItemStatus.COMPLETED
    assert body(item) == "what time"


def test_a_turn_without_words_shows_a_text() -> None:
    assert body(Item("u", Role.USER, "", ItemStatus.COMPLETED)) == "(no words)"
    failed = Item("u", Role.USER, "", ItemStatus.COMPLETED, error="too noisy")
    assert body(failed) == "✗ not transcribed: too noisy"


def test_a_line_that_waits_for_a_connection_is_marked() -> None:
    waiting = Item("i", Role.USER, "hello", ItemStatus.COMPLETED, unsent=True)
    assert body(waiting) == "hello\n↻ not sent yet"
    waiting.unsent = False
    assert body(waiting) == "hello"


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
def test_only_entries_with_content_are_visible(item: Item, shown: bool) -> None:
    assert is_visible(item) is shown


@pytest.mark.parametrize("state", list(ToolState))
def test_tool_states_have_different_words(state: ToolState) -> None:
    words = {body(ToolCall("c", "i", "r", "look", "{}", each)) for each in ToolState}
    assert len(words) == len(ToolState)
    assert body(ToolCall("c", "i", "r", "look", "{}", state)).startswith("look  ")


def test_a_tool_call_shows_arguments_result_and_duration() -> None:
    call = ToolCall("c", "i", "r", "look", '{"q": "a b", "n": 2}', ToolState.DONE, '{"x": [1]}')
    call.elapsed_ms = 1400.0
    assert body(call) == "look  ✓ done · 1.4 s\nq: a b · n: 2\n→ x: [1]"


MODEL_OUTPUTS = [text for text in vars(tool_calls).values() if str(text).startswith('{"error": ')]
"""Outputs that the conversation core writes for the model."""


def test_the_core_writes_outputs_for_the_model() -> None:
    assert tool_calls.INTERRUPTED in MODEL_OUTPUTS
    assert len(MODEL_OUTPUTS) > 1


@pytest.mark.parametrize("output", MODEL_OUTPUTS)
@pytest.mark.parametrize("expanded", [False, True])
def test_texts_for_the_model_are_not_shown_to_the_user(output: str, expanded: bool) -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.CANCELLED, output)
    shown = body(call, expanded=expanded)
    assert not re.search(r"[Tt]he user|Do not|error|[{}]", shown)


def test_an_interrupted_or_denied_call_has_a_text_for_the_user() -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.CANCELLED, tool_calls.INTERRUPTED)
    assert body(call).endswith("\n→ Interrupted.")
    call.output = tool_calls.denied("not {this} one")
    assert body(call).endswith("\n→ Not allowed: not {this} one")


def test_incomplete_json_arguments_are_shown_as_text() -> None:
    assert body(ToolCall("c", "i", "r", "look", '{"q": "a')).endswith('\n{"q": "a')


def test_a_long_result_is_collapsed_until_it_is_expanded() -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.DONE, "word " * 100)
    collapsed, complete = body(call), body(call, expanded=True)
    assert "more characters (Ctrl+O)" in collapsed
    assert len(collapsed) < COLLAPSED_CHARS + 80
    assert ("word " * 100).strip() in complete


def test_an_expanded_result_is_limited() -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.DONE, "x" * 1_000_000)
    assert len(body(call, expanded=True)) < EXPANDED_CHARS + 100


@pytest.mark.parametrize("text", ["[" * 100_000, "NaN", "1e999", "9" * 5000, "null", '"x"', ""])
def test_extreme_json_is_shown(text: str) -> None:
    call = ToolCall("c", "i", "r", "look", text, ToolState.DONE, text)
    # The interpreter limits digits of integers and the depth of JSON.
    for expanded in (False, True):
        shown = body(call, expanded)
        assert shown.startswith("look  ✓ done")
        assert text[:100] in shown


@pytest.mark.parametrize(
    ("ms", "text"), [(0.4, "0 ms"), (999, "999 ms"), (1400, "1.4 s"), (125_000, "2 min 5 s")]
)
def test_duration(ms: float, text: str) -> None:
    assert duration(ms) == text


def test_a_typed_answer_is_markdown_and_a_spoken_one_is_not() -> None:
    text = "`2**10` is **1,024**"
    typed = format_entry(Item("a", Role.ASSISTANT, text, ItemStatus.COMPLETED))
    assert (typed.markdown, typed.body.plain, typed.growing) == (text, "", False)
    said = format_entry(spoken(text, ItemStatus.COMPLETED, len(text)))
    assert (said.markdown, said.body.plain) == ("", text)
    mine = format_entry(Item("u", Role.USER, text, ItemStatus.COMPLETED))
    assert (mine.markdown, mine.body.plain) == ("", text)


@pytest.mark.parametrize(
    ("text", "head", "more"),
    [
        ("\n".join(f"line {n}" for n in range(40)), "line 9\n…", "… 30 more lines (Ctrl+O)"),
        ("word " * 500, "word word", "more characters (Ctrl+O)"),
    ],
)
def test_a_long_message_of_the_user_folds(text: str, head: str, more: str) -> None:
    item = Item("u", Role.USER, text, ItemStatus.COMPLETED)
    folded = body(item)
    assert head in folded
    assert folded.endswith(more)
    assert body(item, expanded=True) == text


@pytest.mark.parametrize("text", ["line\n" * 14, "x" * 1_400])
def test_a_message_that_is_a_little_longer_does_not_fold(text: str) -> None:
    assert body(Item("u", Role.USER, text, ItemStatus.COMPLETED)) == text


def test_a_running_call_shows_its_progress_until_it_ends() -> None:
    call = ToolCall("c", "i", "r", "look", "", ToolState.RUNNING, progress="40 %: [b]pages")
    assert body(call).splitlines()[0] == "look  ▸ running · 40 %: [b]pages"
    call.state = ToolState.DONE
    assert "40 %" not in body(call)


@pytest.mark.parametrize("role", [Role.ASSISTANT, Role.USER])
@pytest.mark.parametrize("piece", ["word ", "\n", "line\n"])
def test_only_the_start_of_an_endless_message_is_laid_out(role: Role, piece: str) -> None:
    text = piece * 60_000
    entry = Item("a", role, text, ItemStatus.COMPLETED)
    shown = format_entry(entry, expanded=True).plain
    assert len(shown) < MAX_SHOWN_CHARS + 100
    assert shown.count("\n") <= MAX_SHOWN_LINES + 1
    assert re.search(r"… \d+,\d+ more characters$", shown)
