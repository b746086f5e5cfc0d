"""The nouns of a conversation: what is shown, stored and exported.

An `Item` is one entry of the conversation (something the user or the model said).
A `ToolCall` is one request of the model to have a tool run. Both are owned and
changed by `core.conversation` alone; everyone else reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from voicechat.core.pictures import Picture


class Role(StrEnum):
    """Role of an item."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


class ItemStatus(StrEnum):
    """Status of an item."""

    IN_PROGRESS = "in_progress"
    """Text or sound may still arrive."""
    COMPLETED = "completed"
    """Said (and, if spoken, heard) to its end."""
    INTERRUPTED = "interrupted"
    """Cut off by the user or by a lost connection; `heard_chars` tells where."""
    FAILED = "failed"
    """The provider could not finish it; `error` tells why."""


class ToolState(StrEnum):
    """The life of a tool call, in order; the last four are final."""

    STREAMING = "streaming"
    QUEUED = "queued"
    ASKING = "asking"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DENIED = "denied"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """True if nothing more will happen to the call."""
        return self in _FINAL


_FINAL = frozenset({ToolState.DONE, ToolState.FAILED, ToolState.DENIED, ToolState.CANCELLED})


@dataclass(slots=True)
class Item:
    """One entry of the conversation.

    `text` is cleaned of control characters already. For a spoken assistant item it is the
    whole transcript received so far; `heard_chars` is how much of it has come out of the
    speaker. Show `text[:heard_chars]` as said; after an interruption the rest was never heard.
    """

    item_id: str
    role: Role
    text: str = ""
    status: ItemStatus = ItemStatus.IN_PROGRESS
    spoken: bool = False
    """True for speech (of either side), False for typed text."""
    response_id: str | None = None
    received_ms: float = 0.0
    """Milliseconds of sound received for this item."""
    heard_ms: float = 0.0
    """Milliseconds of sound that came out of the speaker."""
    heard_chars: int | None = None
    """Characters of `text` heard so far; None when the item is not being spoken."""
    error: str | None = None
    hidden: bool = False
    """True for items that belong to the wire but not on the screen (idle nudges, out-of-band)."""
    picture: Picture | None = None
    """Picture that the user sent with the text."""

    @property
    def shown(self) -> str:
        """The part of the text to show as said."""
        return self.text if self.heard_chars is None else self.text[: self.heard_chars]

    @property
    def unheard(self) -> str:
        """The part of the text that was received but not heard."""
        return "" if self.heard_chars is None else self.text[self.heard_chars :]


@dataclass(slots=True)
class ToolCall:
    """One call of a tool by the model. `arguments` is JSON text as the model wrote it."""

    call_id: str
    item_id: str
    response_id: str
    name: str
    arguments: str = ""
    state: ToolState = ToolState.STREAMING
    output: str | None = None
    """Output for the model: the result, or an error that it can read."""
    started_at: float | None = None
    """Seconds, on the caller's clock."""
    elapsed_ms: float | None = None
    server: str = ""
    """The MCP server with which the provider runs it by itself; empty when it runs here."""
    source: str = ""
    """Where the tool comes from that runs here."""
    number: int = 0
    """Under which the user decides on it; 0 while it was never requested."""
    asks_always: bool = False
    """The user's answer counts for this call only, whatever they choose."""
    remark: str = ""
    """Warnings for the user before a decision."""


Entry = Item | ToolCall
"""One line of the transcript, in conversation order."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one response or one transcription. Cached tokens are part of input tokens."""

    total_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    cached_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    seconds: float = 0.0
    """For providers that meter time instead of tokens."""
    cached_text_tokens: int = 0
    cached_audio_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(slots=True)
class Turn:
    """The clock of one exchange, all in seconds on the caller's clock.

    `latency_ms` is what a user feels: end of speech (or Enter) to the first sound heard
    (or, without sound, the first text shown).
    """

    ended_at: float
    """Time when the user's turn ended."""
    responses: set[str] = field(default_factory=set)
    """Those that may answer it: the first, and after tool calls the one that follows."""
    answered_at: float | None = None

    @property
    def latency_ms(self) -> float | None:
        """End of the user's turn to the first of the answer, in ms; None before that."""
        return None if self.answered_at is None else (self.answered_at - self.ended_at) * 1000


@dataclass(slots=True)
class Transcript:
    """The entries of a conversation in order, found by id in constant time."""

    entries: list[Entry] = field(default_factory=list)
    _by_id: dict[str, Entry] = field(default_factory=dict)

    def add(self, entry: Entry, after: str | None = None) -> None:
        """Append the entry, or put it right behind the entry with the id `after` if known."""
        key = entry_id(entry)
        previous = self._by_id.get(after) if after else None
        self._by_id[key] = entry
        if previous is None or previous is self.entries[-1]:
            self.entries.append(entry)
        else:
            self.entries.insert(self.entries.index(previous) + 1, entry)

    def get(self, key: str) -> Entry | None:
        """The entry with this item id or call id."""
        return self._by_id.get(key)

    def item(self, item_id: str) -> Item | None:
        """The item with this id, if it is known and is not a tool call."""
        entry = self._by_id.get(item_id)
        return entry if isinstance(entry, Item) else None

    @property
    def ends_with_call(self) -> bool:
        """True if the last entry is a tool call: the model has not spoken of it yet."""
        return bool(self.entries) and isinstance(self.entries[-1], ToolCall)

    def remove(self, key: str) -> None:
        """Forget the entry; unknown ids are ignored."""
        entry = self._by_id.pop(key, None)
        if entry is not None:
            self.entries.remove(entry)


def entry_id(entry: Entry) -> str:
    """The key of an entry: the item id of an item, the call id of a tool call."""
    return entry.item_id if isinstance(entry, Item) else entry.call_id
