"""Effects: actions that the conversation requests from its session. Results come back as inputs."""

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
    """Hands-free: the microphone is open and the user is silent."""
    HEARING = "hearing"
    """The user is speaking."""
    THINKING = "thinking"
    """A response is pending."""
    SPEAKING = "speaking"
    """The response is playing."""
    WORKING = "working"
    """Tools run or wait for a decision, and no audio is playing."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send the command to the provider."""

    command: Command


@dataclass(frozen=True, slots=True)
class Play:
    """Append audio to an item in the playback queue."""

    item_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class EndItem:
    """The item has no more audio; `PlaybackFinished` follows after its last sample."""

    item_id: str


@dataclass(frozen=True, slots=True)
class StopPlayback:
    """Fade out and drop all queued audio; `PlaybackStopped` follows."""


@dataclass(frozen=True, slots=True)
class ResumePlayback:
    """Undo a duck or a hold after a false alarm; playback continues without loss."""


@dataclass(frozen=True, slots=True)
class CloseMic:
    """Stop delivering microphone blocks, or start again (`closed` false)."""

    closed: bool


@dataclass(frozen=True, slots=True)
class AskApproval:
    """A call waits for the user: show it completely; the decision comes back as `Decided`."""

    call_id: str


@dataclass(frozen=True, slots=True)
class CheckGuardrail:
    """Run a check of a guardrail on a text; answer with `GuardrailAnswered`."""

    number: int
    guardrail: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyHeld:
    """The first words of a reply waited for the guardrails, in ms."""

    ms: float


@dataclass(frozen=True, slots=True)
class KeepApproval:
    """Save the approval of exactly the tool that has this name now."""

    name: str
    pattern: str = ""
    """Of the calls that are approved; empty for all of them."""


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run an approved call; answer with `ToolFinished`."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class CancelTools:
    """Stop these calls; their results are not needed."""

    call_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EntryChanged:
    """The entry with this id appeared or changed; read it from `Conversation.transcript`."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class EntryRemoved:
    """The entry with this id was removed."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class FloorChanged:
    """The floor changed."""

    floor: Floor


@dataclass(frozen=True, slots=True)
class TurnMeasured:
    """Latency of a turn: end of speech (or Enter) to first audio or text, in ms."""

    latency_ms: float


@dataclass(frozen=True, slots=True)
class UsageChanged:
    """Tokens or seconds were used."""

    usage: Usage
    """Usage of the conversation so far, without transcription of the user's speech."""
    added: Usage = field(default_factory=Usage)
    """The newest part of it."""
    source: str = "response"
    """Source of the newest part: response, transcription, delegation or other."""


@dataclass(frozen=True, slots=True)
class CheckBudget:
    """A response is due: find out if the budget allows it, and answer with `BudgetChecked`."""


@dataclass(frozen=True, slots=True)
class LimitsChanged:
    """Rate limits of the account; empty after a reset."""

    limits: tuple[RateLimit, ...]


@dataclass(frozen=True, slots=True)
class OutOfBandAnswered:
    """Text of the out-of-band response with this key, or the reason why there is none."""

    key: str
    text: str = ""
    error: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True)
class ItemFetched:
    """An item as the provider stores it; None if it is not available."""

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
    pipe_hint: str = ""
    """Replaces `hint` where the user cannot type, as with input from a pipe."""
    ends: str = ""
    """Text of an earlier notice that is no longer true."""


@dataclass(frozen=True, slots=True)
class Recycle:
    """Open a new connection: the provider hangs or ended the session."""

    reason: str


@dataclass(frozen=True, slots=True)
class StartNewSession:
    """Open a new connection without resumption; the conversation is seeded there."""


@dataclass(frozen=True, slots=True)
class SettingsRefused:
    """The provider refused these parts of the settings; the session continues without them."""

    parts: tuple[str, ...]


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
    | CheckGuardrail
    | ReplyHeld
    | EntryChanged
    | EntryRemoved
    | FloorChanged
    | TurnMeasured
    | UsageChanged
    | CheckBudget
    | LimitsChanged
    | OutOfBandAnswered
    | ItemFetched
    | Notice
    | Recycle
    | StartNewSession
    | SettingsRefused
)
