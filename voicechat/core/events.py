"""Events of a provider, decoded by a codec. One of the four vocabularies of a conversation:

`events`    what a provider says         (decoded by a codec)
`inputs`    what the user, the audio side and the clock say
`effects`   what the shell must do       (one of them is `Send(command)`)
`commands`  what a provider is told      (encoded by a codec)

One event means one thing on every provider. All text in events is clean (no control
characters, no bidi overrides, no lone surrogates): the codec guarantees it. All sound is
PCM16 mono little-endian at the rate of the session's format, always whole samples.
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
    """The provider heard the user begin; `item_id` is the user item to come."""

    item_id: str
    audio_start_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The provider heard the user end."""

    item_id: str
    audio_end_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class InputCommitted:
    """The sound sent so far became the user item `item_id`."""

    item_id: str
    previous_item_id: str | None = None


@dataclass(frozen=True, slots=True)
class InputCleared:
    """The uncommitted sound was thrown away."""


@dataclass(frozen=True, slots=True)
class IdleTimeout:
    """No one spoke; the provider commits an empty item and speaks up. Not a user turn."""

    item_id: str


class ItemKind(StrEnum):
    """Kind of an item in a provider's conversation."""

    MESSAGE = "message"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class ItemAdded:
    """An item entered the provider's conversation: one we created, or the start of a reply."""

    item_id: str
    kind: ItemKind = ItemKind.OTHER
    role: str = ""
    text: str = ""
    previous_item_id: str | None = None
    done: bool = False
    """False while the provider may still add to it."""


@dataclass(frozen=True, slots=True)
class ItemDeleted:
    """The provider forgot the item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class ItemTruncated:
    """The provider forgot what of the item lies behind `audio_end_ms`."""

    item_id: str
    audio_end_ms: float


@dataclass(frozen=True, slots=True)
class ItemRetrieved:
    """Answer to `RetrieveItem`; `item` is the provider's own object."""

    item_id: str
    item: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResponseCreated:
    """The provider began a response."""

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
    """The response is over; always the last word on it."""

    response_id: str
    status: ResponseStatus = ResponseStatus.COMPLETED
    reason: str | None = None
    """turn_detected, client_cancelled, max_output_tokens, content_filter, or an error code."""
    error: str | None = None
    usage: Usage | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Tokens or seconds used that no other event carries; add them to the rest."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class OutputItemAdded:
    """A response began one of its items. Items of one response may overlap in time."""

    response_id: str
    item_id: str
    kind: ItemKind = ItemKind.MESSAGE
    call_id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class OutputItemDone:
    """A response finished one of its items."""

    response_id: str
    item_id: str
    complete: bool = True
    """False when the item was cut off."""


@dataclass(frozen=True, slots=True)
class AudioDelta:
    """Sound of an item: PCM16 mono at the session's output rate."""

    response_id: str
    item_id: str
    pcm: bytes
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class AudioDone:
    """All sound of the item was sent."""

    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """Text of an item: what is being spoken (`spoken`) or a written reply."""

    response_id: str
    item_id: str
    text: str
    spoken: bool


@dataclass(frozen=True, slots=True)
class TextDone:
    """The whole text of an item; repairs lost deltas. None when the provider does not repeat it."""

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
    """The model asks to run a tool; the arguments are complete."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolCallsCancelled:
    """The provider no longer wants these results."""

    call_ids: tuple[str, ...]


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
