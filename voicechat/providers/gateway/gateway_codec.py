"""Vercel AI Gateway: normalized events in both directions, for any provider behind it.

A model is named PROVIDER/MODEL, like `openai/gpt-realtime-2.1`. The gateway can do what that
provider can, so the first part of the name selects the capabilities.

Sources: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4` (client events), and
`@ai-sdk/gateway` (address, headers); ElevenLabs docs, "Realtime models" (a session like OpenAI's).
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from binascii import b2a_base64
from dataclasses import dataclass, replace
from itertools import count

from voicechat.core.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    CommandName,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    SeedCall,
    SeedResult,
    ToolResult,
    TruncateItem,
    UpdateSession,
)
from voicechat.core.events import Event
from voicechat.core.settings import (
    CONVERSATION_ONLY,
    Capabilities,
    SemanticVad,
    ServerVad,
    SessionSettings,
)
from voicechat.errors import Secret
from voicechat.providers.call_messages import CallMessages
from voicechat.providers.gateway import gateway_events
from voicechat.providers.gateway.gateway_address import protocol_headers, team_header
from voicechat.providers.gateway.gateway_client_events import GATEWAY_EVENTS
from voicechat.providers.gateway.gateway_events import GatewayState
from voicechat.providers.gateway.normalized_config import config_of
from voicechat.providers.json_fields import encode
from voicechat.providers.openai.openai_parts import UNCOMMON, ignored, no_setting, without_none
from voicechat.speech import g711
from voicechat.system.dial_target import DialTarget

Message = dict[str, object]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Behavior of the gateway for the models of one provider."""

    capabilities: Capabilities
    answers: bool = False
    """It answers text, tool results and commits without a request, and takes one setup only."""


_OPENAI = Upstream(
    replace(CONVERSATION_ONLY, speed_range=None, remote_tools=False, response_instructions=True)
)
_XAI = Upstream(
    replace(
        _OPENAI.capabilities,
        truncate=False,
        semantic_vad=False,
        text_output=False,
        commit_starts_response=True,
        response_instructions=False,
    )
)
_GOOGLE = Upstream(
    replace(_XAI.capabilities, cancel=False, speech_end=False, text_leads=False),
    answers=True,
)
_ELEVENLABS = Upstream(replace(_OPENAI.capabilities, semantic_vad=False))
_UPSTREAMS = {
    "openai": _OPENAI, "google": _GOOGLE, "spacexai": _XAI, "xai": _XAI, "elevenlabs": _ELEVENLABS,
}  # fmt: skip


