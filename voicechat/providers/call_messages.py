"""Earlier tool calls as text messages, for wires whose history holds messages only."""

from __future__ import annotations

from voicechat.core.commands import CreateMessage, SeedCall, SeedResult


class CallMessages:
    """Joins a call and its result into one message."""

    def __init__(self) -> None:
        self._calls: dict[str, SeedCall] = {}

    def add(self, command: SeedCall | SeedResult) -> CreateMessage | None:
        """Return the message, with the role `system`, once both halves are known."""
        if isinstance(command, SeedCall):
            self._calls[command.call_id] = command
            return None
        call = self._calls.pop(command.call_id, None)
        if call is None:
            return None
        text = f"(The tool {call.name} was called with {call.arguments}: {command.output})"
        return CreateMessage(call.call_id, "system", text)
