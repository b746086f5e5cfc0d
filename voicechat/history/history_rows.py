"""Rows of the history: conversations, items, and the usage of responses."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import Final

from msgspec import Struct

from voicechat.core.items import Usage

TOOL: Final = "tool"
"""Role of a row that holds a tool call."""

_ID_CHARACTERS: Final = "abcdefghjkmnpqrstvwxyz0123456789"
ID_LENGTH: Final = 8


def new_conversation_id() -> str:
    """Return the id of a new conversation: 8 letters and digits that are easy to type."""
    return "".join(secrets.choice(_ID_CHARACTERS) for _ in range(ID_LENGTH))


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A conversation. Times are Unix times in seconds."""

    id: str
    title: str = ""
    started_at: float = 0.0
    changed_at: float = 0.0
    model: str = ""
    """PROVIDER/MODEL, the last one used."""
    voice: str = ""
    settings: str = "{}"
    """JSON object: instructions, speed and mode."""
    turns: int = 0
    """Messages of the user."""
    parent_id: str | None = None
    """Conversation that this one was forked from."""
    is_renamed: bool = False
    """True if the user chose the title."""

    @property
    def fields(self) -> dict[str, object]:
        """The row for JSON, with the settings as an object."""
        try:
            settings = json.loads(self.settings)
        except ValueError:
            settings = {}
        return {**asdict(self), "settings": settings, "is_renamed": bool(self.is_renamed)}


class ItemRow(Struct, frozen=True, gc=False):
    """A message, or a tool call (role `TOOL`). `text[:heard_chars]` was heard.

    The garbage collector need not look at the thousands of a long conversation.
    """

    conversation_id: str
    entry_id: str
    position: float
    """Order within the conversation."""
    at: float
    """Unix time in seconds at which it began."""
    role: str
    text: str = ""
    status: str = ""
    """`core.items.ItemStatus`, or `ToolState` of a tool call."""
    spoken: bool = False
    heard_chars: int | None = None
    heard_ms: float = 0.0
    received_ms: float = 0.0
    error: str | None = None
    hidden: bool = False
    picture: str | None = None
    """JSON object with the kind, the size and the name of a picture; its data is not kept."""
    response_id: str | None = None
    item_id: str = ""
    """Item of a tool call at the provider."""
    name: str = ""
    """Name of a tool."""
    arguments: str = ""
    output: str | None = None
    source: str = ""
    """MCP server or other origin of a tool."""
    elapsed_ms: float | None = None

    @property
    def shown(self) -> str:
        """The part of the text that was heard or read."""
        return self.text if self.heard_chars is None else self.text[: self.heard_chars]

    @property
    def unheard(self) -> str:
        """The part of the text that was received but cut."""
        return "" if self.heard_chars is None else self.text[self.heard_chars :]


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """Usage of one response, and its cost at the price of the day."""

    conversation_id: str
    response_id: str
    at: float
    """Unix time in seconds."""
    model: str
    """PROVIDER/MODEL."""
    usage: Usage = field(default_factory=Usage)
    cost: float | None = None
    """US dollars; None if the price is unknown."""
    kind: str = "response"
    """Source of the usage; see `core.effects.UsageChanged`."""

    @property
    def provider(self) -> str:
        """The part of the model's name before the slash."""
        return self.model.partition("/")[0]
