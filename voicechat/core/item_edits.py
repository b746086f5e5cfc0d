"""Item edits: messages inserted, deleted, and fetched from the provider."""

from __future__ import annotations

from voicechat.core import commands, effects, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Entry, Item, ItemStatus, Role, ToolCall, entry_id
from voicechat.core.responses import Responses
from voicechat.core.settings import Capabilities
from voicechat.core.user_items import UserItems


class ItemEdits:
    """Changes to the transcript: insert, forget, fetch."""

    def __init__(
        self,
        buffer: EffectBuffer,
        capabilities: Capabilities,
        user_items: UserItems,
        responses: Responses,
    ) -> None:
        self._buffer = buffer
        self._capabilities = capabilities
        self._user_items = user_items
        self._responses = responses

    def insert(self, event: inputs.InsertMessage) -> None:
        """Insert a message after the entry `after`, or at the end if that is unknown."""
        transcript = self._buffer.transcript
        if transcript.get(event.item_id) is not None:
            return
        role = Role(event.role)
        transcript.add(Item(event.item_id, role, event.text, ItemStatus.COMPLETED), event.after)
        item = transcript.item(event.item_id)
        if item is not None:
            self._buffer.changed(item)
        after = event.after if event.after and transcript.item(event.after) else None
        self._buffer.send(commands.CreateMessage(event.item_id, event.role, event.text, after))

    def selected(self, event: inputs.ForgetItem | inputs.ForgetLast) -> list[Entry]:
        """Return the entries to delete. The last exchange begins with the user's last turn."""
        entries = self._buffer.transcript.entries
        if isinstance(event, inputs.ForgetItem):
            return [entry for entry in entries if entry_id(entry) == event.entry_id]
        for at in range(len(entries) - 1, -1, -1):
            entry = entries[at]
            if isinstance(entry, Item) and entry.role is Role.USER:
                return entries[at:]
        return []

    def forget(self, entries: list[Entry]) -> None:
        """Delete these entries, here and at the provider.

        A provider that cannot delete single items, or that keeps items with unknown ids (results of
        tools), gets a new connection that is seeded with the rest.
        """
        for entry in entries:
            # Later events of the entry must not restore it.
            self._user_items.forget(entry_id(entry))
            if entry.response_id:
                self._responses.discard(entry.response_id)
            self._buffer.transcript.remove(entry_id(entry))
            self._buffer.do(effects.EntryRemoved(entry_id(entry)))
        if not entries:
            return
        if not self._capabilities.delete or any(isinstance(entry, ToolCall) for entry in entries):
            self._buffer.do(effects.StartNewSession())
            return
        for entry in entries:
            self._buffer.send(commands.DeleteItem(entry_id(entry)))

    def fetch(self, event: inputs.FetchItem) -> None:
        """Request an item as the provider stores it."""
        if self._capabilities.retrieve and self._buffer.online:
            self._buffer.send(commands.RetrieveItem(event.item_id))
        else:
            self._buffer.do(effects.ItemFetched(event.item_id, None))
