"""Inputs: actions of the user, reports of the audio process, results of tools, and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voicechat.core.guardrail import GuardrailSpec, GuardrailTrip
from voicechat.core.pictures import Picture
from voicechat.core.settings import SessionSettings, ToolSpec


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended; nothing of it may be sent or played."""

    reason: str = ""
    unacceptable: bool = False
    """The provider refused the seeded items: seed the next session with fewer."""
    refused_part: str | None = None
    """Part of the settings because of which the provider opened no session."""
    too_large: bool = False
    """The provider sent a frame that is too large: the same request would bring it again."""


@dataclass(frozen=True, slots=True)
class MicBlock:
    """A block from the microphone: PCM16 mono at the session's input rate."""

    pcm: bytes
    at: float = 0.0
    """Time of the last sample in seconds, on the session's clock; 0.0 if unknown."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The user sent a text, a picture of a kind that the provider accepts, or both."""

    text: str
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class SayVerbatim:
    """Speak this text word for word. Only if the provider can; see `Capabilities.verbatim`."""

    text: str


@dataclass(frozen=True, slots=True)
class Configure:
    """Change the settings. Those that a running session cannot change apply to the next one."""

    settings: SessionSettings


@dataclass(frozen=True, slots=True)
class AskOutOfBand:
    """Request an out-of-band response; `OutOfBandAnswered` with this key follows."""

    key: str
    instructions: str
    most_tokens: int | None = None
    """Limit of the response; None for that of the session."""


@dataclass(frozen=True, slots=True)
class CancelOutOfBand:
    """The answer to the out-of-band request with this key is no longer needed."""

    key: str


@dataclass(frozen=True, slots=True)
class InsertMessage:
    """Insert a message without requesting a response. `role` is one of `items.Role`."""

    item_id: str
    role: str
    text: str
    after: str | None = None
    """Id of the item before it; None for the end."""


@dataclass(frozen=True, slots=True)
class ForgetItem:
    """Delete an item or a tool call, here and at the provider."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class ForgetLast:
    """Delete the last exchange: the user's last turn and everything after it."""


@dataclass(frozen=True, slots=True)
class FetchItem:
    """Fetch an item from the provider; `ItemFetched` follows if there is an answer."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The user pressed the interrupt key: stop playback, responses, tools and a spoken turn."""


@dataclass(frozen=True, slots=True)
class Talk:
    """The push-to-talk key was pressed (`on`) or released."""

    on: bool


@dataclass(frozen=True, slots=True)
class HandsFree:
    """Select how a turn ends: by turn detection (`on`) or by push-to-talk."""

    on: bool


@dataclass(frozen=True, slots=True)
class LocalSpeech:
    """The audio process detected the user's voice during playback.

    Not `confirmed`: playback is ducked. Confirmed: playback is held at its position, silent and
    without loss; answer with `StopPlayback` (drop it) or `ResumePlayback` (continue from there).
    """

    confirmed: bool


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    """The user's voice ended at this time, with or without playback."""

    at: float
    """Seconds, on the session's clock."""


@dataclass(frozen=True, slots=True)
class LocalSpeechEnded:
    """The audio process no longer detects the user's voice, or ended a duck without speech."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Playout position: `ms` of the item were played, latency subtracted; reported at 10 Hz."""

    item_id: str
    ms: float


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first audio of an item is playing."""

    item_id: str
    at: float = 0.0
    """Seconds, on the session's clock; 0.0 if unknown."""


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """The item ended (`EndItem`) and its last sample was played."""

    item_id: str


@dataclass(frozen=True, slots=True)
class PlaybackStopped:
    """Playback stopped. `heard`: final position in ms of each queued item, 0.0 if not started."""

    heard: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpeakerChanged:
    """A speaker is available, or none is and responses are read instead of heard."""

    present: bool


class Decision(StrEnum):
    """The user's decision on a call that needs approval."""

    ONCE = "once"
    """Run this call."""
    SESSION = "session"
    """Run it, and every call of this tool until the session ends."""
    ALWAYS = "always"
    """Run it, and every future call of exactly this tool."""
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decided:
    """The user decided on a call after seeing these arguments.

    Only a key, a click or a typed command may produce this input, never speech or printed text.
    """

    call_id: str
    arguments: str
    """`ToolCall.arguments` as they were shown; a decision on other arguments has no effect."""
    decision: Decision
    words: str = ""
    """Reason of a denial, for the model; the pattern of `ALWAYS` for a call that has one."""


@dataclass(frozen=True, slots=True)
class OfferTools:
    """Replace the available tools and their permissions."""

    tools: tuple[ToolSpec, ...]


@dataclass(frozen=True, slots=True)
class OfferGuardrails:
    """Replace the guardrails."""

    guardrails: tuple[GuardrailSpec, ...]


@dataclass(frozen=True, slots=True)
class GuardrailAnswered:
    """A check ended: with a trip, without one, or with the problem that kept it from a result."""

    number: int
    trip: GuardrailTrip | None = None
    problem: str = ""
    """End of a sentence that begins with the guardrail; empty if there was none."""


@dataclass(frozen=True, slots=True)
class Intervene:
    """Stop the reply because of a guardrail, and do what its trip says instead."""

    guardrail: str
    trip: GuardrailTrip
    stops: bool = True
    """False if the present reply continues, because an earlier one is the reason."""


@dataclass(frozen=True, slots=True)
class BudgetChecked:
    """The state of the budget. While it is `used_up`, no response is requested."""

    used_up: bool


@dataclass(frozen=True, slots=True)
class Announce:
    """Announce an event to the user, such as a timer that rang.

    The model receives it between two turns, never while the user or the assistant speaks.
    """

    text: str


@dataclass(frozen=True, slots=True)
class ToolProgressed:
    """A running tool reports its progress. `text` is for the user."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool ended. `output` is text for the model, a result or an error."""

    call_id: str
    output: str
    failed: bool = False
    pictures: tuple[Picture, ...] = ()
    """Pictures that belong to the result."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed; send one at `Conversation.deadline`."""


Input = (
    Disconnected
    | MicBlock
    | Typed
    | SayVerbatim
    | Configure
    | AskOutOfBand
    | CancelOutOfBand
    | InsertMessage
    | ForgetItem
    | ForgetLast
    | FetchItem
    | Interrupt
    | Talk
    | HandsFree
    | LocalSpeech
    | LocalSpeechEnded
    | VoiceEnded
    | Heard
    | PlaybackStarted
    | PlaybackFinished
    | PlaybackStopped
    | SpeakerChanged
    | Decided
    | OfferTools
    | OfferGuardrails
    | GuardrailAnswered
    | Intervene
    | BudgetChecked
    | Announce
    | ToolFinished
    | ToolProgressed
    | Tick
)
