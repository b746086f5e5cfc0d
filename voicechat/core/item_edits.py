"""Changes to what was said: messages put in, taken out, and looked up at the provider."""

from __future__ import annotations

from voicechat.core import commands, effects, inputs
from voicechat.core.effect_buffer import Outbox
from voicechat.core.items import Entry, Item, ItemStatus, Role, ToolCall, entry_id
from voicechat.core.responses import Answers
from voicechat.core.settings import Capabilities
from voicechat.core.user_items import Person


class Edits:
    """What is done to the transcript from outside the conversation."""

    def __init__(self, outbox: Outbox, can: Capabilities, person: Person, answers: Answers) -> None:
        self._outbox = outbox
        self._can = can
        self._person = person
        self._answers = answers

    def insert(self, event: inputs.InsertMessage) -> None:
        """Put a message in. A known `after` puts it behind that entry, else it is the last."""
        transcript = self._outbox.transcript
        if transcript.get(event.item_id) is not None:
            return
        role = Role(event.role)
        transcript.add(Item(event.item_id, role, event.text, ItemStatus.COMPLETED), event.after)
        item = transcript.item(event.item_id)
        if item is not None:
            self._outbox.changed(item)
        after = event.after if event.after and transcript.item(event.after) else None
        self._outbox.send(commands.CreateMessage(event.item_id, event.role, event.text, after))

    def meant(self, event: inputs.ForgetItem | inputs.ForgetLast) -> list[Entry]:
        """The entries to forget. The last exchange begins where the person's last turn did."""
        entries = self._outbox.transcript.entries
        if isinstance(event, inputs.ForgetItem):
            return [entry for entry in entries if entry_id(entry) == event.entry_id]
        for at in range(len(entries) - 1, -1, -1):
            entry = entries[at]
            if isinstance(entry, Item) and entry.role is Role.USER:
                return entries[at:]
        return []

    def forget(self, entries: list[Entry]) -> None:
        """Take these entries out, at the provider too.

        A provider that cannot forget single items, or keeps some whose ids nobody knows, as those
        of tool results, is told what remains on a new connection.
        """
        for entry in entries:
            # What still comes of it must not bring it back.
            self._person.forget(entry_id(entry))
            if entry.response_id:
                self._answers.bury(entry.response_id)
            self._outbox.transcript.remove(entry_id(entry))
            self._outbox.do(effects.EntryRemoved(entry_id(entry)))
        if not entries:
            return
        if not self._can.delete or any(isinstance(entry, ToolCall) for entry in entries):
            self._outbox.do(effects.StartAfresh())
            return
        for entry in entries:
            self._outbox.send(commands.DeleteItem(entry_id(entry)))

    def fetch(self, event: inputs.FetchItem) -> None:
        """Ask for an item as the provider has it."""
        if self._can.retrieve and self._outbox.online:
            self._outbox.send(commands.RetrieveItem(event.item_id))
        else:
            self._outbox.do(effects.ItemFetched(event.item_id, None))
