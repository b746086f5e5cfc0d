"""The vocabulary of a conversation.

`Event`   what a provider says           (decoded by a codec)
`Input`   what the person or the sound says
`Effect`  what the shell must do         (one of them is `Send(command)`)
`Command` what a provider is told        (encoded by a codec)

One event means one thing on every provider. All text in events is clean (no control
characters, no bidi overrides, no lone surrogates): the codec guarantees it. All sound is
PCM16 mono little-endian at the rate of the session's format, always whole samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voicechat.core.items import Usage
from voicechat.core.settings import SessionSettings

# --------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A new connection is ready for commands: an epoch begins."""

    session_id: str = ""
    expires_at: float | None = None
    """Unix time in seconds at which the provider will end the session."""


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """The last `UpdateSession` took effect. Correlate by order."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The provider heard the person begin; `item_id` is the user item to come."""

    item_id: str
    audio_start_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The provider heard the person end."""

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
    """Nobody spoke; the provider commits an empty item and speaks up. Not a user turn."""

    item_id: str


@dataclass(frozen=True, slots=True)
class UserTranscript:
    """The person's words: more of them, or with `replace` all of them so far.

    `final` is true once per item, also when it could not be transcribed (`error` set); `text` is
    then the whole text.
    """

    item_id: str
    text: str
    final: bool = False
    replace: bool = False
    error: str | None = None
    usage: Usage | None = None


class ItemKind(StrEnum):
    """What an item in a provider's conversation is."""

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
    """How a response ended."""

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


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit of the account: requests or tokens."""

    name: str
    limit: int
    remaining: int
    reset_seconds: float


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What is left of the account's limits."""

    limits: tuple[RateLimit, ...]


@dataclass(frozen=True, slots=True)
class ProviderError:
    """The provider refused something. Most errors leave the session usable."""

    message: str
    code: str | None = None
    command: str | None = None
    """Class name of the command at fault, when the provider says which it was."""
    fatal: bool = False
    """True when the provider ends the session with it."""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A frame with no meaning in this vocabulary: kept for the event console, otherwise ignored."""

    wire_type: str


Event = (
    SessionCreated
    | SessionUpdated
    | SpeechStarted
    | SpeechStopped
    | InputCommitted
    | InputCleared
    | IdleTimeout
    | UserTranscript
    | ItemAdded
    | ItemDeleted
    | ItemTruncated
    | ItemRetrieved
    | ResponseCreated
    | ResponseDone
    | OutputItemAdded
    | OutputItemDone
    | AudioDelta
    | AudioDone
    | TextDelta
    | TextDone
    | ToolArgumentsDelta
    | ToolCallReady
    | ToolCallsCancelled
    | RateLimits
    | ProviderError
    | Unmapped
)

# --------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class UpdateSession:
    """Ask for these settings."""

    settings: SessionSettings


@dataclass(frozen=True, slots=True)
class AppendAudio:
    """A block of the person's sound: PCM16 mono at the session's input rate."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class CommitAudio:
    """Make the sound sent so far a user item."""


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """Throw the uncommitted sound away."""


@dataclass(frozen=True, slots=True)
class CreateMessage:
    """Put a message into the provider's conversation; asks for no response."""

    item_id: str
    role: str
    text: str
    previous_item_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """Answer a tool call; asks for no response. `output` is text, usually JSON."""

    call_id: str
    output: str
    name: str = ""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class RetrieveItem:
    """Ask for an item as the provider has it."""

    item_id: str


@dataclass(frozen=True, slots=True)
class DeleteItem:
    """Make the provider forget an item."""

    item_id: str


@dataclass(frozen=True, slots=True)
class TruncateItem:
    """Tell the provider how much of an item was heard; never 0, never beyond what was received."""

    item_id: str
    audio_end_ms: int
    content_index: int = 0


