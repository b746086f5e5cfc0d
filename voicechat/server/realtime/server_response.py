"""One response: its settings, its items, and its events in the order of the wire.

    response.created
      response.output_item.added -> conversation.item.added
        response.content_part.added
          transcript delta of a word, then the audio of that word ...
        response.output_audio.done, response.output_audio_transcript.done
        response.content_part.done
      conversation.item.done -> response.output_item.done
    response.done                                     always, also after a failure

An out-of-band response has no `conversation.item.*` events. A response that is done ignores all
further calls, so that late audio of a canceled response is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicechat.server.engine_protocols import Message, ToolOffer
from voicechat.server.realtime.item_store import ItemStore, StoredItem, message_tokens
from voicechat.server.realtime.server_frames import Json, new_id, sound_text, text_tokens
from voicechat.speech.formats import Format

Emit = Callable[..., None]
"""Called with the type and the fields of an event."""

USER_TOKEN_MS = 100
REPLY_TOKEN_MS = 50


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """The settings of a response: those of the session, overridden by its own."""

    instructions: str = ""
    own_instructions: str = ""
    """Instructions of this response alone; empty if it has those of the session."""
    spoken: bool = True
    voice: str = ""
    speed: float = 1.0
    format: Format = field(default_factory=Format)
    tools: tuple[ToolOffer, ...] = ()
    tool_choice: str = "auto"
    max_tokens: int | None = None
    metadata: Json | None = None
    out_of_band: bool = False
    context: tuple[StoredItem, ...] | None = None
    """The items to answer instead of the conversation."""
    words: str | None = None
    """Exact words to say; the assistant is not asked."""


class ServerResponse:
    """A running response. Method calls report its content; events go out through `emit`."""

    def __init__(self, plan: ResponsePlan, conversation: ItemStore, emit: Emit) -> None:
        self.id = new_id("resp")
        self.plan = plan
        self.done = False
        self._conversation = conversation
        self._emit = emit
        self._items: list[StoredItem] = []
        self._open: StoredItem | None = None
        self._status = "in_progress"
        self._details: Json | None = None
        self._usage: Json | None = None
        self._input = [0, 0]
        self._output = [0.0, 0.0]

    # ----------------------------------------------------------------- facts

    def created(self) -> None:
        """Report that the response exists."""
        self._emit("response.created", response=self._object())

    def messages(self) -> list[Message]:
        """Return the messages for the assistant. They also determine the input token count."""
        context = self.plan.context
        entries = self._conversation.entries() if context is None else context
        messages = self._conversation.messages(context)
        user_audio_ms = sum(entry.audio_ms for entry in entries if entry.item.get("role") == "user")
        instructions = text_tokens(self.plan.instructions)
        self._input = [message_tokens(messages) + instructions, int(user_audio_ms / USER_TOKEN_MS)]
        return messages

    def write(self, text: str) -> None:
        """Add a piece of a text reply."""
        if not self.done and text:
            self._message()["text"] += text
            self._output[0] += len(text) / 4
            self._delta("response.output_text.delta", text)

    def word(self, text: str, ms: float) -> None:
        """Add a word of a spoken reply. `ms` is the length of its audio, which follows."""
        if self.done or self._is_truncated:
            return
        part = self._message()
        part["transcript"] += text
        entry = self._open
        if entry is not None:
            end = (entry.words[-1][1] if entry.words else 0.0) + ms
            entry.words.append((len(part["transcript"]), end))
        self._output[0] += len(text) / 4
        if text:
            self._delta("response.output_audio_transcript.delta", text)

    def sound(self, sound: bytes) -> None:
        """Add audio of the spoken reply, in the format of the plan."""
        if self.done or self._is_truncated or not sound:
            return
        self._message()
        entry = self._open
        if entry is None:
            return
        ms = self.plan.format.ms(len(sound))
        entry.audio_ms += ms
        entry.sound += sound
        self._output[1] += ms / REPLY_TOKEN_MS
        self._delta("response.output_audio.delta", sound_text(sound))

    def call(self, call_id: str, name: str, arguments: str) -> None:
        """Add a tool call. Closes the open message first."""
        if self.done:
            return
        self.close_item("completed")
        entry = self._begin(
            {
                "id": new_id("item"),
                "type": "function_call",
                "status": "in_progress",
                "name": name,
                "call_id": call_id,
                "arguments": "",
            }
        )
        entry.item["arguments"] = arguments
        self._output[0] += len(arguments) / 4
        fields = {"response_id": self.id, **self._place(entry), "call_id": call_id}
        self._emit("response.function_call_arguments.delta", **fields, delta=arguments)
        self._emit(
            "response.function_call_arguments.done", **fields, name=name, arguments=arguments
        )
        self.close_item("completed")

    def close_item(self, status: str) -> None:
        """Close the open item, if there is one."""
        entry, self._open = self._open, None
        if entry is None:
            return
        entry.item["status"] = status
        if entry.item["type"] == "message":
            self._close_part(entry)
        # Out-of-band items never were in the conversation; deleted ones no longer are.
        if self._conversation.find(entry.item_id) is entry:
            self._conversation.retain_audio(entry)
            previous = self._conversation.previous_id(entry.item_id)
            self._emit("conversation.item.done", item=entry.echo(), previous_item_id=previous)
        self._output_item("response.output_item.done", entry)

    def end(
        self, status: str = "completed", reason: str | None = None, error: Json | None = None
    ) -> None:
        """End the response. `status` is completed, cancelled, incomplete or failed."""
        if self.done:
            return
        self.close_item("completed" if status == "completed" else "incomplete")
        self.done = True
        self._status = status
        if status == "failed":
            self._details = {"type": status, "error": error}
        elif status != "completed":
            self._details = {"type": status, "reason": reason}
        self._usage = self._count()
        self._emit("response.done", response=self._object())

    @property
    def full(self) -> bool:
        """True if the response reached its token limit."""
        limit = self.plan.max_tokens
        return limit is not None and sum(self._output) >= limit

    @property
    def audio_ms(self) -> float:
        """Length of all audio of the response, in milliseconds."""
        return sum(entry.audio_ms for entry in self._items)

    # ----------------------------------------------------------------- events

    @property
    def _is_truncated(self) -> bool:
        """True if the client truncated the open item, so that the user hears no more of it."""
        return self._open is not None and self._open.heard_ms is not None

    def _place(self, entry: StoredItem) -> Json:
        return {"item_id": entry.item_id, "output_index": self._items.index(entry)}

    def _begin(self, item: Json) -> StoredItem:
        entry = StoredItem(item)
        self._items.append(entry)
        self._open = entry
        self._output_item("response.output_item.added", entry)
        if not self.plan.out_of_band:
            previous = self._conversation.add(entry)
            self._emit("conversation.item.added", item=entry.echo(), previous_item_id=previous)
        return entry

    def _message(self) -> Json:
        """Return the current content part; start a message if none is open."""
        entry = self._open
        if entry is None:
            entry = self._begin(
                {
                    "id": new_id("item"),
                    "type": "message",
                    "status": "in_progress",
                    "role": "assistant",
                    "content": [],
                }
            )
            spoken = self.plan.spoken
            entry.item["content"].append(
                {"type": "output_audio", "transcript": ""}
                if spoken
                else {"type": "output_text", "text": ""}
            )
            self._part("response.content_part.added", entry)
        part: Json = entry.item["content"][0]
        return part

    def _part(self, kind: str, entry: StoredItem) -> None:
        part = entry.item["content"][0]
        fields = {key: value for key, value in part.items() if key in ("text", "transcript")}
        fields["type"] = "audio" if self.plan.spoken else "text"
        self._content(kind, entry, part=fields)

    def _content(self, kind: str, entry: StoredItem, **fields: Any) -> None:
        self._emit(kind, response_id=self.id, **self._place(entry), content_index=0, **fields)

    def _delta(self, kind: str, delta: str) -> None:
        if self._open is not None:
            self._content(kind, self._open, delta=delta)

    def _close_part(self, entry: StoredItem) -> None:
        part = entry.item["content"][0]
        if self.plan.spoken:
            self._content("response.output_audio.done", entry)
            self._content(
                "response.output_audio_transcript.done", entry, transcript=part["transcript"]
            )
        else:
            self._content("response.output_text.done", entry, text=part["text"])
        self._part("response.content_part.done", entry)

    def _output_item(self, kind: str, entry: StoredItem) -> None:
        index = self._items.index(entry)
        self._emit(kind, response_id=self.id, output_index=index, item=entry.echo())

    def _count(self) -> Json:
        text_in, audio_in = self._input
        text_out, audio_out = (int(count + 0.999) for count in self._output)
        return {
            "total_tokens": text_in + audio_in + text_out + audio_out,
            "input_tokens": text_in + audio_in,
            "output_tokens": text_out + audio_out,
            "input_token_details": {
                "text_tokens": text_in,
                "audio_tokens": audio_in,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
        }

    def _object(self) -> Json:
        plan = self.plan
        fields: Json = {
            "object": "realtime.response",
            "id": self.id,
            "status": self._status,
            "status_details": self._details,
            "output": [entry.echo() for entry in self._items] if self.done else [],
            "conversation_id": None if plan.out_of_band else self._conversation.id,
            "output_modalities": ["audio" if plan.spoken else "text"],
            "max_output_tokens": plan.max_tokens or "inf",
            "usage": self._usage,
            "metadata": plan.metadata,
        }
        if plan.spoken:
            fields["audio"] = {"output": {"format": plan.format.wire(), "voice": plan.voice}}
        return fields


def offers(tools: Sequence[Json]) -> tuple[ToolOffer, ...]:
    """Return the function tools of a session in the form the assistant gets."""
    return tuple(ToolOffer(tool["name"], tool["description"], tool["parameters"]) for tool in tools)
