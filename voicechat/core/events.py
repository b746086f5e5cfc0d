"""Events of a provider, decoded by a codec. One of the four vocabularies of a conversation:

`events`    reports of the provider          (decoded by a codec)
`inputs`    reports of the user, the audio process, the tools and the clock
`effects`   actions for the session          (one of them is `Send(command)`)
`commands`  requests to the provider         (encoded by a codec)

An event means the same on every provider. The codec guarantees that all text in events is clean
(no control characters, no bidi overrides, no lone surrogates) and that all audio is PCM16 mono
little-endian at the session's rate, in whole samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voicechat.core.items import Usage
from voicechat.core.provider_tool_events import RemoteApproval, RemoteCall, RemoteTools
from voicechat.core.session_events import (
    ProviderError,
    RateLimit,
    RateLimits,
    ResumptionHandle,
    SessionCreated,
    SessionEnding,
    SessionUpdated,
    Unmapped,
)
from voicechat.core.transcript_events import Token, TranscriptSegment, UserTranscript

__all__ = [
    "AudioDelta",
    "AudioDone",
    "Event",
    "IdleTimeout",
    "InputCleared",
    "InputCommitted",
    "ItemAdded",
    "ItemDeleted",
    "ItemKind",
    "ItemRetrieved",
    "ItemTruncated",
    "KeypadPressed",
    "OutputItemAdded",
    "OutputItemDone",
    "ProviderError",
    "RateLimit",
    "RateLimits",
    "RemoteApproval",
    "RemoteCall",
    "RemoteTools",
    "ResponseCreated",
    "ResponseDone",
    "ResponseStatus",
    "ResumptionHandle",
    "SessionCreated",
    "SessionEnding",
    "SessionUpdated",
    "SpeechStarted",
    "SpeechStopped",
    "TextDelta",
    "TextDone",
    "Token",
    "ToolArgumentsDelta",
    "ToolCallReady",
    "ToolCallsCancelled",
    "TranscriptSegment",
    "Unmapped",
    "UsageReported",
    "UserTranscript",
]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The provider detected the start of speech; `item_id` is the id of the future user item."""

    item_id: str
    audio_start_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The provider detected the end of speech."""

    item_id: str
    audio_end_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class InputCommitted:
    """The audio sent so far became the user item `item_id`."""

    item_id: str
    previous_item_id: str | None = None


@dataclass(frozen=True, slots=True)
class InputCleared:
    """The uncommitted audio was discarded."""


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """The user was silent; the provider commits an empty item and answers it. Not a user turn."""

    item_id: str


class ItemKind(StrEnum):
    """Kind of an item in a provider's conversation."""

    MESSAGE = "message"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """The provider added an item: one that a command created, or the start of a response."""

    item_id: str
    kind: ItemKind = ItemKind.OTHER
    role: str = ""
    text: str = ""
    previous_item_id: str | None = None
    done: bool = False
    """False while the provider may still add to it."""


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """The provider deleted the item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    """The provider deleted the part of the item after `audio_end_ms`."""

    item_id: str
    audio_end_ms: float


@dataclass(frozen=True, slots=True)
class ItemRetrieved:
    """Answer to `RetrieveItem`; `item` is the provider's own object."""

    item_id: str
    item: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    """The provider started a response."""

    response_id: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    out_of_band: bool = False
    """True for a response outside the conversation; it never takes the floor."""


class ResponseStatus(StrEnum):
    """Status of a response that ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """The response ended; always its last event."""

    response_id: str
    status: ResponseStatus = ResponseStatus.COMPLETED
    reason: str | None = None
    """turn_detected, client_cancelled, max_output_tokens, content_filter, or an error code."""
    error: str | None = None
    usage: Usage | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Additional tokens or seconds that no other event reports."""

    usage: Usage
    delegated: bool = False
    """True if another model used them, at a price of its own."""


@dataclass(frozen=True, slots=True)
class OutputItemAdded:
    """A response started an item. Items of one response may overlap in time."""

    response_id: str
    item_id: str
    kind: ItemKind = ItemKind.MESSAGE
    call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    """A response finished an item."""

    response_id: str
    item_id: str
    complete: bool = True
    """False if the item was cut off."""


@dataclass(frozen=True, slots=True)
class AudioDelta:
    """Audio of an item: PCM16 mono at the session's output rate."""

    response_id: str
    item_id: str
    pcm: bytes
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class AudioDone:
    """All audio of the item was sent."""

    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text of an item: the transcript of its audio (`spoken`) or written text."""

    response_id: str
    item_id: str
    text: str
    spoken: bool


@dataclass(frozen=True, slots=True)
class TextDone:
    """The whole text of an item; repairs lost deltas. None if the provider does not repeat it."""

    response_id: str
    item_id: str
    text: str | None
    spoken: bool


@dataclass(frozen=True, slots=True)
class ToolArgumentsDelta:
    """A piece of a call's arguments (JSON text)."""

    response_id: str
    item_id: str
    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCallReady:
    """The model calls a tool; the arguments are complete."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCallsCancelled:
    """The provider no longer accepts the results of these calls."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeypadPressed:
    """The caller pressed a key of the phone: a digit, `*`, `#`, or A to D."""

    key: str


Event = (
    SessionCreated
    | SessionUpdated
    | SessionEnding
    | ResumptionHandle
    | SpeechStarted
    | SpeechStopped
    | InputCommitted
    | InputCleared
    | IdleTimeout
    | KeypadPressed
    | UserTranscript
    | TranscriptSegment
    | ItemAdded
    | ItemDeleted
    | ItemTruncated
    | ItemRetrieved
    | ResponseCreated
    | ResponseDone
    | UsageReported
    | OutputItemAdded
    | OutputItemDone
    | AudioDelta
    | AudioDone
    | TextDelta
    | TextDone
    | ToolArgumentsDelta
    | ToolCallReady
    | ToolCallsCancelled
    | RemoteTools
    | RemoteCall
    | RemoteApproval
    | RateLimits
    | ProviderError
    | Unmapped
)