class GatewayCodec:
    """One connection. Make a new one for every connection."""

    client_events = GATEWAY_EVENTS

    def __init__(self, url: str, model: str, key: Secret | None = None, team: str = "") -> None:
        """Prepare a connection to `url` for `model`, named PROVIDER/MODEL.

        team: the id or the short name of the team that pays; empty for that of the key.
        """
        upstream = _UPSTREAMS.get(model.partition("/")[0], _OPENAI)
        self.capabilities = upstream.capabilities
        self.stale = False
        self._team = team
        self._endpoint = DialTarget(url, protocol_headers(key) | team_header(team) if key else {})
        self._answers = upstream.answers
        self._state = GatewayState(calls_end=upstream.answers)
        self._config: Message = {}
        self._input = SessionSettings().input_format
        self._numbers = count(1)
        self._call_messages = CallMessages()
        self._waiting: list[CreateMessage] = []
        """Messages to send as one, for a provider that answers each of them."""

    def endpoint(self) -> DialTarget:
        """Return where and how to dial."""
        return self._endpoint

    def redirect(self, endpoint: DialTarget) -> None:
        """Dial this target instead, with a short-lived token."""
        if self._team:
            encoded = urlsafe_b64encode(self._team.encode()).decode().rstrip("=")
            named = (*endpoint.subprotocols, f"ai-gateway-team.{encoded}")
            endpoint = replace(endpoint, subprotocols=named)
        self._endpoint = endpoint

    def opening(self, settings: SessionSettings, resume: str = "") -> list[str | bytes]:
        """Return the configuration: some providers send nothing before it."""
        return self._update(settings)

    def unsupported(self, settings: SessionSettings) -> list[str]:
        """Return a sentence for each setting that the normalized configuration cannot carry."""
        found = ignored("gateway", settings, _UNSUPPORTED)
        wanted = settings.turn_detection
        if wanted is not None and not (wanted.create_response and wanted.interrupt_response):
            found.append(
                no_setting("gateway", "turn_detection.create_response or interrupt_response")
            )
        if isinstance(wanted, ServerVad) and wanted.idle_timeout_ms is not None:
            found.append(no_setting("gateway", "turn_detection.idle_timeout_ms"))
        if isinstance(wanted, SemanticVad) and wanted.eagerness != "auto":
            found.append(no_setting("gateway", "turn_detection.eagerness"))
        if settings.purpose == "transcription":
            found.append(no_setting("gateway", "purpose transcription"))
        return found

    def deferred(self, settings: SessionSettings) -> list[str]:
        """Return a sentence if these settings need a new connection."""
        if self._answers and self._config and config_of(settings) != self._config:
            return ["This changes between two turns, with a new connection."]
        return []

    def decode(self, frame: str | bytes) -> list[Event]:
        """Return the events in one frame. Never raises: an unreadable frame is `Unmapped`."""
        return gateway_events.read(self._state, frame)

    def encode(self, command: Command) -> list[str | bytes]:
        """Return the frames that carry out one command; empty if there is no such event."""
        match command:
            case AppendAudio(pcm):
                return [self._append(pcm)]
            case CommitAudio():
                return [encode({"type": "input-audio-commit"})]
            case ClearAudio():
                return [encode({"type": "input-audio-clear"})]
            case UpdateSession(settings):
                return self._update(settings)
            case CreateMessage():
                return self._create(command)
            case SeedCall() | SeedResult():
                message = self._call_messages.add(command)
                return self._create(message) if message is not None else []
            case CreateResponse():
                return self._respond(command)
            case ToolResult() | TruncateItem() | CancelResponse():
                return self._plain(command)
            case _:
                return []

    def _update(self, settings: SessionSettings) -> list[str | bytes]:
        config = config_of(settings)
        before, self._input = self._config, settings.input_format
        self.stale = bool(before) and self._answers and config != before
        if config == before or self.stale:
            return []
        self._config = config
        event_id = f"{CommandName.UPDATE_SESSION}-{next(self._numbers)}"
        return [encode({"type": "session-update", "config": config, "eventId": event_id})]

    def _append(self, pcm: bytes) -> str:
        if self._input.encoding != "pcm16":
            pcm = g711.from_pcm16(pcm, self._input.encoding)
        sound = b2a_base64(pcm, newline=False).decode("ascii")
        return f'{{"type":"input-audio-append","audio":"{sound}"}}'

    def _create(self, command: CreateMessage) -> list[str | bytes]:
        if self._answers:
            self._waiting.append(command)
            return []
        return [_text_message([command])]

    def _respond(self, command: CreateResponse) -> list[str | bytes]:
        if command.out_of_band:
            return []
        if self._answers:
            waiting, self._waiting = self._waiting, []
            return [_text_message(waiting)] if waiting else []
        options = without_none({
            "modalities": [command.output] if command.output else None,
            "instructions": command.instructions,
            "metadata": dict(command.metadata) or None,
        })  # fmt: skip
        return [encode({"type": "response-create", **({"options": options} if options else {})})]

    def _plain(self, command: ToolResult | TruncateItem | CancelResponse) -> list[str | bytes]:
        if isinstance(command, ToolResult):
            item: Message = {"type": "function-call-output", "callId": command.call_id}
            item |= {"name": command.name} if command.name else {}
            item["output"] = command.output
            return [encode({"type": "conversation-item-create", "item": item})]
        if isinstance(command, CancelResponse):
            return [encode({"type": "response-cancel"})] if self.capabilities.cancel else []
        if not self.capabilities.truncate:
            return []
        said_of = {"itemId": command.item_id, "contentIndex": command.content_index}
        return [
            encode(
                {
                    "type": "conversation-item-truncate",
                    **said_of,
                    "audioEndMs": command.audio_end_ms,
                }
            )
        ]


_UNSUPPORTED = (
    *UNCOMMON,
    "noise_reduction", "speed", "tool_choice", "max_output_tokens", "mcp_servers",
    "parallel_tool_calls", "reasoning_effort", "temperature", "tracing", "truncation", "prompt",
    "include", "transcription.keywords", "transcription.delay",
)  # fmt: skip


def _text_message(messages: list[CreateMessage]) -> str:
    """Return one user message, the only kind on this wire; other roles are quoted in it."""
    last = messages[-1]
    parts = [_quoted(message) for message in messages[:-1]]
    parts.append(last.text if last.role == "user" else _quoted(last))
    item = {"type": "text-message", "role": "user", "text": "\n".join(parts)}
    return encode({"type": "conversation-item-create", "item": item})


def _quoted(message: CreateMessage) -> str:
    who = {"assistant": "You", "user": "I"}.get(message.role, "A note")
    return f"(Earlier in this conversation. {who}: {message.text})"
