"""Session settings, in the same terms for every provider.

A codec turns these into its wire's session object. `None` in an optional field means
"the provider's own default", never "off"; off has a value of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from voicechat.core.pictures import Kind


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Encoding and sample rate of a sound stream; always mono, PCM is 16-bit little-endian."""

    encoding: Literal["pcm16", "pcmu", "pcma"] = "pcm16"
    rate: int = 24_000

    def ms(self, size: int) -> float:
        """Milliseconds that `size` bytes of this format last."""
        width = 2 if self.encoding == "pcm16" else 1
        return size * 1000 / (width * self.rate)

    @property
    def decoded(self) -> AudioFormat:
        """The format of the same sound in events and commands, which is always PCM16."""
        return AudioFormat(rate=self.rate)


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
"""None: the user decides (push-to-talk, typed)."""


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
"""Effort of a model or delay of a transcriber; each provider knows some of these."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """Transcription of the user's speech; None means the provider's default."""

    model: str | None = None
    language: str | None = None
    """The language that is spoken, as a code like `en`."""
    prompt: str | None = None
    """Topic of the speech, as a prompt."""
    languages: tuple[str, ...] = ()
    """Several languages that may be spoken, instead of the one."""
    keywords: tuple[str, ...] = ()
    """Names and terms that may be said."""
    delay: Effort | None = None
    """Delay of the transcriber before it writes."""


@dataclass(frozen=True, slots=True)
class NoiseReduction:
    """The provider's noise reduction for the microphone."""

    kind: Literal["near_field", "far_field"] = "near_field"
    """True if the microphone is at the mouth or across the room."""
    strength: float | None = None
    """From 0 (not at all) upwards; 1 is normal."""


class Permission(StrEnum):
    """Permission of a tool: automatic, approval by the user, or never."""

    AUTO = "auto"
    """It runs when the model calls it."""
    ASK = "ask"
    """The user decides each time."""
    NEVER = "never"
    """It is not offered, and a call of it is denied."""


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]
    permission: Permission = Permission.AUTO
    source: str = ""
    """Where it comes from, for the user who is asked."""
    asks_always: bool = False
    """Every single call is requested: no answer counts for a later one."""
    remark: str = ""
    """Warnings for the user before a decision, such as a changed description."""


@dataclass(frozen=True, slots=True)
class McpServer:
    """Tools that the provider itself fetches and runs, from an MCP server it can reach."""

    label: str
    url: str | None = None
    """Its address; None when a `connector` is named."""
    connector: str | None = None
    """One of the provider's own connectors."""
    authorization: str | None = field(default=None, repr=False)
    """A token for the server; goes to the provider and nowhere else."""
    description: str | None = None
    allowed_tools: tuple[str, ...] = ()
    """Empty for all of them."""
    require_approval: Literal["always", "never"] = "never"


@dataclass(frozen=True, slots=True)
class McpChoice:
    """The model must use this MCP server, or this tool of it."""

    label: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tracing:
    """Settings of the provider's own traces."""

    workflow_name: str | None = None
    group_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetentionRatio:
    """Truncation of a conversation that no longer fits."""

    ratio: float = 0.8
    """From 0 to 1."""
    post_instructions: int | None = None
    """Most tokens of conversation, instructions not counted."""


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """Instructions kept at the provider, with values for the places left open in them."""

    id: str
    version: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


Purpose = Literal["conversation", "transcription"]
"""Purpose of a session."""


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
    noise_reduction: NoiseReduction | None = None
    speed: float | None = None
    """Speaking speed; 1 is normal."""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str | McpChoice | None = None
    """auto, none, required, or the name of a tool that must be used."""
    max_output_tokens: int | None = None
    mcp_servers: tuple[McpServer, ...] = ()
    parallel_tool_calls: bool | None = None
    reasoning_effort: Effort | None = None
    temperature: float | None = None
    tracing: Literal["auto"] | Tracing | None = None
    truncation: Literal["auto", "disabled"] | RetentionRatio | None = None
    prompt: StoredPrompt | None = None
    include: tuple[str, ...] = ()
    """More that events shall carry, e.g. `item.input_audio_transcription.logprobs`."""
    purpose: Purpose = "conversation"
    """A session that only transcribes speech has no replies, voice or tools."""


SPEED_RANGE = (0.25, 1.5)
"""The widest range of speaking speeds that a provider takes (OpenAI Realtime, session object)."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capability flags of a provider. Conversation and session read these, never its name."""

    truncate: bool = True
    """A spoken item can be cut at what was heard."""
    cancel: bool = True
    """A running response can be stopped by a command."""
    semantic_vad: bool = True
    text_output: bool = True
    commit_starts_response: bool = False
    """A commit alone asks for the reply; `CreateResponse` must not follow it."""
    input_rates: tuple[int, ...] = (24_000,)
    output_rates: tuple[int, ...] = (24_000,)
    out_of_band: bool = True
    """A response can be requested that stands outside the conversation."""
    retrieve: bool = True
    """An item can be read back."""
    delete: bool = True
    """An item can be taken out of the conversation."""
    clear_output: bool = True
    """The provider may have a playback buffer of its own, which can be emptied."""
    pictures: tuple[Kind, ...] = (Kind.PNG, Kind.JPEG)
    """The kinds of picture that can be shown; empty where none can."""
    picture_bytes: int = 5_000_000
    """The largest picture, as its file has it."""
    speech_end: bool = True
    """The end of the user's speech is told."""
    patience_s: float = 7.5
    """Seconds in which a living connection shows a sign of life, if only the pong to a ping."""
    remote_tools: bool = True
    """The provider can fetch tools from an MCP server and run them by itself."""
    transcription_only: bool = False
    """There are sessions that only write down what is said."""
    speed_range: tuple[float, float] | None = SPEED_RANGE
    """Slowest and fastest speaking speed, 1 being normal; None where it cannot be changed."""
