"""The client event types of every wire, and the check of an event that a user writes."""

from __future__ import annotations

import json

import pytest

from voicechat.errors import UsageError
from voicechat.providers import catalog
from voicechat.providers.client_frames import MOST_CHARACTERS, ClientFrame, checked_frame
from voicechat.providers.codec import Codec, client_events

MODELS = (
    "openai", "azure/x", "xai", "google", "gateway", "local", "openai/gpt-live-1",
    "openai/gpt-realtime-translate",
)  # fmt: skip


def events_of(model: str) -> tuple[ClientFrame, ...]:
    return client_events(catalog.codec_of(model, environ={}))


@pytest.mark.parametrize("model", MODELS)
def test_every_wire_offers_events_that_pass_its_own_check(model: str) -> None:
    known = events_of(model)
    assert len(known) >= 3
    assert len({each.name for each in known}) == len(known)
    for each in known:
        assert json.loads(checked_frame(known, each.text)) == each.template


@pytest.mark.parametrize(
    ("wire", "typed", "sentence"),
    [
        ("openai", "hello", "not a JSON object"),
        ("openai", "[1]", "not a JSON object"),
        ("openai", "[" * 100_000, "not a JSON object"),
        ("openai", "{" * 5 + '"a":' * 5, "not a JSON object"),
        ("openai", '{"a": NaN}', "not a JSON object"),
        ("openai", "{}", r"^The event is empty\. Write it like {"),
        ("openai", '{"type": "response.creat"}', r"Did you mean response\.create\?"),
        ("openai", '{"type": 7}', "no client event"),
        ("openai", '{"type": "\\u001b[2J"}', "no client event '\ufffd\\[2J'"),
        ("openai", '{"type": "conversation.item.delete"}', "needs the field item_id"),
        ("openai", '{"type": "response.create", "responses": {}}', r"Did you mean response\?"),
        ("openai", '{"type": "response.create", "response": []}', "must be an object"),
        ("openai", ('{"type": "conversation.item.truncate", "item_id": "a", "content_index": true,'
                   ' "audio_end_ms": 1}'), "must be a number"),
        ("xai", '{"type": "conversation.item.retrieve", "item_id": "a"}', "no client event"),
        ("google", '{"type": "response.create"}', "no client event"),
        ("google", '{"realtimeInput": []}', "must be an object"),
        ("google", '{"realtimeInput": {"text": 1}}', "must be text"),
        ("google", '{"realtimeInput": {}, "setup": {}}', "no other field"),
        ("gateway", '{"type": "response.create"}', r"Did you mean response-create\?"),
        ("openai", "x" * (MOST_CHARACTERS + 1), "more than"),
    ],
    ids=range(20),
)  # fmt: skip
def test_a_wrong_event_is_refused_in_one_sentence(wire: str, typed: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as refused:
        checked_frame(events_of(wire), typed)
    assert "\n" not in str(refused.value)
    assert "\x1b" not in str(refused.value)


def test_a_type_without_required_fields_can_be_sent_by_its_name() -> None:
    known = events_of("openai")
    assert json.loads(checked_frame(known, "response.cancel")) == {"type": "response.cancel"}


def test_a_codec_that_offers_no_events_takes_any_object() -> None:
    class Other:
        """A codec of another package."""

    other: Codec = Other()  # type: ignore[assignment]
    assert client_events(other) == ()
    assert checked_frame((), ' {"any": [1]}\n') == '{"any": [1]}'
    with pytest.raises(UsageError):
        checked_frame((), "any")
