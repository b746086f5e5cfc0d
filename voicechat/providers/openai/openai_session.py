"""Settings and commands as JSON objects of the OpenAI Realtime family.

Sources: OpenAI Realtime API reference, "Session" (GA session object) and "Client events";
"Realtime transcription" for the transcription session.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from voicechat.core.commands import (
    AnswerApproval,
    CancelResponse,
    ClearAudio,
    ClearOutput,
    Command,
    CommitAudio,
    CreateMessage,
    CreateResponse,
    DeleteItem,
    RetrieveItem,
    SeedCall,
    SeedResult,
    ToolResult,
    TruncateItem,
)
from voicechat.core.events import Event
from voicechat.core.pictures import Picture
from voicechat.core.settings import AudioFormat, SessionSettings
from voicechat.providers.openai import openai_parts as parts
from voicechat.providers.openai.openai_parts import (
    Message,
    ignored,
    no_setting,
    without_none,
)
from voicechat.providers.openai.openai_responses import OUT_OF_BAND_KEY

RATE = 24_000
"""The only rate of PCM16, in Hz (session object, `audio.input.format`)."""


def session_object(settings: SessionSettings) -> Message:
    """Return the whole GA session object; a setting that is None is left out.

    Turn detection and transcription are always present, as null when they are off.
    """
    heard: Message = {
        "format": audio_format(settings.input_format),
        "transcription": parts.transcription(settings.transcription),
        "turn_detection": _turn_detection(settings),
        **without_none({"noise_reduction": parts.noise_reduction(settings.noise_reduction)}),
    }
    include = without_none({"include": list(settings.include) or None})
    if settings.purpose == "transcription":
        return {"type": "transcription", "audio": {"input": heard}, **include}
    audio: Message = {"input": heard}
    if settings.output == "audio":
        spoken: Message = {"voice": voice_object(settings.voice), "speed": settings.speed}
        audio["output"] = {"format": audio_format(settings.output_format), **without_none(spoken)}
    effort = _effort(settings)
    return {
        "type": "realtime",
        "output_modalities": [settings.output],
        "audio": audio,
        "tools": parts.tools(settings),
        **include,
        **without_none({
            "instructions": settings.instructions,
            "tool_choice": parts.tool_choice(settings.tool_choice),
            "max_output_tokens": settings.max_output_tokens,
            "parallel_tool_calls": settings.parallel_tool_calls,
            "reasoning": effort and {"effort": effort},
            "tracing": parts.tracing(settings.tracing),
            "truncation": parts.truncation(settings.truncation),
            "prompt": parts.prompt(settings),
        }),
    }  # fmt: skip


def unsupported(provider: str, settings: SessionSettings) -> list[str]:
    """Return a sentence for each setting that `session_object` cannot carry."""
    found = ignored(provider, settings, ("temperature", *parts.UNCOMMON))
    found += [
        no_setting(provider, name)
        for name in parts.unsupported_transcription(settings.transcription)
    ]
    if settings.reasoning_effort == "none":
        found.append(no_setting(provider, "reasoning_effort none", "its default is used"))
    if settings.turn_detection is not None and _turn_detection(settings) is None:
        model = settings.transcription and settings.transcription.model
        found.append(no_setting(provider, f"turn_detection with {model}"))
    return found + odd_rates(provider, settings, (RATE,))


def odd_rates(provider: str, settings: SessionSettings, rates: tuple[int, ...]) -> list[str]:
    """Return a sentence for each audio format whose rate the provider does not accept."""
    return [
        no_setting(provider, f"{name} of {sound.rate} Hz", "the audio will be wrong")
        for name, sound in (
            ("input_format", settings.input_format),
            ("output_format", settings.output_format),
        )
        if sound.rate not in (rates if sound.encoding == "pcm16" else (8_000,))
    ]


def audio_format(sound: AudioFormat) -> Message:
    """Return an audio format as the GA wire names it."""
    if sound.encoding == "pcm16":
        return {"type": "audio/pcm", "rate": sound.rate}
    return {"type": f"audio/{sound.encoding}"}


def voice_object(name: str | None) -> object:
    """Return a voice by its name; a custom voice by its id."""
    return {"id": name} if name and name.startswith("voice_") else name


def _effort(settings: SessionSettings) -> str | None:
    return None if settings.reasoning_effort == "none" else settings.reasoning_effort


def _turn_detection(settings: SessionSettings) -> Message | None:
    writes = settings.purpose == "transcription" and settings.transcription
    if writes and writes.model in (parts.STREAMING_TRANSCRIBER, parts.LIVE_TRANSCRIBER):
        return None
    return parts.turn_detection(settings.turn_detection)


# --------------------------------------------------------------------------- commands


LONGEST_ID = 32
"""Most characters of an id of an item or a call."""

_ID_LONGEST = LONGEST_ID - len("mcpa_")
"""Characters of a generated id after its prefix."""


def create_message(command: CreateMessage, answer: str = "output_text") -> Message:
    """Return a message item; `answer` is the content type of the model's own text."""
    content: list[Message] = []
    if command.picture is not None:
        content.append({"type": "input_image", "image_url": address_of(command.picture)})
    if command.text or not content:
        kind = answer if command.role == "assistant" else "input_text"
        content.append({"type": kind, "text": command.text})
    item = {
        "type": "message",
        "id": command.item_id,
        "role": command.role,
        "content": content,
    }
    if command.previous_item_id is None:
        return {"item": item}
    return {"item": item, "previous_item_id": command.previous_item_id}


