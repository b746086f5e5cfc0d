"""Session settings, in the same terms for every provider.

A codec turns them into the session object of its wire. `None` in an optional field means the
provider's default, never "off"; "off" has a value of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from voicechat.core.pictures import Kind, Picture


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """Encoding and sample rate of audio; always mono, PCM is 16-bit little-endian."""

    encoding: Literal["pcm16", "pcmu", "pcma"] = "pcm16"
    rate: int = 24_000

    def ms(self, size: int) -> float:
        """Return the duration of `size` bytes in milliseconds."""
        width = 2 if self.encoding == "pcm16" else 1
        return size * 1000 / (width * self.rate)

    @property
    def decoded(self) -> AudioFormat:
        """The format of the same audio in events and commands, which is always PCM16."""
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
    """Turns end when the sentence seems complete."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool = True
    interrupt_response: bool = True


TurnDetection = ServerVad | SemanticVad | None
"""None: the user ends turns (push-to-talk, typed)."""


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]
"""Reasoning effort of a model or delay of a transcriber; a provider supports some of these."""


@dataclass(frozen=True, slots=True)
class Transcription:
    """Transcription of the user's speech; None means the provider's default."""

    model: str | None = None
    language: str | None = None
    """Spoken language, as a code like `en`."""
    prompt: str | None = None
    """Topic of the speech, as a prompt."""
    languages: tuple[str, ...] = ()
    """Several possible languages, instead of `language`."""
    keywords: tuple[str, ...] = ()
    """Names and terms that are likely to occur."""
    delay: Effort | None = None
    """Delay of the transcriber before it writes."""


@dataclass(frozen=True, slots=True)
class NoiseReduction:
    """The provider's noise reduction for the microphone."""

    kind: Literal["near_field", "far_field"] = "near_field"
    """Distance of the microphone: at the mouth, or across the room."""
    strength: float | None = None
    """From 0 (off) upwards; 1 is normal."""


class Permission(StrEnum):
    """Permission of a tool."""

    AUTO = "auto"
    """It runs when the model calls it."""
    ASK = "ask"
    """The user decides each time."""
    NEVER = "never"
    """It is not offered, and its calls are denied."""


@dataclass(frozen=True, slots=True)
class PermissionRule:
    """The permission of the calls whose arguments match all its patterns."""

    permission: Permission
    patterns: tuple[tuple[str, str], ...]
    """Name and pattern of each argument; an empty name is the first argument."""
    is_approved: bool = False
    """The user allowed it during a conversation; otherwise the settings have it."""

    @property
    def shown(self) -> str:
        """The patterns for the user."""
        return ", ".join(f"{name}={text}" if name else text for name, text in self.patterns)


