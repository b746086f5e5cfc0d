"""Messages between the audio process and its parent.

Commands go to the audio process, events come from it. Where the conversation has a word for a
message, the message is that word: `AudioEffect` are effects of the conversation, `AudioInput` are
inputs of it, and neither is translated. The classes below are the rest.

All sound is PCM16 mono little-endian: microphone blocks at `AudioSettings.input_rate`, playback at
`AudioSettings.output_rate`. Times are `time.monotonic()` seconds, which parent and child share.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from voicechat.core.effects import CloseMic, EndItem, Play, ResumePlayback, StopPlayback
from voicechat.core.inputs import (
    Heard,
    LocalSpeech,
    LocalSpeechEnded,
    MicBlock,
    PlaybackFinished,
    PlaybackStarted,
    PlaybackStopped,
    VoiceEnded,
)

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
    """Length of the blocks that `MicBlock` delivers; while it is quiet up to five go together."""
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
class Mute:
    """Muted, the microphone delivers silence instead of sound."""

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


AudioEffect = Play | EndItem | StopPlayback | ResumePlayback | CloseMic
"""Effects of the conversation that the audio process carries out."""

AudioCommand = AudioEffect | Mute | Cue | Volume | Quit

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
class Underrun:
    """The speaker ran dry inside an item, or the device dropped sound; totals since the start."""

    gaps: int
    lost_ms: float


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is wrong with the sound: one sentence and its remedy. Text goes on."""

    text: str
    hint: str = ""


AudioInput = (
    MicBlock
    | LocalSpeech
    | LocalSpeechEnded
    | VoiceEnded
    | PlaybackStarted
    | Heard
    | PlaybackFinished
    | PlaybackStopped
)
"""Events that the conversation takes as they are."""

AudioEvent = AudioInput | Opened | Switched | Played | Levels | Underrun | Problem
