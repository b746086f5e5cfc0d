"""Messages between the audio process and its parent.

Commands go to the audio process, events come from it. Where the conversation has a word for a
message, the message is that word: `AudioEffect` are effects of the conversation, `AudioInput` are
inputs of it, and neither is translated. The classes below are the rest.

All sound is PCM16 mono little-endian: microphone blocks at `AudioSettings.input_rate`, playback at
`AudioSettings.output_rate`. Times are `time.monotonic()` seconds, which parent and child share.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
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

MAX_GAIN = 2.0
"""Highest gain of the output: +6 dB."""

# --------------------------------------------------------------------------- settings


@dataclass(frozen=True, slots=True)
class AudioSettings:
    """How to open the devices, named by a part of their name; None is the default device."""

    input_device: str | None = None
    output_device: str | None = None
    preferred: tuple[Literal["input", "output"], ...] = ()
    """Sides that use the default device while their named device is absent."""
    listen: bool = True
    """False opens no microphone."""
    input_rate: int = 24_000
    output_rate: int = 24_000
    block_ms: int = 20
    """Length of the blocks of the microphone and of `MicBlock`; in a quiet room ten go together."""
    echo_cancel: bool = True
    noise_suppression: bool = False
    """Apply noise suppression to the microphone."""
    gain_control: bool = False
    """Apply automatic gain control to the microphone."""
    barge_in: Literal["off", "low", "normal", "high"] = "normal"
    """Sensitivity with which the audio process itself ducks and holds playback on speech."""
    latency_ms: int = 0
    """Least device buffer in ms; a machine that falls behind gets a larger one."""
    monitor: bool = False
    """Also deliver the sound of the speaker, as `Played`."""


# --------------------------------------------------------------------------- commands


@dataclass(frozen=True, slots=True)
class Mute:
    """Deliver silence instead of the microphone's sound; after a while its stream is closed."""

    on: bool


@dataclass(frozen=True, slots=True)
class Cue:
    """Play a cue sound over everything; an unknown name is ignored (`cue_sounds.NAMES`)."""

    name: str


@dataclass(frozen=True, slots=True)
class Volume:
    """Set the gain of all output, 0.0 to `MAX_GAIN`; cues are at most as loud as at 1.0."""

    gain: float


@dataclass(frozen=True, slots=True)
class UseDevices:
    """Open other devices, named as in `AudioSettings`; what plays is reported as stopped."""

    input_device: str | None
    output_device: str | None


@dataclass(frozen=True, slots=True)
class Quit:
    """Close the streams and end the process."""


AudioEffect = Play | EndItem | StopPlayback | ResumePlayback | CloseMic
"""Effects of the conversation that the audio process carries out."""

AudioCommand = AudioEffect | Mute | Cue | Volume | UseDevices | Quit

# --------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Opened:
    """The streams run. A name is None without such a device; `problem` and `hint` explain it."""

    input_name: str | None
    output_name: str | None
    output_latency_ms: float = 0.0
    problem: str = ""
    hint: str = ""
    echo: str = ""
    """Name of the echo canceller: "AEC3", "AEC3 of livekit", "half-duplex gate" or "off"."""


@dataclass(frozen=True, slots=True)
class Switched:
    """One side moved to the device `name`, because the system's default changed."""

    kind: Literal["input", "output"]
    name: str


@dataclass(frozen=True, slots=True)
class Played:
    """A block that left the speaker, at the output rate, with ducking, fades and cues.

    `at` is when its last sample was heard. Sent only with `AudioSettings.monitor`.
    """

    pcm: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Levels:
    """Levels of both sides in dBFS; -100 is silence.

    Sent 10 times a second while they change, else once a second.
    """

    mic: float
    speaker: float
    mic_peak: float = -100.0
    speaker_peak: float = -100.0
    hears: bool = True
    """False while a microphone that is in use delivers nothing yet."""

    def differ(self, other: Levels) -> bool:
        """Return True if a level differs by 1 dB or more, or `hears` differs."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return any(abs(ours - theirs) >= 1 for ours, theirs in pairs)


@dataclass(frozen=True, slots=True)
class DigitalSilence:
    """The microphone delivers only zeros, or (`ended`) sound again."""

    ended: bool
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Underrun:
    """Playback ran dry inside an item, or the device dropped sound; totals since the start."""

    gaps: int
    lost_ms: float


@dataclass(frozen=True, slots=True)
class EchoGuarded:
    """Half duplex began or ended, because the echo canceller is not trusted at the moment.

    Playback is softer, and only clear speech over it stops it. `raised`: after replies that were
    stopped at their start, it takes even louder speech.
    """

    on: bool
    raised: bool


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with the devices: what happened, and what to do. Text keeps working."""

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
"""Events that are inputs of the conversation."""

AudioEvent = (
    AudioInput
    | Opened
    | Switched
    | Played
    | Levels
    | DigitalSilence
    | Underrun
    | EchoGuarded
    | Problem
)
