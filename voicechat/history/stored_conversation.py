"""A conversation of the history as a transcript that another session continues.

The ids of its entries are new, because a provider may give old ids to new items. What ran when
the program ended is cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from voicechat.core.items import Entry, Item, ItemStatus, Role, ToolCall, ToolState, Transcript
from voicechat.core.pictures import Picture
from voicechat.history.history_rows import TOOL, ConversationRow, ItemRow

_PAST: Final = "past_"


def is_past(key: str) -> bool:
    """Return True for the id of an entry that comes from the history."""
    return key.startswith(_PAST)


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """A conversation with all its items in order."""

    row: ConversationRow
    items: tuple[ItemRow, ...]
    is_fork: bool = False
    """True if continuing it starts another conversation, with these items as its beginning."""

    def until(self, number: int) -> StoredConversation:
        """Return a fork of the conversation that ends with the item at this index."""
        return StoredConversation(self.row, self.items[: number + 1], is_fork=True)

    def keyed_entries(self) -> list[tuple[str, ItemRow, Entry]]:
        """Return the id in the new transcript, the row and the entry of each item."""
        return [
            (f"{_PAST}{number}", row, _entry(f"{_PAST}{number}", row))
            for number, row in enumerate(self.items, 1)
        ]

    def transcript(self) -> Transcript:
        """Return a transcript with the items."""
        made = Transcript()
        for _, _, entry in self.keyed_entries():
            made.add(entry)
        return made


def _entry(key: str, row: ItemRow) -> Entry:
    return _call(key, row) if row.role == TOOL else _message(key, row)


def _message(key: str, row: ItemRow) -> Item:
    role = Role(row.role) if row.role in set(Role) else Role.SYSTEM
    status = ItemStatus(row.status) if row.status in set(ItemStatus) else ItemStatus.COMPLETED
    if status is ItemStatus.IN_PROGRESS:
        is_cut = role is Role.ASSISTANT
        status = ItemStatus.INTERRUPTED if is_cut else ItemStatus.COMPLETED
    return Item(
        key,
        role,
        row.text,
        status,
        spoken=bool(row.spoken),
        received_ms=row.received_ms,
        heard_ms=row.heard_ms,
        heard_chars=row.heard_chars,
        error=row.error,
        hidden=bool(row.hidden),
        picture=_picture(row.picture),
    )


def _call(key: str, row: ItemRow) -> ToolCall:
    state = ToolState(row.status) if row.status in set(ToolState) else ToolState.CANCELLED
    was_running = state is ToolState.RUNNING
    return ToolCall(
        key,
        key,
        "",
        row.name,
        row.arguments,
        state if state.final else ToolState.CANCELLED,
        row.output,
        started_at=0.0 if was_running or row.elapsed_ms is not None else None,
        elapsed_ms=row.elapsed_ms,
        source=row.source,
    )


def picture_json(picture: Picture | None) -> str | None:
    """Return what a row keeps of a picture: all but its data."""
    if picture is None:
        return None
    kept: dict[str, Any] = {"kind": picture.kind, "width": picture.width}
    return msgspec.json.encode({**kept, "height": picture.height, "name": picture.name}).decode()


def _picture(text: str | None) -> Picture | None:
    """Return the picture of a row, without its data; None for an invalid one."""
    try:
        return None if text is None else msgspec.json.decode(text, type=Picture)
    except msgspec.MsgspecError:
        return None
