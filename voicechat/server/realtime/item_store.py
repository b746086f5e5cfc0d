"""The conversation items of one connection: order, lookup, and the messages for the assistant.

A stored item also keeps what the wire does not show: the end time of each spoken word, so that
after a truncation the assistant gets exactly the words that were heard, and the audio itself,
within a size limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from voicechat.server.engine_protocols import Message
from voicechat.server.realtime.server_frames import Json, WireError, new_id, text_tokens

RETAINED_BYTES = 16 * 1024 * 1024
"""Maximum audio kept for `conversation.item.retrieve`; the oldest is dropped first."""

RETAINED_TEXT = 4 * 1024 * 1024
"""Maximum text and pictures of a conversation in characters; the oldest items are dropped first."""

CONTEXT_TOKENS = 28_000
"""Maximum context for the assistant; the oldest messages are dropped first."""


@dataclass(slots=True, eq=False)
class StoredItem:
    """One item. `words` holds the (character, millisecond) position of the end of each word."""

    item: Json
    words: list[tuple[int, float]] = field(default_factory=list)
    audio_ms: float = 0.0
    heard_ms: float | None = None
    """Set by a truncation: the user heard nothing after this time."""
    sound: bytearray = field(default_factory=bytearray)
    size: int = 0
    """Characters of the item when it was added."""

    @property
    def item_id(self) -> str:
        """The item id on the wire."""
        return str(self.item["id"])

    @property
    def heard_chars(self) -> int | None:
        """The number of transcript characters that were heard; None for all of them."""
        if self.heard_ms is None:
            return None
        limit = self.heard_ms + 0.5
        return max((chars for chars, end in self.words if end <= limit), default=0)

    def timed_words(self) -> list[tuple[str, float]]:
        """Return each spoken word with the time in ms at which its sound ends."""
        text, found, start = self._whole_text(), [], 0
        for chars, end in self.words:
            found.append((text[start:chars], end))
            start = chars
        return found

    def unheard(self) -> str:
        """Return the text after the last word that was heard."""
        return "" if self.heard_chars is None else self._whole_text()[self.heard_chars :]

    def echo(self) -> Json:
        """Return the item for the wire, without audio."""
        item = dict(self.item)
        if "content" in item:
            item["content"] = [
                {key: value for key, value in part.items() if key != "audio"}
                for part in item["content"]
            ]
        return item

    def text(self) -> str:
        """Return the text of the item, as far as it was heard."""
        text = self._whole_text()
        return text if self.heard_chars is None else text[: self.heard_chars]

    def _whole_text(self) -> str:
        return " ".join(_part_text(part) for part in self.item.get("content", ()))


def _part_text(part: Json) -> str:
    if part["type"] == "input_image":
        return "[an image]"
    return str(part.get("text") or part.get("transcript") or "")


_ITEM_CHARACTERS = 500
"""Characters that an item costs besides its text."""


def _texts(item: Json) -> Iterator[object]:
    yield from item.values()
    for part in item.get("content", ()):
        yield from part.values()


def _characters(value: object) -> int:
    return len(value) if isinstance(value, str) else 0


def prepared(item: Json) -> Json:
    """Return a checked client item with an id and a status."""
    kept = {key: value for key, value in item.items() if value is not None and key != "object"}
    kept.setdefault("id", new_id("item"))
    kept.setdefault("status", "completed")
    if kept["type"] == "function_call":
        kept.setdefault("call_id", new_id("call"))
    return kept


class ItemStore:
    """Items in order. Methods raise `WireError` with the messages of the OpenAI service."""

    def __init__(self) -> None:
        self.id = new_id("conv")
        self._entries: dict[str, StoredItem] = {}
        self._order: list[str] = []
        self._retained: list[str] = []
        self._size = 0

    def __len__(self) -> int:
        return len(self._order)

    @property
    def last_id(self) -> str | None:
        """The id of the last item; None if there is none."""
        return self._order[-1] if self._order else None

    def last_reply(self) -> StoredItem | None:
        """Return the newest item if it is a spoken reply, else None."""
        entry = self._entries[self._order[-1]] if self._order else None
        return entry if entry is not None and entry.words else None

    def entries(self) -> list[StoredItem]:
        """Return all items in order."""
        return [self._entries[item_id] for item_id in self._order]

    def find(self, item_id: str) -> StoredItem | None:
        """Return the item with this id, or None."""
        return self._entries.get(item_id)

    def previous_id(self, item_id: str) -> str | None:
        """Return the id of the item before this one, or None."""
        place = self._order.index(item_id)
        return self._order[place - 1] if place else None

    def add(self, entry: StoredItem, after: str | None = None) -> str | None:
        """Insert after the item `after` and return the previous id.

        after: an item id, "root" for the start, None for the end.
        """
        if entry.item_id in self._entries:
            raise WireError(
                "invalid_value", f"An item with the id '{entry.item_id}' already exists.", "item.id"
            )
        if after == "root":
            place = 0
        elif after is None:
            place = len(self._order)
        elif after in self._entries:
            place = self._order.index(after) + 1
        else:
            raise WireError(
                "item_create_invalid_previous_item_id",
                f"Error adding item: the previous item with id '{after}' does not exist.",
                "previous_item_id",
            )
        self._order.insert(place, entry.item_id)
        self._entries[entry.item_id] = entry
        self.retain_audio(entry)
        previous = self._order[place - 1] if place else None
        self._retain_text(entry)
        return previous

    def _retain_text(self, entry: StoredItem) -> None:
        """Account for the text of a new item. Drops the oldest other items above the limit."""
        entry.size = _ITEM_CHARACTERS + sum(map(_characters, _texts(entry.item)))
        self._size += entry.size
        while self._size > RETAINED_TEXT and len(self._order) > 1:
            oldest = next(one for one in self._order if one != entry.item_id)
            self.delete(oldest)

    def retain_audio(self, entry: StoredItem) -> None:
        """Account for the audio of an item. Drops the oldest audio above the limit."""
        if not entry.sound:
            return
        if entry.item_id not in self._retained:
            self._retained.append(entry.item_id)
        total = sum(len(self._entries[item_id].sound) for item_id in self._retained)
        while total > RETAINED_BYTES and len(self._retained) > 1:
            dropped = self._entries[self._retained.pop(0)]
            total -= len(dropped.sound)
            dropped.sound = bytearray()

    def get(self, item_id: str, operation: str) -> StoredItem:
        """Return the item, or raise the error that the service gives for this operation.

        operation: delete, retrieve or truncate.
        """
        entry = self._entries.get(item_id)
        if entry is None:
            verb = {"delete": "deleting", "retrieve": "retrieving", "truncate": "truncating"}[
                operation
            ]
            raise WireError(
                f"item_{operation}_invalid_item_id",
                f"Error {verb} item: the item with id '{item_id}' does not exist.",
                "item_id",
            )
        return entry

    def delete(self, item_id: str) -> None:
        """Delete the item."""
        self.get(item_id, "delete")
        self._size -= self._entries.pop(item_id).size
        self._order.remove(item_id)
        if item_id in self._retained:
            self._retained.remove(item_id)

    def truncate(self, item_id: str, audio_end_ms: int) -> None:
        """Drop the part of a spoken item after `audio_end_ms`."""
        entry = self.get(item_id, "truncate")
        if entry.item.get("role") != "assistant" or not entry.audio_ms:
            raise WireError(
                "unsupported_content_type", "Only model output audio messages can be truncated"
            )
        # A client counts whole milliseconds and may round up.
        if audio_end_ms > entry.audio_ms + 1:
            raise WireError(
                "invalid_value",
                f"Audio content of {int(entry.audio_ms)}ms is already shorter than "
                f"{audio_end_ms}ms",
                "audio_end_ms",
            )
        heard = min(float(audio_end_ms), entry.audio_ms)
        entry.heard_ms = heard if entry.heard_ms is None else min(heard, entry.heard_ms)
        kept = int(len(entry.sound) * heard / entry.audio_ms) & ~1
        del entry.sound[kept:]

    def messages(self, items: Sequence[StoredItem] | None = None) -> list[Message]:
        """Return the messages for the assistant, the oldest first.

        Speech without words, such as noise or an echo, is only there as the newest message.
        items: use these instead of the whole conversation.
        """
        names: dict[str, str] = {}
        found: list[Message] = []
        for entry in self.entries() if items is None else items:
            item = entry.item
            if item["type"] == "function_call":
                names[item["call_id"]] = item["name"]
                call_id, name = item["call_id"], item["name"]
                found.append(Message("tool_call", item["arguments"], call_id, name))
            elif item["type"] == "function_call_output":
                call_id = item["call_id"]
                found.append(
                    Message("tool_result", item["output"], call_id, names.get(call_id, ""))
                )
            else:
                spoken = any(part["type"] == "input_audio" for part in item.get("content", ()))
                found.append(Message(item["role"], entry.text(), spoken=spoken))
        words = [one for one in found[:-1] if one.text or not one.spoken]
        return _newest([*words, *found[-1:]])


def _newest(messages: list[Message]) -> list[Message]:
    """Return the newest messages that fit the context, without a result that lacks its call."""
    room = CONTEXT_TOKENS
    kept = len(messages)
    while kept and (room := room - text_tokens(messages[kept - 1].text) - 4) > 0:
        kept -= 1
    while 0 < kept < len(messages) and messages[kept].role == "tool_result":
        kept += 1
    return messages[min(kept, max(len(messages) - 1, 0)) :]


def message_tokens(messages: Iterable[Message]) -> int:
    """Return an estimate of the tokens in the messages."""
    return sum(text_tokens(message.text) + 4 for message in messages)
