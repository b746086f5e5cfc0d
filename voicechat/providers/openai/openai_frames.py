"""A frame of the OpenAI Realtime family, and the state of a connection between frames.

Source: OpenAI Realtime API reference, "Server events".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from voicechat.core.commands import CommandName
from voicechat.core.events import ItemKind, RemoteCall, RemoteTools
from voicechat.core.items import Usage
from voicechat.providers.json_fields import Samples, Stream, as_list, as_text, count, fields, number

_MOST_ITEMS = 512
_MOST_REUSES = 15


class Frame(msgspec.Struct):
    """The fields of all frames that are read. Any of them may hold any JSON value."""

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
class ItemState:
    """State of one item between frames."""

    name: str = ""
    call_id: str = ""
    call_reported: bool = False
    """The call that the server runs was reported."""
    responses: list[str] = field(default_factory=list)
    """Responses in which the tool call was reported; stored under the id of the call, which a
    server may use again in another response."""
    text_reported: bool = False
    """The whole text was reported."""
    transcribed: bool = False
    """The final transcript was reported."""
    samples: dict[int, Samples] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    parts: dict[int, list[str]] = field(default_factory=dict)
    """Pieces of the text by content index."""
    remote_call: RemoteCall | None = None
    """Latest report of a call that the server runs."""
    remote_tools: RemoteTools | None = None
    """Latest report of a list of tools that the server fetches."""

    def reports_call(self, response_id: str) -> bool:
        """Note that a tool call is reported; return False if it was reported before.

        A missing id of a response may be any.
        """
        known = self.responses
        if response_id in known or (known and not (response_id and all(known))):
            return False
        self.responses = [*known[-_MOST_REUSES:], response_id]
        return True

    @property
    def text(self) -> str:
        """The text so far: the content parts in their order."""
        return "".join(piece for _, pieces in sorted(self.parts.items()) for piece in pieces)

    def stream(self, kind: str) -> Stream:
        """Return the text stream of this kind."""
        return self.streams.setdefault(kind, Stream())


@dataclass(slots=True)
class OpenAIState:
    """State of one connection, bounded: the oldest item is forgotten first."""

    announced: Mapping[str, object] | None = None
    """The session object that the server announced first; None before the session is created."""
    updates: int = 0
    """Number of updates that the server has not confirmed."""
    output: str = "pcm16"
    """Encoding of received audio: pcm16, pcmu or pcma."""
    spoke: bool = False
    """The model has sent audio."""
    running: str = ""
    """The running response of the conversation; empty if none runs."""
    manual: bool = False
    """Turn detection is off: the user ends turns."""
    turn: str = ""
    """The item of the latest speech."""
    turns: list[str] = field(default_factory=list)
    """Items of the user's latest spoken turns, at servers that may name others."""
    unnamed_turns: int = 0
    """Number of turns that the server began without an id."""
    uncommitted: str = ""
    """The unnamed turn that is not committed yet."""
    answered: str = ""
    """The `turn` when the last response began."""
    abandoned: str = ""
    """The response that was ended here because the server never ends it."""
    billed_seconds: float = 0.0
    """Billed seconds so far, for servers that send a running total."""
    refused: set[CommandName] = field(default_factory=set)
    """Commands that the server refused and does not get again."""
    out_of_band_requested: bool = False
    """An out-of-band response was requested on this connection."""
    items: dict[str, ItemState] = field(default_factory=dict)

    def item(self, item_id: str) -> ItemState:
        """Return the state of an item; a new one if there is none."""
        return remembered(self.items, item_id)


def remembered(items: dict[str, ItemState], item_id: str) -> ItemState:
    """Return the state of an item; a new one, in place of the oldest, if there is none."""
    known = items.get(item_id)
    if known is None:
        if len(items) >= _MOST_ITEMS:
            del items[next(iter(items))]
        known = items[item_id] = ItemState()
    return known


_KINDS = {
    "message": ItemKind.MESSAGE,
    "function_call": ItemKind.TOOL_CALL,
    "function_call_output": ItemKind.TOOL_RESULT,
}


def kind_of(item: dict[str, object]) -> ItemKind:
    """Return the kind of an item."""
    return _KINDS.get(as_text(item.get("type")), ItemKind.OTHER)


def text_of(item: dict[str, object]) -> str:
    """Return all text of a message, spoken or written."""
    parts = [fields(part) for part in as_list(item.get("content"))]
    return "".join(as_text(part.get("text")) or as_text(part.get("transcript")) for part in parts)


def usage_of(value: object) -> Usage | None:
    """Read the usage of a response or a transcription; None if there is none."""
    usage = fields(value)
    if not usage:
        return None
    input_details = fields(usage.get("input_token_details"))
    cached = fields(input_details.get("cached_tokens_details"))
    output_details = fields(usage.get("output_token_details"))
    return Usage(
        total_tokens=count(usage.get("total_tokens")),
        input_tokens=count(usage.get("input_tokens")),
        output_tokens=count(usage.get("output_tokens")),
        input_text_tokens=count(input_details.get("text_tokens")),
        input_audio_tokens=count(input_details.get("audio_tokens")),
        input_image_tokens=count(input_details.get("image_tokens")),
        cached_tokens=count(input_details.get("cached_tokens")),
        output_text_tokens=count(output_details.get("text_tokens")),
        output_audio_tokens=count(output_details.get("audio_tokens")),
        seconds=max(0.0, number(usage.get("seconds"))),
        cached_text_tokens=count(cached.get("text_tokens")),
        cached_audio_tokens=count(cached.get("audio_tokens")),
        cached_image_tokens=count(cached.get("image_tokens")),
    )
