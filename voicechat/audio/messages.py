"""What goes over the pipe between the audio process and its parent.

Commands go down, events come up. All sound is PCM16 mono little-endian: microphone blocks at
`AudioSettings.input_rate`, playback at `AudioSettings.output_rate`. Times are `time.monotonic()`
seconds, which parent and child share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# --------------------------------------------------------------------------- settings


@dataclass(frozen=True, slots=True)
class AudioSettings:
    """How to open the sound. Devices are named by a part of their name; None is the default."""

    input_device: str | None = None
    output_device: str | None = None
    listen: bool = True
    """Whether to open a microphone at all."""
    input_rate: int = 24_000
    output_rate: int = 24_000
    block_ms: int = 20
    """Length of the blocks that `Captured` delivers; while it is quiet up to five go together."""
    echo_cancel: bool = True
    noise_suppression: bool = False
    """Deliver the microphone with less noise."""
    gain_control: bool = False
    """Deliver it at an even loudness."""
    barge_in: Literal["off", "low", "normal", "high"] = "normal"
    """How readily the sound side itself stops playback when it hears the person."""
    latency_ms: int = 0
    """Asks the device to buffer at least this much; a machine that falls behind gets more."""
    monitor: bool = False
    """Also deliver what comes out of the speaker, as `Played`."""


# --------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Play:
    """Queue sound of an item."""

    item_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class EndItem:
    """The item has no more sound; `ItemFinished` follows when the last of it was heard."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Fade out and forget all queued sound; `Stopped` follows."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Undo a duck or a local stop that was a false alarm; held sound plays on."""


@dataclass(frozen=True, slots=True)
class Mute:
    """Muted, the microphone delivers silence instead of sound."""

    on: bool


@dataclass(frozen=True, slots=True)
class CloseMic:
    """Closed, the microphone delivers nothing at all (push-to-talk up, text only)."""

    on: bool


@dataclass(frozen=True, slots=True)
class Cue:
    """Play a short sound of our own over everything; `cues.NAMES` has them all.

    An unknown name is silent.
    """

    name: str


@dataclass(frozen=True, slots=True)
class Volume:
    """Gain of all that is heard, cues too, 0.0 to 1.0."""

    gain: float


@dataclass(frozen=True, slots=True)
class Quit:
    """Close the streams and end."""


AudioCommand = Play | EndItem | Stop | Resume | Mute | CloseMic | Cue | Volume | Quit

# --------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Opened:
    """The streams run. None where there is no such device; `problem` and `hint` say why."""

    input_name: str | None
    output_name: str | None
    output_latency_ms: float = 0.0
    problem: str = ""
    hint: str = ""
    echo: str = ""
    """What takes the echo out: "AEC3", "AEC3 of livekit", "half-duplex gate" or "off"."""


@dataclass(frozen=True, slots=True)
class Switched:
    """The system's choice changed, and the sound of this side follows it to the device `name`."""

    kind: Literal["input", "output"]
    name: str


@dataclass(frozen=True, slots=True)
class Captured:
    """A block from the microphone; `at` is when its last sample was taken."""

    pcm: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Played:
    """A block that came out of the speaker, ducked, faded and with cues, at the output rate.

    `at` is when its last sample was heard. Only with `AudioSettings.monitor`.
    """

    pcm: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Levels:
    """Loudness of both sides in dBFS, some 10 times a second; -100 is silence."""

    mic: float
    speaker: float
    mic_peak: float = -100.0
    speaker_peak: float = -100.0


@dataclass(frozen=True, slots=True)
class SpeechHeard:
    """The person speaks over the playing sound.

    Not `confirmed`: playback was lowered. Confirmed: playback was held at this moment, silent with
    nothing lost; answer with `Stop` (forget it) or `Resume` (play on from where it was).
    """

    confirmed: bool
    at: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The person is silent again."""

    at: float


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    """The person fell silent at this time, whether or not anything was playing."""

    at: float


@dataclass(frozen=True, slots=True)
class ItemStarted:
    """The first sound of the item came out of the speaker."""

    item_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Progress:
    """This much of the item came out of the speaker, latency subtracted; 10 times a second."""

    item_id: str
    heard_ms: float


@dataclass(frozen=True, slots=True)
class ItemFinished:
    """The last sound of the item came out of the speaker."""

    item_id: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Playback is silent. Heard ms of every item that was playing or queued (0.0 if not begun)."""

    heard_ms: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Underrun:
    """The speaker ran dry inside an item, or the device dropped sound; totals since the start."""

    gaps: int
    lost_ms: float


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is wrong with the sound: one sentence and its remedy. Text goes on."""

    text: str
    hint: str = ""


AudioEvent = (
    Opened
    | Switched
    | Captured
    | Played
    | Levels
    | SpeechHeard
    | SpeechEnded
    | VoiceEnded
    | ItemStarted
    | Progress
    | ItemFinished
    | Stopped
    | Underrun
    | Problem
)
