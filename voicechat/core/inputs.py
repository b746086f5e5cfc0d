"""What the person does, what the sound side hears, and that time passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from voicechat.core.pictures import Picture


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
    """The person sent a line, or showed a picture (of a kind that the provider takes), or both."""

    text: str
    picture: Picture | None = None


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
