"""Effects: requests of the conversation to its shell. Results come back as inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voicechat.core.commands import Command
from voicechat.core.items import Usage
from voicechat.core.session_events import RateLimit


class Floor(StrEnum):
    """The floor: the current phase of a turn. Muted and offline are shown in addition to it."""

    IDLE = "idle"
    """Push-to-talk or text: waiting for the user."""
    LISTENING = "listening"
    """Hands-free: the microphone is open and no one speaks."""
    HEARING = "hearing"
    """The user is speaking."""
    THINKING = "thinking"
    """The provider owes an answer."""
    SPEAKING = "speaking"
    """The answer is being heard."""
    WORKING = "working"
    """Tools run or wait for a decision, and nothing is being said."""


@dataclass(frozen=True, slots=True)
class Send:
    """Give the command to the provider."""

    command: Command


@dataclass(frozen=True, slots=True)
class Play:
    """Append sound to an item of the playback queue."""

    item_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class EndItem:
    """The item has no more sound; `PlaybackFinished` follows after its last sound."""

    item_id: str


@dataclass(frozen=True, slots=True)
class StopPlayback:
    """Fade out and drop all queued sound; `PlaybackStopped` follows."""


@dataclass(frozen=True, slots=True)
class ResumePlayback:
    """Undo a duck or a hold after a false alarm; playback goes on without loss."""


@dataclass(frozen=True, slots=True)
class CloseMic:
    """Stop delivering microphone blocks, or start again (`closed` false)."""

    closed: bool


@dataclass(frozen=True, slots=True)
class AskApproval:
    """A call waits for the user: show it whole; their word comes back as `Decided`."""

    call_id: str


@dataclass(frozen=True, slots=True)
class KeepApproval:
    """The user always allows exactly the tool that has this name now: write that down."""

    name: str


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run the call, which is allowed; answer with `ToolFinished`."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CancelTools:
    """Stop these calls; their results are no longer wanted."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """The entry with this id appeared or changed; read it from `Conversation.transcript`."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class EntryRemoved:
    """The entry with this id is gone."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class FloorChanged:
    """Someone else has the floor now."""

    floor: Floor


@dataclass(frozen=True, slots=True)
class TurnMeasured:
    """A turn was answered; end of speech (or Enter) to first sound or text, in ms."""

    latency_ms: float


@dataclass(frozen=True, slots=True)
class UsageChanged:
    """Tokens or seconds were used."""

    usage: Usage
    """By the conversation so far, but for writing down the user's words."""
    added: Usage = field(default_factory=Usage)
    """The newest part of it."""
    what: str = "response"
    """Source of the newest part: response, transcription or other."""


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """The account's limits; empty once they are reset."""

    limits: tuple[RateLimit, ...]


@dataclass(frozen=True, slots=True)
class OutOfBandAnswered:
    """The answer to the aside with this key, or why there is none."""

    key: str
    text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ItemFetched:
    """An item as the provider has it, in its own shape; None where it is not available."""

    item_id: str
    item: Mapping[str, object] | None


class Level(StrEnum):
    """Severity of a notice."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """One clear sentence for the user. `hint` is the remedy, if there is one."""

    text: str
    level: Level = Level.INFO
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Recycle:
    """The provider hangs or ended the session: open a new connection."""

    reason: str


@dataclass(frozen=True, slots=True)
class StartAfresh:
    """Open a new connection that knows nothing of this one; the conversation is told there."""


Effect = (
    Send
    | Play
    | EndItem
    | StopPlayback
    | ResumePlayback
    | CloseMic
    | AskApproval
    | KeepApproval
    | RunTool
    | CancelTools
    | EntryChanged
    | EntryRemoved
    | FloorChanged
    | TurnMeasured
    | UsageChanged
    | LimitsChanged
    | OutOfBandAnswered
    | ItemFetched
    | Notice
    | Recycle
    | StartAfresh
)
