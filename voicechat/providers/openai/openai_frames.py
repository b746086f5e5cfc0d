"""A frame of the OpenAI Realtime family, and what a connection remembers between frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from voicechat.core.events import ItemKind, RemoteCall, RemoteTools
from voicechat.core.items import Usage
from voicechat.providers.json_fields import Samples, Stream, count, fields, number, several, words

_ITEMS_REMEMBERED = 512


class Frame(msgspec.Struct):
    """The fields of every frame that mean something here. Any of them may hold anything."""

    type: object = None
    session: object = None
    item: object = None
    item_id: object = None
    previous_item_id: object = None
    response: object = None
    response_id: object = None
    content_index: object = None
    delta: object = None
    transcript: object = None
    text: object = None
    name: object = None
    call_id: object = None
    arguments: object = None
    audio_start_ms: object = None
    audio_end_ms: object = None
    status: object = None
    usage: object = None
    logprobs: object = None
    languages: object = None
    id: object = None
    speaker: object = None
    start: object = None
    end: object = None
    rate_limits: object = None
    error: object = None
    code: object = None
    message: object = None


@dataclass(slots=True)
class ItemMemory:
    """What later frames of an item need to know of earlier ones."""

    name: str = ""
    call_id: str = ""
    asked: bool = False
    """The tool call was reported; kept under the id of the call."""
    told: bool = False
    """The whole text was reported."""
    heard: bool = False
    """The person's final words were reported."""
    samples: dict[int, Samples] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    parts: dict[int, str] = field(default_factory=dict)
    """The finished texts of an item by content index."""
    remote_call: RemoteCall | None = None
    """What is known of a call that the server runs."""
    remote_tools: RemoteTools | None = None
    """What is known of a list of tools that the server fetches."""

    def stream(self, kind: str) -> Stream:
        """The text stream of this kind."""
        return self.streams.setdefault(kind, Stream())


@dataclass(slots=True)
class Memory:
    """The state of one connection: bounded, the oldest item is forgotten first."""

    output: str = "pcm16"
    """Encoding of the sound that comes in: pcm16, pcmu or pcma."""
    spoke: bool = False
    """Sound of the model has come."""
    running: str = ""
    """The response of the conversation that runs now; empty if none does."""
    manual: bool = False
    """The person ends their turns: there is no turn detection."""
    turn: str = ""
    """The item of the speech that was heard last."""
    answered: str = ""
    """The `turn` when the last response began."""
    given_up: str = ""
    """The response that was declared over because its end never comes."""
    billed_seconds: float = 0.0
    """The running total of seconds, where a server counts so."""
    apart_asked: bool = False
    """Whether a response outside the conversation was ever asked for on this connection."""
    items: dict[str, ItemMemory] = field(default_factory=dict)

    def item(self, item_id: str) -> ItemMemory:
        """The memory of the item, made if there is none."""
        known = self.items.get(item_id)
        if known is None:
            if len(self.items) >= _ITEMS_REMEMBERED:
                del self.items[next(iter(self.items))]
            known = self.items[item_id] = ItemMemory()
        return known


_KINDS = {
    "message": ItemKind.MESSAGE,
    "function_call": ItemKind.TOOL_CALL,
    "function_call_output": ItemKind.TOOL_RESULT,
}


def kind_of(item: dict[str, object]) -> ItemKind:
    """What the item is."""
    return _KINDS.get(words(item.get("type")), ItemKind.OTHER)


def text_of(item: dict[str, object]) -> str:
    """All text of a message, spoken or written."""
    parts = [fields(part) for part in several(item.get("content"))]
    return "".join(words(part.get("text")) or words(part.get("transcript")) for part in parts)


def usage_of(value: object) -> Usage | None:
    """The usage object of a response or a transcription; None if there is none."""
    usage = fields(value)
    if not usage:
        return None
    inward = fields(usage.get("input_token_details"))
    cached = fields(inward.get("cached_tokens_details"))
    outward = fields(usage.get("output_token_details"))
    return Usage(
        total_tokens=count(usage.get("total_tokens")),
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        input_text_tokens=count(inward.get("text_tokens")),
        input_audio_tokens=count(inward.get("audio_tokens")),
        input_image_tokens=count(inward.get("image_tokens")),
        cached_tokens=count(inward.get("cached_tokens")),
        output_text_tokens=count(outward.get("text_tokens")),
        output_audio_tokens=count(outward.get("audio_tokens")),
        seconds=max(0.0, number(usage.get("seconds"))),
        cached_text_tokens=count(cached.get("text_tokens")),
        cached_audio_tokens=count(cached.get("audio_tokens")),
    )
