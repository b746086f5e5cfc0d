"""Inputs: actions of the user, reports of the audio process, results of tools, and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voicechat.core.pictures import Picture
from voicechat.core.settings import SessionSettings, ToolSpec


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection epoch ended; nothing of it may be sent or played any more."""

    reason: str = ""
    unacceptable: bool = False
    """The provider refused the seeded items: seed the next session with fewer."""


@dataclass(frozen=True, slots=True)
class MicBlock:
    """A block from the microphone: PCM16 mono at the session's input rate."""

    pcm: bytes
    at: float = 0.0
    """Time of the last sample in seconds, on the clock of all happenings; 0.0 if unknown."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The user sent a line, or showed a picture (of a kind that the provider takes), or both."""

    text: str
    picture: Picture | None = None


@dataclass(frozen=True, slots=True)
class Configure:
    """The user wants other settings; those that the running session keeps hold for the next."""

    settings: SessionSettings


@dataclass(frozen=True, slots=True)
class AskOutOfBand:
    """Request an out-of-band response; `OutOfBandAnswered` with this key follows."""

    key: str
    instructions: str


@dataclass(frozen=True, slots=True)
class InsertMessage:
    """Put a message into the conversation; no answer is requested. `role` as in `items.Role`."""

    item_id: str
    role: str
    text: str
    after: str | None = None
    """The item it comes behind; None for the end."""


@dataclass(frozen=True, slots=True)
class ForgetItem:
    """Take an item or a tool call out of the conversation, at the provider too."""

    entry_id: str


@dataclass(frozen=True, slots=True)
class ForgetLast:
    """Take the last exchange out: the user's last turn and all that followed it."""


@dataclass(frozen=True, slots=True)
class FetchItem:
    """Look an item up at the provider; `ItemFetched` follows where an answer comes."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The user pressed the interrupt key: stop speech, thinking and tools alike."""


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
    """The audio process hears the user over the playing reply.

    Not `confirmed`: it lowered playback. Confirmed: it holds playback at this position, silent and
    without loss; answer with `StopPlayback` (drop it) or `ResumePlayback` (play on from there).
    """

    confirmed: bool


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    """The user fell silent at this time, with or without playback."""

    at: float
    """Seconds, on the clock of all happenings."""


@dataclass(frozen=True, slots=True)
class LocalSpeechEnded:
    """The audio process no longer hears the user, or ended a duck without speech."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Playout position: `ms` of the item have left the speaker, latency subtracted; at 10 Hz."""

    item_id: str
    ms: float


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first sound of an item leaves the speaker."""

    item_id: str
    at: float = 0.0
    """Seconds, on the clock of all happenings; 0.0 if unknown."""


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """The item ended (`EndItem`) and its last sound left the speaker."""

    item_id: str


@dataclass(frozen=True, slots=True)
class PlaybackStopped:
    """Playback is silent. `heard`: final position in ms of each queued item, 0.0 if not begun."""

    heard: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpeakerChanged:
    """There is a speaker now, or there is none any more and replies are read, not heard."""

    present: bool


class Decision(StrEnum):
    """Answer of the user to a call that needs approval."""

    ONCE = "once"
    """Run this call."""
    SESSION = "session"
    """Run it, and every call of this tool until the conversation ends."""
    ALWAYS = "always"
    """Run it, and every call of exactly this tool from now on."""
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Decided:
    """The user decided on a call that asks, having seen these arguments of it.

    Only a key, a click or a typed command may become this: never speech, nor anything printed.
    """

    call_id: str
    arguments: str
    """`ToolCall.arguments` as they were shown; a decision on others changes nothing."""
    decision: Decision
    words: str = ""
    """For the model, with a denial."""


@dataclass(frozen=True, slots=True)
class OfferTools:
    """These are the tools from now on, each with who decides on it."""

    tools: tuple[ToolSpec, ...]


@dataclass(frozen=True, slots=True)
class Announce:
    """Something happened that the user is to hear of, e.g. a timer rang: tell the model.

    The model is told between two turns, never in the middle of anyone's speech.
    """

    text: str


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
    | Configure
    | AskOutOfBand
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
    | Announce
    | ToolFinished
    | Tick
)
