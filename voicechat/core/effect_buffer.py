"""Effect buffer: the effects of one event or input, in order, and the transcript they refer to."""

from __future__ import annotations

from voicechat.core import commands
from voicechat.core.effects import AskApproval, Effect, EntryChanged, EntryRemoved, Send
from voicechat.core.items import Entry, Item, ToolCall, ToolState, Transcript, entry_id


class EffectBuffer:
    """Collects effects. Commands are dropped while there is no connection."""

    def __init__(self, transcript: Transcript | None = None) -> None:
        self.transcript = transcript if transcript is not None else Transcript()
        self.online = False
        self._effects: list[Effect] = []
        self._asked = 0

    def do(self, effect: Effect) -> None:
        """Add an effect."""
        self._effects.append(effect)

    def send(self, command: commands.Command) -> None:
        """Send the command to the provider, if there is a connection."""
        if self.online:
            self.do(Send(command))

    def changed(self, entry: Entry) -> None:
        """Report a changed entry."""
        self.do(EntryChanged(entry_id(entry)))

    def ask(self, call: ToolCall) -> None:
        """Ask the user to decide on a call, under the next number."""
        self._asked += 1
        call.state, call.number = ToolState.ASKING, self._asked
        self.changed(call)
        self.do(AskApproval(call.call_id))

    def remove(self, item: Item) -> None:
        """Remove an item from the transcript."""
        self.transcript.remove(item.item_id)
        self.do(EntryRemoved(item.item_id))

    def take(self) -> list[Effect]:
        """Return the effects collected since the last call."""
        effects, self._effects = self._effects, []
        return effects
