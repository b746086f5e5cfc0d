"""Answers that are incomplete or empty: one sentence with the reason."""

from __future__ import annotations

import pytest

from voicechat.core import events, inputs
from voicechat.core.conversation import Conversation
from voicechat.core.effects import Notice
from voicechat.core.events import ItemKind, ResponseStatus
from voicechat.core.items import Item, ItemStatus
from voicechat.core.settings import SessionSettings
from voicechat.core.short_answers import EMPTY, UNKNOWN


def begun() -> Conversation:
    conversation = Conversation(SessionSettings(), hands_free=False, speaker=False)
    for event in (
        events.SessionCreated(), events.SessionUpdated(), inputs.Typed("hello"),
        events.ResponseCreated("r"),
    ):  # fmt: skip
        conversation.handle(event, 1.0)
    return conversation


def notices(conversation: Conversation, *happened: events.Event) -> list[tuple[str, str]]:
    effects = [effect for event in happened for effect in conversation.handle(event, 2.0)]
    return [(each.text, each.hint) for each in effects if isinstance(each, Notice)]


@pytest.mark.parametrize(
    ("reason", "sentence", "has_hint"),
    [
        ("max_output_tokens", "The answer is incomplete: it reached the limit of output tokens.",
         True),
        ("content_filter",
         "The answer is incomplete: the content filter of the provider stopped it.", False),
        ("the model gave up", "The answer is incomplete: the model gave up.", False),
        (None, "The answer is incomplete: the provider gives no reason.", False),
    ],
)  # fmt: skip
def test_an_incomplete_answer_has_a_reason(
    reason: str | None, sentence: str, has_hint: bool
) -> None:
    conversation = begun()
    conversation.handle(events.TextDelta("r", "a", "Half", spoken=False), 1.0)
    done = events.ResponseDone("r", ResponseStatus.INCOMPLETE, reason)
    ((said, hint),) = notices(conversation, done)
    assert said == sentence
    assert bool(hint) is has_hint
    item = conversation.transcript.entries[-1]
    assert isinstance(item, Item)
    assert (item.status, item.text, item.error) == (ItemStatus.FAILED, "Half", sentence)


def test_a_failed_answer_without_a_reason() -> None:
    done = events.ResponseDone("r", ResponseStatus.FAILED)
    assert notices(begun(), done) == [(UNKNOWN, "")]


def test_a_tool_call_that_was_cut_off_is_named() -> None:
    conversation = begun()
    added = events.OutputItemAdded("r", "i", ItemKind.TOOL_CALL, "c", "write")
    piece = events.ToolArgumentsDelta("r", "i", "c", '{"te')
    done = events.ResponseDone("r", ResponseStatus.INCOMPLETE, "max_output_tokens")
    ((said, _),) = notices(conversation, added, piece, done)
    assert said == (
        "The answer is incomplete: it reached the limit of output tokens."
        " The tool write did not run, because the call was cut off."
    )


def test_an_empty_answer_is_reported() -> None:
    added = events.OutputItemAdded("r", "a")
    assert notices(begun(), added, events.ResponseDone("r")) == [(EMPTY, "")]


@pytest.mark.parametrize(
    "output",
    [
        events.TextDelta("r", "a", "Hello", spoken=False),
        events.OutputItemAdded("r", "i", ItemKind.TOOL_CALL, "c", "write"),
        events.OutputItemAdded("r", "i", ItemKind.OTHER),
    ],
)
def test_an_answer_with_output_is_not_empty(output: events.Event) -> None:
    assert notices(begun(), output, events.ResponseDone("r")) == []


def test_an_answer_without_a_response_id_is_found() -> None:
    conversation = begun()
    said = events.TextDelta("", "a", "Hello", spoken=False)
    assert notices(conversation, events.ResponseCreated(""), said, events.ResponseDone("")) == []
    item = conversation.transcript.entries[-1]
    assert isinstance(item, Item)
    assert item.status is ItemStatus.COMPLETED


def test_no_answer_to_a_noise_is_not_reported() -> None:
    conversation = Conversation(SessionSettings(), hands_free=True, speaker=True)
    for event in (events.SessionCreated(), events.SessionUpdated()):
        conversation.handle(event, 1.0)
    for turn, (text, said) in enumerate((("", []), ("Hello?", [(EMPTY, "")]))):
        item, response = f"u{turn}", f"r{turn}"
        heard = (events.SpeechStarted(item), events.SpeechStopped(item))
        answer = (events.ResponseCreated(response), events.UserTranscript(item, text, final=True))
        found = notices(conversation, *heard, *answer, events.ResponseDone(response))
        assert found == said


@pytest.mark.parametrize(
    "done",
    [
        events.ResponseDone("r", ResponseStatus.CANCELLED, "client_cancelled"),
        events.ResponseDone("r", reason="NEED_MORE_INPUT"),
    ],
)
def test_a_response_that_is_no_answer_is_not_reported(done: events.ResponseDone) -> None:
    assert notices(begun(), done) == []
