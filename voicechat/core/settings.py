"""What a session is asked to be: the same words for every provider.

A codec turns these into its wire's session object. `None` in an optional field means
"the provider's own default", never "off"; off has a value of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Encoding and sample rate of a sound stream; always mono, PCM is 16-bit little-endian."""

    encoding: Literal["pcm16", "pcmu", "pcma"] = "pcm16"
    rate: int = 24_000

    def ms(self, size: int) -> float:
        """Milliseconds that `size` bytes of this format last."""
        width = 2 if self.encoding == "pcm16" else 1
        return size * 1000 / (width * self.rate)


@dataclass(frozen=True, slots=True)
class ServerVad:
    """Turns end after a fixed silence."""

    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    idle_timeout_ms: int | None = None
    create_response: bool = True
    interrupt_response: bool = True


@dataclass(frozen=True, slots=True)
class SemanticVad:
    """Turns end when what was said sounds finished."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = ServerVad | SemanticVad | None
"""None: the person decides (push-to-talk, typed)."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """How the person's speech is written down; None fields are the provider's defaults."""

    model: str | None = None
    language: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The whole configuration of one session."""

    instructions: str | None = None
    voice: str | None = None
    output: Literal["audio", "text"] = "audio"
    turn_detection: TurnDetection = SemanticVad()
    transcription: Transcription | None = Transcription()
    input_format: AudioFormat = AudioFormat()
    output_format: AudioFormat = AudioFormat()
    noise_reduction: Literal["near_field", "far_field"] | None = None
    speed: float | None = None
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do. Conversation and session read these flags, never who it is."""

    truncate: bool = True
    """A spoken item can be cut at what was heard."""
    cancel: bool = True
    """A running response can be stopped by a command."""
    semantic_vad: bool = True
    text_output: bool = True
    manual_turns: bool = True
    """Push-to-talk: the client may end a turn."""
    commit_starts_response: bool = False
    """A commit alone asks for the reply; `CreateResponse` must not follow it."""
    user_partials: bool = True
    """The person's words arrive while they speak."""
    input_rates: tuple[int, ...] = (24_000,)
    output_rates: tuple[int, ...] = (24_000,)
    resumption: bool = False
    """The provider can restore a session by handle."""