@runtime_checkable
class CallRules(Protocol):
    """The rules for the arguments of a tool."""

    @property
    def rules(self) -> tuple[PermissionRule, ...]:
        """All rules."""
        ...

    def permission(self, arguments: str) -> Permission | None:
        """Return the permission of a call; None when no rule covers it."""
        ...

    def pattern(self, arguments: str) -> str:
        """Return the pattern with which the user can allow this call; empty for none."""
        ...


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it; `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]
    permission: Permission = Permission.AUTO
    source: str = ""
    """Origin of the tool, shown when the user is asked."""
    asks_always: bool = False
    """Every single call needs approval: no decision applies to later calls."""
    remark: str = ""
    """Warnings for the user before a decision, such as a changed description."""
    rules: CallRules | None = field(default=None, compare=False, repr=False)
    """Permissions of single calls, which override `permission` unless it is `NEVER`."""


@dataclass(frozen=True, slots=True)
class McpServer:
    """An MCP server whose tools the provider itself fetches and runs."""

    label: str
    url: str | None = None
    """Its address; None if a `connector` is named."""
    connector: str | None = None
    """One of the provider's own connectors."""
    tunnel: str | None = None
    """Id of the provider's tunnel to a server that has no public address."""
    authorization: str | None = field(default=None, repr=False)
    """A token for the server; sent to the provider only."""
    description: str | None = None
    allowed_tools: tuple[str, ...] = ()
    """Empty for all of them."""
    require_approval: Literal["always", "never"] = "never"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """HTTP headers for the server; sent to the provider only."""
    defer_loading: bool | None = None
    """True: the model searches for a tool instead of receiving all of them."""
    allowed_callers: tuple[Literal["direct", "programmatic"], ...] = ()
    """Ways in which the model may call the tools; empty for the provider's default."""


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
    """Truncation of a conversation that no longer fits the context."""

    ratio: float = 0.8
    """From 0 to 1."""
    post_instructions: int | None = None
    """Largest number of tokens of conversation, instructions not counted."""


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    """Instructions stored at the provider, with values for their placeholders."""

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
    pronunciation: Mapping[str, str] | None = field(default=None, hash=False)
    """Spoken forms of written words, such as names: `{"Nguyen": "win"}`."""
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
    """Additional fields of events, e.g. `item.input_audio_transcription.logprobs`."""
    backing_model: str | None = None
    """Model that a continuous session delegates reasoning and tool calls to."""
    translate_to: str | None = None
    """Language that a translation session speaks, as a code like `fr`."""
    purpose: Purpose = "conversation"
    """A session that only transcribes has no responses, voice or tools."""


SPEED_RANGE = (0.25, 1.5)
"""Widest range of speaking speeds of any provider (OpenAI Realtime, session object)."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Capability flags of a provider. Conversation and session read these, never its name."""

    truncate: bool = True
    """A spoken item can be truncated to what was heard."""
    cancel: bool = True
    """A running response can be cancelled by a command."""
    cancels_on_speech: bool = True
    """The provider itself cancels the running response when it detects speech."""
    semantic_vad: bool = True
    text_output: bool = True
    commit_starts_response: bool = False
    """A commit alone starts a response; `CreateResponse` must not follow it."""
    input_rates: tuple[int, ...] = (24_000,)
    output_rates: tuple[int, ...] = (24_000,)
    verbatim: bool = False
    """A text can be spoken word for word, without the model."""
    out_of_band: bool = True
    """Responses outside the conversation can be requested."""
    retrieve: bool = True
    """An item can be retrieved."""
    delete: bool = True
    """An item can be deleted."""
    clear_output: bool = True
    """The provider may have a playback buffer of its own, which can be cleared."""
    pictures: tuple[Kind, ...] = (Kind.PNG, Kind.JPEG)
    """Accepted kinds of pictures; empty if none are accepted."""
    picture_bytes: int = 5_000_000
    """Largest file size of a picture, in bytes."""
    tool_pictures: bool = True
    """A picture may follow the result of a tool before the response."""
    speech_end: bool = True
    """The end of the user's speech is reported."""
    patience_s: float = 7.5
    """Seconds without any frame or pong until the connection counts as dead."""
    resumes: bool = False
    """Sessions can be resumed. The provider closes some with 1008 for reasons that pass."""
    outlives_connection: bool = False
    """The session goes on without a connection, as a phone call does: the next one repeats and
    seeds nothing."""
    answer_factor: float = 1.0
    """Multiplies the time without news after which an answer counts as hanging; a model may load or
    reason first."""
    remote_tools: bool = True
    """The provider can fetch tools from an MCP server and run them itself."""
    transcription_remedy: str = 'Set transcription to the name of another model, or to "off".'
    """Advice to the user after a failed transcription."""
    transcription_only: bool = False
    """Sessions that only transcribe are supported."""
    text_input: bool = True
    """Text can be sent: typed lines, announcements, results of tools."""
    continuous: bool = False
    """The model listens while it speaks and decides itself when to stop: nothing interrupts it."""
    response_instructions: bool = True
    """A single response can have instructions of its own."""
    text_leads: bool = True
    """The words of a reply arrive before their sound."""
    separate_sound: bool = False
    """Sound travels apart from events and commands: a frame of bytes is sound, PCM16."""
    speed_range: tuple[float, float] | None = SPEED_RANGE
    """Slowest and fastest speaking speed, 1 is normal; None if it cannot be changed."""

    def accepts(self, picture: Picture) -> bool:
        """Return True if a message can have this picture."""
        return picture.kind in self.pictures and len(picture.data) <= self.picture_bytes


CONVERSATION_ONLY = Capabilities(
    out_of_band=False, retrieve=False, delete=False, clear_output=False, pictures=(),
    response_instructions=False,
)  # fmt: skip
"""A wire without requests outside the conversation, and without pictures."""