def address_of(picture: Picture) -> str:
    """Return a picture as a `data:` URL."""
    text = b2a_base64(picture.data, newline=False).decode("ascii")
    return f"data:{picture.media_type};base64,{text}"


def _tool_result(command: ToolResult | SeedResult) -> Message:
    return {
        "item": {
            "type": "function_call_output",
            "call_id": command.call_id,
            "output": command.output,
        }
    }


def _answer_approval(command: AnswerApproval) -> Message:
    return {
        "item": {
            "type": "mcp_approval_response",
            "id": f"mcpa_{command.request_id[-_ID_LONGEST:]}",
            "approval_request_id": command.request_id,
            "approve": command.approve,
            **without_none({"reason": command.reason or None}),
        }
    }


def _seed_call(command: SeedCall) -> Message:
    return {
        "item": {
            "type": "function_call",
            "call_id": command.call_id,
            "name": command.name,
            "arguments": command.arguments,
        }
    }


def _truncate(command: TruncateItem) -> Message:
    return {
        "item_id": command.item_id,
        "content_index": command.content_index,
        "audio_end_ms": command.audio_end_ms,
    }


_PLAIN_RESPONSE = CreateResponse()


def create_response(command: CreateResponse) -> Message:
    """Return `response.create`; empty for a response with the settings of the session."""
    if command == _PLAIN_RESPONSE:
        return {}
    metadata = {**command.metadata, **({OUT_OF_BAND_KEY: "1"} if command.out_of_band else {})}
    response = without_none({
        "instructions": command.instructions,
        "conversation": "none" if command.out_of_band else None,
        "tool_choice": "none" if command.out_of_band else None,
        "metadata": metadata or None,
        "output_modalities": [command.output] if command.output else None,
        "max_output_tokens": command.most_tokens,
    })  # fmt: skip
    return {"response": response} if response else {}


def _item_id(command: RetrieveItem | DeleteItem) -> Message:
    return {"item_id": command.item_id}


def _response_id(command: CancelResponse) -> Message:
    return without_none({"response_id": command.response_id})


def _nothing(command: Command) -> Message:
    return {}


Writers = Mapping[type[Command], tuple[str, Callable[..., Message]]]
"""Wire type and fields of each command that needs no state."""

WRITERS: Writers = {
    CommitAudio: ("input_audio_buffer.commit", _nothing),
    ClearAudio: ("input_audio_buffer.clear", _nothing),
    CreateMessage: ("conversation.item.create", create_message),
    ToolResult: ("conversation.item.create", _tool_result),
    AnswerApproval: ("conversation.item.create", _answer_approval),
    SeedCall: ("conversation.item.create", _seed_call),
    SeedResult: ("conversation.item.create", _tool_result),
    RetrieveItem: ("conversation.item.retrieve", _item_id),
    DeleteItem: ("conversation.item.delete", _item_id),
    TruncateItem: ("conversation.item.truncate", _truncate),
    CreateResponse: ("response.create", create_response),
    CancelResponse: ("response.cancel", _response_id),
    ClearOutput: ("output_audio_buffer.clear", _nothing),
}
"""The commands of the GA wire (Realtime API reference, "Client events")."""


# --------------------------------------------------------------------------- ids

_ACCEPTED = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_ID}}}")
_NAMES = ("item_id", "previous_item_id", "call_id")


class ForeignIds:
    """Short ids on one connection for the items and calls of other providers.

    OpenAI refuses an id of more than 32 characters; those of xAI have up to 43. A call and its
    result get the same short id. Ids that the server itself made pass unchanged.
    """

    def __init__(self) -> None:
        self._short: dict[str, str] = {}
        self._original: dict[str, str] = {}

    def outgoing(self, command: Command) -> Command:
        """Return the command with ids that the server accepts."""
        match command:
            case CreateMessage(item_id, previous_item_id=previous):
                self._add(item_id)
                return replace(
                    command,
                    item_id=self._of(item_id),
                    previous_item_id=None if previous is None else self._of(previous),
                )
            case SeedCall(call_id) | SeedResult(call_id):
                self._add(call_id)
                return replace(command, call_id=self._of(call_id))
            case ToolResult(call_id):
                return replace(command, call_id=self._of(call_id))
            case TruncateItem(item_id) | DeleteItem(item_id) | RetrieveItem(item_id):
                return replace(command, item_id=self._of(item_id))
        return command

    def incoming(self, events: list[Event]) -> list[Event]:
        """Return the events with the original ids."""
        return [self._restored(event) for event in events] if self._original else events

    def _add(self, original: str) -> None:
        if _ACCEPTED.fullmatch(original) or original in self._short:
            return
        digest = blake2b(original.encode(errors="surrogatepass"), digest_size=13).hexdigest()
        self._short[original] = short = f"other_{digest}"
        self._original[short] = original

    def _of(self, original: str) -> str:
        return self._short.get(original, original)

    def _restored(self, event: Event) -> Event:
        known = {name: getattr(event, name, None) for name in _NAMES}
        changed: dict[str, Any] = {
            name: self._original[value] for name, value in known.items() if value in self._original
        }
        return replace(event, **changed) if changed else event
