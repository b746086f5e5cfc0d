"""Any provider's codec as the AI SDK's normalized realtime model, without a socket.

    wire = NormalizedWire(codec)              `catalog.codec_of(...)` makes a codec
    wire.connect()                            URL, headers and subprotocols to dial with
    wire.session(config)                      a configuration as the wire's session object
    wire.encode({"type": "response-create"})  the frames of a client event
    wire.decode(frame)                        the normalized events in a server frame

Make a new one for every connection: it keeps state between frames. No server frame makes it
raise. Names and fields are those of `RealtimeModelV4`. Every event carries its frame as `raw`; a
frame without a normalized event becomes `custom` with the wire's name as `rawType`. Text is clean,
audio is whole PCM16 samples.

It keeps what the AI SDK's packages lose: a transcript completes once, an interrupted response is
`cancelled`, thoughts are not text, and `turnDetection: null` means off.

Source: AI SDK 7, `@ai-sdk/provider`, `Experimental_RealtimeModelV4`.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from voicechat.core.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    ToolResult,
    TruncateItem,
    UpdateSession,
)
from voicechat.core.events import Event, ItemAdded, RemoteApproval, RemoteCall, RemoteTools
from voicechat.core.settings import Purpose, SessionSettings, Transcription
from voicechat.errors import UsageError
from voicechat.providers.codec import Codec, unsupported
from voicechat.providers.gateway.gateway_codec import GatewayCodec
from voicechat.providers.gateway.gateway_events import KNOWN_UNMAPPED, TABLE
from voicechat.providers.gateway.normalized_checks import check_config, check_event
from voicechat.providers.gateway.normalized_config import settings_of
from voicechat.providers.gateway.normalized_continuous import ContinuousEvents, frame_of
from voicechat.providers.gateway.normalized_events import normalized
from voicechat.providers.gateway.normalized_options import options_for, with_options
from voicechat.providers.google.google_codec import GoogleCodec
from voicechat.providers.json_fields import (
    as_list,
    as_text,
    base64_bytes,
    cleaned,
    count,
    encode,
    fields,
    message,
)
from voicechat.providers.openai.openai_codec import OpenAICodec

Message = dict[str, object]

SILENT = frozenset({
    "session-start", "session-close", "input-audio-mute", "input-audio-unmute", "context-append",
})  # fmt: skip
"""Client events of continuous sessions: turn-based wires have no frames for them."""


_NOT_NORMALIZED = (RemoteTools, RemoteCall, RemoteApproval)
"""Events without a normalized one; a frame that holds nothing else is `custom`."""

_OPEN = frozenset({"ai-gateway-protocol-version", "ai-gateway-auth-method"})
"""Headers that hold no secret."""


def _is_not_normalized(event: Event, raw: Message) -> bool:
    # The item of a response is added at its start; some codecs report its end the same way.
    ended = isinstance(event, ItemAdded) and "output_item" in as_text(raw.get("type"))
    return ended or isinstance(event, _NOT_NORMALIZED)


class NormalizedWire:
    """One connection of one provider, as normalized events."""

    def __init__(
        self, codec: Codec, intent: Purpose = "conversation", transcription_model: str | None = None
    ) -> None:
        """Take over a new codec.

        With the intent `transcription`, sessions only transcribe; `transcription_model` is used
        where a configuration names none.
        """
        self._codec = codec
        self._intent: Purpose = intent
        self._transcription_model = transcription_model
        self._provider = "google" if isinstance(codec, GoogleCodec) else ""
        if isinstance(codec, OpenAICodec):
            self._provider = codec.provider
        self._continuous: ContinuousEvents | None = None
        if codec.capabilities.continuous:
            self._provider, self._continuous = "openai", ContinuousEvents()
        self._messages = 0
        self._begun = False
        self._config: Message = {}
        """The whole configuration; an update changes the fields it carries."""
        if isinstance(codec, GoogleCodec):
            codec.at_once = True

    def connect(self) -> Message:
        """Return the URL, headers (keys masked) and subprotocols to dial with."""
        endpoint = self._codec.endpoint()
        return {
            "url": endpoint.url,
            "headers": {
                name: value.reveal() if name in _OPEN else str(value)
                for name, value in endpoint.headers.items()
            },
            "subprotocols": [str(name) for name in endpoint.subprotocols],
        }

    def session(self, config: Message) -> Message:
        """Return the wire's session object of a normalized configuration.

        Raises `UsageError` for a field of a wrong type.
        """
        check_config(config)
        if isinstance(self._codec, GatewayCodec):
            return config
        for frame in self._configure(config):
            said = message(frame) or {}
            for name in ("session", "setup"):
                if name in said:
                    return fields(said[name])
        return {}

    def unsupported(self, config: Message) -> list[str]:
        """Return a sentence for each setting that this wire cannot carry."""
        return unsupported(self._codec, self._settings(config))

    def decode(self, frame: str | bytes) -> list[Message]:
        """Return the normalized events in one server frame. Never raises.

        A frame that is not a JSON object is an `error` with the code `invalid_frame`.
        """
        raw = message(frame)
        if raw is None:
            text = frame if isinstance(frame, str) else frame.decode(errors="replace")
            said = "The frame is not a JSON object."
            return [
                {"type": "error", "message": said, "code": "invalid_frame", "raw": as_text(text)}
            ]
        if isinstance(self._codec, GatewayCodec):
            return [_same(raw)]
        if self._continuous is not None:
            return [{**(self._continuous.read(raw) or _custom(raw)), "raw": cleaned(raw)}]
        events = [e for e in self._codec.decode(frame) if not _is_not_normalized(e, raw)]
        return [normalized(event, raw) for event in events] or [
            {**_custom(raw), "raw": cleaned(raw)}
        ]

    def encode(self, event: Message) -> list[str]:
        """Return the wire frames of one normalized client event; none if the wire has none.

        Raises `UsageError` for an unknown event and for a field of a wrong type.
        """
        kind = as_text(event.get("type"))
        if not kind:
            raise UsageError('The line has no "type".')
        check_event(kind, event)
        if isinstance(self._codec, GatewayCodec):
            if kind not in SILENT and kind not in _CLIENT:
                raise UsageError(f"There is no client event {kind[:80]!r}.")
            return [encode(event)]
        if self._continuous is not None and (frame := frame_of(event)) is not None:
            return [frame]
        starts = kind == "session-start" and self._continuous is not None
        if (kind in SILENT and not starts) or kind in _DROPPED.get(self._provider, ()):
            return []
        if kind == "session-update" or starts:
            config = {**self._config, **fields(event.get("config"))}
            frames = self._configure(config)
            self._config = config
        elif kind == "conversation-item-create":
            frames = self._item(fields(event.get("item")))
        else:
            frames = self._codec.encode(_command(kind, event))
        return [_named(frame, event.get("eventId")) for frame in frames]

    def _configure(self, config: Message) -> list[str | bytes]:
        settings = self._settings(config)
        begun, self._begun = self._begun, True
        opening = [] if begun else self._codec.opening(settings)
        frames = opening or self._codec.encode(UpdateSession(settings))
        options = options_for(self._provider, fields(config.get("providerOptions")))
        return [with_options(self._provider, frame, options) for frame in frames]

    def _settings(self, config: Message) -> SessionSettings:
        settings = settings_of(config, self._codec.capabilities.input_rates[0])
        if self._intent == "conversation":
            return settings
        heard = settings.transcription or Transcription()
        heard = replace(heard, model=heard.model or self._transcription_model)
        return replace(settings, purpose=self._intent, transcription=heard)

    def _item(self, item: Message) -> list[str | bytes]:
        kind = as_text(item.get("type"))
        if kind == "function-call-output":
            result = ToolResult(
                as_text(item.get("callId")), as_text(item.get("output")), as_text(item.get("name"))
            )
            return self._codec.encode(result)
        self._messages += 1
        if kind == "text-message":
            said = as_text(item.get("text"))
            item_id = f"msg_{self._messages}"
            return self._codec.encode(CreateMessage(item_id, "user", said))
        if kind == "audio-message":
            if base64_bytes(item.get("audio")) is None:
                raise UsageError("The audio of the message is not base64.")
            return [_audio_item(item)] if isinstance(self._codec, OpenAICodec) else []
        raise UsageError(f"There is no item of the type {kind[:80]!r}.")


_CLIENT = frozenset({
    "session-update", "input-audio-append", "input-audio-commit", "input-audio-clear",
    "conversation-item-create", "conversation-item-truncate", "response-create",
    "response-cancel",
})  # fmt: skip


_DROPPED = {"xai": frozenset({"conversation-item-truncate"})}
"""Client events that the AI SDK does not send, by provider (`@ai-sdk/xai`)."""


def _command(kind: str, event: Message) -> Command:
    match kind:
        case "input-audio-append":
            pcm = base64_bytes(event.get("audio"))
            if pcm is None:
                raise UsageError("The audio is not base64.")
            return AppendAudio(pcm)
        case "input-audio-commit":
            return CommitAudio()
        case "input-audio-clear":
            return ClearAudio()
        case "conversation-item-truncate":
            ms, part = count(event.get("audioEndMs")), count(event.get("contentIndex"))
            return TruncateItem(as_text(event.get("itemId")), ms, part)
        case "response-create":
            return _create_response(fields(event.get("options")))
        case "response-cancel":
            return CancelResponse()
        case _:
            raise UsageError(f"There is no client event {kind[:80]!r}.")


def _create_response(options: Message) -> CreateResponse:
    modalities = as_list(options.get("modalities"))
    instructions = options.get("instructions")
    metadata = fields(options.get("metadata"))
    return CreateResponse(
        as_text(instructions) if isinstance(instructions, str) else None,
        metadata={as_text(name): as_text(value) for name, value in metadata.items()},
        output=None if not modalities else "audio" if "audio" in modalities else "text",
    )


def _audio_item(item: Message) -> str:
    content = [{"type": "input_audio", "audio": item["audio"]}]
    made = {"type": "message", "role": "user", "content": content}
    return encode({"type": "conversation.item.create", "item": made})


def _named(frame: str | bytes, event_id: object) -> str:
    """Return the frame with the event's own id, if both the wire and the event have ids."""
    text = frame if isinstance(frame, str) else frame.decode()
    said = message(text) if isinstance(event_id, str) else None
    if said is None or "event_id" not in said:
        return text
    return encode({**said, "event_id": event_id})


def _custom(raw: Message) -> Message:
    return {"type": "custom", "rawType": as_text(raw.get("type"))}


def _same(raw: Message) -> Message:
    kind = as_text(raw.get("type"))
    if kind in TABLE or kind in KNOWN_UNMAPPED:
        return fields(cleaned(raw))
    return {**_custom(raw), "raw": cleaned(raw)}


def json_line(value: object) -> str:
    """Return the value as one line of JSON."""
    return msgspec.json.encode(value).decode()
