"""Items and tool calls: the entries of a conversation.

An `Item` is a message of the user, the assistant or the system. A `ToolCall` is a request of the
model to run a tool. Only `core.conversation` changes them; other code reads them.
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
    """Text or audio may still arrive."""
    COMPLETED = "completed"
    """Complete and, if spoken, played to the end."""
    INTERRUPTED = "interrupted"
    """Cut off by the user or by a lost connection; `heard_chars` is the position."""
    FAILED = "failed"
    """The provider could not finish it; `error` is the reason."""


class ToolState(StrEnum):
    """State of a tool call, in order; the last four are final."""

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
        """True if the state is final."""
        return self in _FINAL


_FINAL = frozenset({ToolState.DONE, ToolState.FAILED, ToolState.DENIED, ToolState.CANCELLED})


@dataclass(slots=True)
class Item:
    """One message of the conversation.

    `text` is clean. For a spoken assistant item it is the whole transcript received so far, and
    `heard_chars` is how much of it was played: show `text[:heard_chars]` as heard. After an
    interruption, the rest was never heard.
    """

    item_id: str
    role: Role
    text: str = ""
    status: ItemStatus = ItemStatus.IN_PROGRESS
    spoken: bool = False
    """True for speech (of either side), False for typed text."""
    response_id: str | None = None
    received_ms: float = 0.0
    """Milliseconds of audio received for this item."""
    heard_ms: float = 0.0
    """Milliseconds of audio played."""
    heard_chars: int | None = None
    """Characters of `text` heard so far; None if the item is not spoken."""
    error: str | None = None
    hidden: bool = False
    """True for items that are not shown (idle timeouts, out-of-band)."""
    picture: Picture | None = None
    """Picture that the user sent with the text."""
    unsent: bool = False
    """True for typed text that waits for a connection."""

    @property
    def shown(self) -> str:
        """The part of the text to show as heard."""
        return self.text if self.heard_chars is None else self.text[: self.heard_chars]

    @property
    def unheard(self) -> str:
        """The part of the text that was received but not heard."""
        return "" if self.heard_chars is None else self.text[self.heard_chars :]


@dataclass(slots=True)
class ToolCall:
    """A call of a tool by the model. `arguments` is JSON text as the model wrote it."""

    call_id: str
    item_id: str
    response_id: str
    name: str
    arguments: str = ""
    state: ToolState = ToolState.STREAMING
    output: str | None = None
    """Output for the model: the result or an error."""
    progress: str = ""
    """Latest text about the progress of a running call, for the user."""
    started_at: float | None = None
    """Seconds, on the caller's clock."""
    elapsed_ms: float | None = None
    server: str = ""
    """MCP server of a call that the provider runs; empty for a local call."""
    source: str = ""
    """Origin of a local tool."""
    number: int = 0
    """Number under which the user decides on it; 0 if it never asked."""
    asks_always: bool = False
    """The user's decision applies to this call only."""
    remark: str = ""
    """Warnings for the user before a decision."""
    pattern: str = ""
    """Pattern with which the user can always allow calls like this one; empty for none."""
    wire_id: str = ""
    """Id of the call at the provider, which may use it for several calls."""


Entry = Item | ToolCall
"""An entry of the transcript, in conversation order."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of a response or a transcription. Cached tokens are part of the input tokens."""

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
    cached_image_tokens: int = 0
    paused_seconds: float = 0.0
    """Part of `seconds` in which the session was paused."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))


@dataclass(slots=True)
class Turn:
    """The timing of one turn, in seconds on the caller's clock.

    `latency_ms` is the wait of the user: end of speech (or Enter) to the first audio played (or,
    without a speaker, the first text shown).
    """

    ended_at: float
    """Time when the user's turn ended."""
    responses: set[str] = field(default_factory=set)
    """Responses that may answer it: the first, and the ones after tool calls."""
    answered_at: float | None = None

    @property
    def latency_ms(self) -> float | None:
        """Milliseconds from the end of the turn to the first part of the answer; None before."""
        return None if self.answered_at is None else (self.answered_at - self.ended_at) * 1000


@dataclass(slots=True)
class Transcript:
    """The entries of a conversation in order, with access by id in constant time."""

    entries: list[Entry] = field(default_factory=list)
    _by_id: dict[str, Entry] = field(default_factory=dict)
    _by_response: dict[str, list[Entry]] = field(default_factory=dict)

    def add(self, entry: Entry, after: str | None = None) -> None:
        """Append the entry, or insert it after the entry with the id `after` if that is known."""
        key = entry_id(entry)
        previous = self._by_id.get(after) if after else None
        self._by_id[key] = entry
        if entry.response_id is not None:  # "" on a server that sends no ids
            self._by_response.setdefault(entry.response_id, []).append(entry)
        if previous is None or previous is self.entries[-1]:
            self.entries.append(entry)
        else:
            self.entries.insert(self.entries.index(previous) + 1, entry)

    def get(self, key: str) -> Entry | None:
        """Return the entry with this item id or call id."""
        return self._by_id.get(key)

    def item(self, item_id: str) -> Item | None:
        """Return the item with this id; None if it is unknown or a tool call."""
        entry = self._by_id.get(item_id)
        return entry if isinstance(entry, Item) else None

    def of_response(self, response_id: str) -> tuple[Entry, ...]:
        """Return the entries of a response in the order in which they began."""
        return tuple(self._by_response.get(response_id, ()))

    def has_output(self, response_id: str) -> bool:
        """Return True if there is text, sound or a tool call of this response."""
        found = self.of_response(response_id)
        return any(isinstance(e, ToolCall) or e.text.strip() or e.received_ms for e in found)

    @property
    def ends_with_call(self) -> bool:
        """True if the last entry is a tool call, which the model has not answered yet."""
        return isinstance(self.last, ToolCall)

    @property
    def last(self) -> Entry | None:
        """The last entry. Pictures of a tool result belong to the call before them."""
        for entry in reversed(self.entries):
            if isinstance(entry, ToolCall) or not (entry.role is Role.SYSTEM and entry.picture):
                return entry
        return None

    def remove(self, key: str) -> None:
        """Remove the entry; unknown ids are ignored."""
        entry = self._by_id.pop(key, None)
        if entry is not None:
            self.entries.remove(entry)
            if entry.response_id is not None:
                others = self._by_response[entry.response_id]
                others.remove(entry)
                if not others:
                    del self._by_response[entry.response_id]


def entry_id(entry: Entry) -> str:
    """Return the id of an entry: the item id of an item, the call id of a tool call."""
    return entry.item_id if isinstance(entry, Item) else entry.call_id
