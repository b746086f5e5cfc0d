"""Failed transcriptions: each kind is reported once, with the remedy."""

from __future__ import annotations

from dataclasses import replace

from voicechat.core import events
from voicechat.core.conversation import Conversation
from voicechat.core.effects import Level, Notice
from voicechat.core.items import Item
from voicechat.core.settings import Capabilities, SessionSettings
from voicechat.core.user_items import REPEATED
from voicechat.providers.azure_connection import dialect_of

REMEDY = "Deploy a model."


def failed(conversation: Conversation, item_id: str, error: str) -> list[Notice]:
    event = events.UserTranscript(item_id, "", final=True, error=error)
    return [each for each in conversation.handle(event, 1.0) if isinstance(each, Notice)]


def started() -> Conversation:
    capabilities = replace(Capabilities(), transcription_remedy=REMEDY)
    conversation = Conversation(SessionSettings(), capabilities)
    conversation.handle(events.SessionCreated(), 0.0)
    return conversation


def reason(conversation: Conversation, item_id: str) -> str | None:
    item = conversation.transcript.get(item_id)
    assert isinstance(item, Item)
    return item.error


def test_the_same_kind_of_failure_is_reported_once() -> None:
    conversation = started()
    first = failed(conversation, "a", "The deployment does not exist. Request 7f3a-1.")
    again = failed(conversation, "b", "The deployment does not exist. Request 99ab-2.")
    assert first == [
        Notice(
            "Your speech cannot be transcribed: The deployment does not exist. Request 7f3a-1.",
            Level.WARNING,
            REMEDY,
        )
    ]
    assert again == []
    assert reason(conversation, "a") == "The deployment does not exist. Request 7f3a-1."
    assert reason(conversation, "b") == REPEATED


def test_another_kind_of_failure_is_reported_too() -> None:
    conversation = started()
    failed(conversation, "a", "The deployment does not exist.")
    assert len(failed(conversation, "b", "The audio is too short.")) == 1


def test_azure_names_the_deployment_as_the_remedy() -> None:
    for name in ("ga", "beta"):
        remedy = dialect_of(name, entra=False).capabilities.transcription_remedy
        assert 'transcription = {model = "your deployment"}' in remedy
