"""Commands to a provider. A codec encodes each into frames of its protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from voicechat.core.pictures import Picture
from voicechat.core.settings import SessionSettings


@dataclass(frozen=True, slots=True)
class UpdateSession:
    """Apply these settings."""

    settings: SessionSettings


@dataclass(frozen=True, slots=True)
class AppendAudio:
    """Append a block of the user's audio: PCM16 mono at the session's input rate."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class CommitAudio:
    """Turn the audio sent so far into a user item."""


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """Discard the uncommitted audio."""


@dataclass(frozen=True, slots=True)
class CreateMessage:
    """Add a message to the provider's conversation without requesting a response."""

    item_id: str
    role: str
    text: str
    previous_item_id: str | None = None
    picture: Picture | None = None
    """Placed before the text; only if the provider accepts pictures of its kind."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Answer a tool call without requesting a response. `output` is text, usually JSON."""

    call_id: str
    output: str
    name: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class AnswerApproval:
    """Approve or deny a call that the provider runs; the provider then continues by itself."""

    request_id: str
    """The `item_id` of the `RemoteApproval`."""
    approve: bool
    reason: str = ""
    """Reason of a denial, for the model."""


@dataclass(frozen=True, slots=True)
class SeedCall:
    """Add a tool call of an earlier connection to the history; it does not run."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class SeedResult:
    """Add the result of a tool call of an earlier connection to the history."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    """Request an item as the provider stores it."""

    item_id: str


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """Delete an item at the provider."""

    item_id: str


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """Truncate an item to what was heard: more than 0 and at most the received milliseconds."""

    item_id: str
    audio_end_ms: int
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """Request a response. With `out_of_band` it is not part of the conversation."""

    instructions: str | None = None
    out_of_band: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    output: Literal["audio", "text"] | None = None
    """Output of this response; None for the session's setting."""
    verbatim: str | None = None
    """Text to speak word for word, without the model."""
    most_tokens: int | None = None
    """Limit of this response; None for the session's setting."""


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Cancel the running response."""

    response_id: str | None = None


@dataclass(frozen=True, slots=True)
class ClearOutput:
    """Empty the provider's own playback buffer (WebRTC and SIP only)."""


Command = (
    UpdateSession
    | AppendAudio
    | CommitAudio
    | ClearAudio
    | CreateMessage
    | ToolResult
    | AnswerApproval
    | SeedCall
    | SeedResult
    | RetrieveItem
    | DeleteItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
    | ClearOutput
)


class CommandName(StrEnum):
    """Names of the commands, independent of their class names.

    The event id of a sent frame begins with one, so that an error names the failed command.
    Recordings contain the values.
    """

    UPDATE_SESSION = "UpdateSession"
    APPEND_AUDIO = "AppendAudio"
    COMMIT_AUDIO = "CommitAudio"
    CLEAR_AUDIO = "ClearAudio"
    CREATE_MESSAGE = "CreateMessage"
    TOOL_RESULT = "ToolResult"
    ANSWER_APPROVAL = "AnswerApproval"
    SEED_CALL = "SeedCall"
    SEED_RESULT = "SeedResult"
    RETRIEVE_ITEM = "RetrieveItem"
    DELETE_ITEM = "DeleteItem"
    TRUNCATE_ITEM = "TruncateItem"
    CREATE_RESPONSE = "CreateResponse"
    CANCEL_RESPONSE = "CancelResponse"
    CLEAR_OUTPUT = "ClearOutput"


COMMAND_NAMES: Mapping[type[Command], CommandName] = {
    UpdateSession: CommandName.UPDATE_SESSION,
    AppendAudio: CommandName.APPEND_AUDIO,
    CommitAudio: CommandName.COMMIT_AUDIO,
    ClearAudio: CommandName.CLEAR_AUDIO,
    CreateMessage: CommandName.CREATE_MESSAGE,
    ToolResult: CommandName.TOOL_RESULT,
    AnswerApproval: CommandName.ANSWER_APPROVAL,
    SeedCall: CommandName.SEED_CALL,
    SeedResult: CommandName.SEED_RESULT,
    RetrieveItem: CommandName.RETRIEVE_ITEM,
    DeleteItem: CommandName.DELETE_ITEM,
    TruncateItem: CommandName.TRUNCATE_ITEM,
    CreateResponse: CommandName.CREATE_RESPONSE,
    CancelResponse: CommandName.CANCEL_RESPONSE,
    ClearOutput: CommandName.CLEAR_OUTPUT,
}
"""Name of each command class. An event id is a name, a dash and a number."""

_BY_VALUE = {name.value: name for name in CommandName}


def named_in(event_id: str) -> CommandName | None:
    """Return the command whose frame has this event id; None for any other id."""
    return _BY_VALUE.get(event_id.partition("-")[0])