@dataclass(frozen=True, slots=True)
class CreateResponse:
    """Ask for a response. With `out_of_band` it stands outside the conversation."""

    instructions: str | None = None
    out_of_band: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Stop the running response."""

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
    | RetrieveItem
    | DeleteItem
    | TruncateItem
    | CreateResponse
    | CancelResponse
    | ClearOutput
)

# --------------------------------------------------------------------------- inputs


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection epoch ended; nothing of it may be sent or played any more."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class MicBlock:
    """A block from the microphone: PCM16 mono at the session's input rate."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Typed:
    """The person sent a line."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The person pressed the interrupt key: stop speech, thinking and tools alike."""


@dataclass(frozen=True, slots=True)
class Talk:
    """Push-to-talk went down (`on`) or up."""

    on: bool


@dataclass(frozen=True, slots=True)
class HandsFree:
    """Choose who ends a turn: turn detection (`on`) or push-to-talk."""

    on: bool


@dataclass(frozen=True, slots=True)
class LocalSpeech:
    """The sound side heard the person over the playing reply and has ducked or stopped it already.

    `confirmed` false: ducked, the person may be speaking. True: stopped at the heard position.
    """

    confirmed: bool


@dataclass(frozen=True, slots=True)
class LocalSpeechEnded:
    """The sound side no longer hears the person (also after a duck that came to nothing)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """`ms` of the item's sound have come out of the speaker by now. Sent some 15 times a second."""

    item_id: str
    ms: float


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first sound of an item comes out of the speaker."""

    item_id: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """The item ended (`EndItem`) and its last sound came out of the speaker."""

    item_id: str


@dataclass(frozen=True, slots=True)
class PlaybackStopped:
    """Playback was stopped; `heard` are the final positions in ms of every item that was queued."""

    heard: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpeakerChanged:
    """There is a speaker now, or there is none any more and replies are read, not heard."""

    present: bool


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool ended. `output` is text for the model, a result or an error."""

    call_id: str
    output: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; send one when `Conversation.deadline` is reached."""


Input = (
    Disconnected
    | MicBlock
    | Typed
    | Interrupt
    | Talk
    | HandsFree
    | LocalSpeech
    | LocalSpeechEnded
    | Heard
    | PlaybackStarted
    | PlaybackFinished
    | PlaybackStopped
    | SpeakerChanged
    | ToolFinished
    | Tick
)

# --------------------------------------------------------------------------- effects


class Floor(StrEnum):
    """Who has the floor. Muted and offline are shown beside it, not instead of it."""

    IDLE = "idle"
    """Push-to-talk or text: waiting for the person."""
    LISTENING = "listening"
    """Hands-free: the microphone is open and nobody speaks."""
    HEARING = "hearing"
    """The person is speaking."""
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
    """Queue sound of an item behind what is queued already."""

    item_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class EndItem:
    """No more sound will come for the item; report `PlaybackFinished` when it was heard."""

    item_id: str


@dataclass(frozen=True, slots=True)
class StopPlayback:
    """Fade and flush everything queued; answer with `PlaybackStopped`."""


@dataclass(frozen=True, slots=True)
class ResumePlayback:
    """False alarm: bring the ducked or held sound back, nothing lost."""


@dataclass(frozen=True, slots=True)
class CloseMic:
    """Push-to-talk or text only: stop (or start, `closed` false) delivering microphone blocks."""

    closed: bool


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run the call, if its permission allows; answer with `ToolFinished`."""

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
    """Somebody else has the floor now."""

    floor: Floor


@dataclass(frozen=True, slots=True)
class TurnMeasured:
    """A turn was answered; end of speech (or Enter) to first sound or text, in ms."""

    latency_ms: float


@dataclass(frozen=True, slots=True)
class UsageChanged:
    """Tokens used by the session so far."""

    usage: Usage


class Level(StrEnum):
    """How serious a notice is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Notice:
    """One clear sentence for the person. `hint` is the remedy, if there is one."""

    text: str
    level: Level = Level.INFO
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Recycle:
    """The provider hangs or ended the session: open a new connection."""

    reason: str


Effect = (
    Send
    | Play
    | EndItem
    | StopPlayback
    | ResumePlayback
    | CloseMic
    | RunTool
    | CancelTools
    | EntryChanged
    | EntryRemoved
    | FloorChanged
    | TurnMeasured
    | UsageChanged
    | Notice
    | Recycle
)
