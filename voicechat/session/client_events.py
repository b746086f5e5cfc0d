"""Events of the Python API: what `async for event in session` yields.

Each event is an immutable snapshot, so a program may keep it. The package exports the classes by
their short names: `voicechat.Transcript`, `voicechat.Audio` and so on. Token counts come as
`voicechat.Usage`, which is `core.items.Usage`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from voicechat.core.effects import Level
from voicechat.core.items import Item, ItemStatus, Role, ToolCall, ToolState, Usage
from voicechat.session.updates import Link

_Class = TypeVar("_Class", bound=type)


def exported_as(name: str) -> Callable[[_Class], _Class]:
    """Give a class the name under which the package exports it, for `repr` and pickling."""

    def rename(cls: _Class) -> _Class:
        names = {"__module__": "voicechat", "__name__": name, "__qualname__": name}
        for attribute, text in names.items():
            setattr(cls, attribute, text)
        return cls

    return rename


@exported_as("Transcript")
@dataclass(frozen=True)
class TranscriptEvent:
    """A message of the conversation appeared or changed."""

    item_id: str
    """Id of the message; all events of one message share it."""
    role: Role
    """`user`, `assistant` or `system`. A `Role` is also a string."""
    text: str
    """The whole text received so far."""
    delta: str
    """The text that is new since the previous event of this message."""
    heard: str
    """The part of `text` that was played so far; all of it for written messages."""
    spoken: bool
    """True for speech, False for typed or written text."""
    status: ItemStatus
    """`in_progress`, `completed`, `interrupted` or `failed`."""

    @property
    def final(self) -> bool:
        """True if the message is finished and no longer changes."""
        return self.status is not ItemStatus.IN_PROGRESS


@exported_as("Audio")
@dataclass(frozen=True)
class AudioChunk:
    """Sound of a reply. Only sessions with `audio=None` yield it."""

    item_id: str
    """Id of the message that this sound speaks."""
    pcm: bytes = field(repr=False)
    """PCM16, mono, little-endian."""
    rate: int
    """Sample rate in Hz."""

    @property
    def ms(self) -> float:
        """Duration in milliseconds."""
        return len(self.pcm) * 500 / self.rate


@exported_as("ToolCall")
@dataclass(frozen=True)
class ToolCallEvent:
    """A tool call reached another state."""

    call_id: str
    """Id of the call; all events of one call share it."""
    name: str
    """Name of the tool."""
    arguments: str
    """Arguments as the model wrote them: JSON text."""
    state: ToolState
    """`queued`, `asking`, `running`, `done`, `failed`, `denied` or `cancelled`."""
    output: str | None
    """The text returned to the model, once there is one."""
    source: str
    """Origin of the tool, such as `built in` or an MCP server."""


@exported_as("Approval")
@dataclass(frozen=True)
class ApprovalRequest:
    """A tool call needs permission. The `approve` callback receives it and decides."""

    call_id: str
    """Id of the call."""
    name: str
    """Name of the tool."""
    arguments: str
    """Arguments as the model wrote them: JSON text. Read them before you allow the call."""
    source: str
    """Origin of the tool, such as `built in` or an MCP server."""
    asks_always: bool
    """True when a decision counts for this one call only."""
    remark: str
    """A warning about this tool, for example that its description changed; usually empty."""


@exported_as("Interrupted")
@dataclass(frozen=True)
class InterruptedEvent:
    """A reply was cut off. A program that plays the sound itself must stop playing now."""

    item_id: str
    """Id of the message that was cut off."""
    heard_ms: float
    """Milliseconds of its sound that were played. The provider forgets the rest."""
    heard: str
    """The text that belongs to the played part."""


@exported_as("TurnEnded")
@dataclass(frozen=True)
class TurnEndedEvent:
    """The assistant has finished: the reply is complete, played, and no tool runs."""

    latency_ms: float | None
    """Milliseconds from the end of the user's turn to the first sound or text of the reply."""


@exported_as("ConnectionChanged")
@dataclass(frozen=True)
class ConnectionEvent:
    """The state of the connection changed."""

    state: Link
    """`connecting`, `online`, `reconnecting` or `offline`."""
    text: str
    """One sentence about it, for people; may be empty."""


@exported_as("Problem")
@dataclass(frozen=True)
class ProblemEvent:
    """Something went wrong that does not end the session."""

    text: str
    """One sentence that says what happened."""
    hint: str
    """What to do about it; may be empty."""
    level: Level
    """`warning` or `error`."""


ClientEvent = (
    TranscriptEvent
    | AudioChunk
    | ToolCallEvent
    | ApprovalRequest
    | InterruptedEvent
    | TurnEndedEvent
    | ConnectionEvent
    | ProblemEvent
    | Usage
)
"""Everything that a session yields. Exported as `voicechat.Event`."""


def transcript_of(item: Item, before: str = "") -> TranscriptEvent:
    """A snapshot of a message; `before` is the text of its previous snapshot."""
    text = item.text
    delta = text[len(before) :] if text.startswith(before) else text
    return TranscriptEvent(
        item.item_id, item.role, text, delta, item.shown, item.spoken, item.status
    )


def tool_call_of(call: ToolCall) -> ToolCallEvent:
    """A snapshot of a tool call."""
    source = call.server or call.source
    return ToolCallEvent(call.call_id, call.name, call.arguments, call.state, call.output, source)


def approval_of(call: ToolCall) -> ApprovalRequest:
    """The permission that a waiting call needs."""
    return ApprovalRequest(
        call.call_id,
        call.name,
        call.arguments,
        call.server or call.source,
        call.asks_always,
        call.remark,
    )
