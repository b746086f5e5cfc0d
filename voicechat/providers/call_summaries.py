"""Earlier tool calls in words, for wires whose history holds nothing else."""

from __future__ import annotations

from voicechat.core.commands import CreateMessage, SeedCall, SeedResult


class Retelling:
    """Puts a call and what it came to into one message."""

    def __init__(self) -> None:
        self._calls: dict[str, SeedCall] = {}

    def told(self, command: SeedCall | SeedResult) -> CreateMessage | None:
        """The message, as soon as both halves are known; its role is `system`."""
        if isinstance(command, SeedCall):
            self._calls[command.call_id] = command
            return None
        call = self._calls.pop(command.call_id, None)
        if call is None:
            return None
        text = f"(The tool {call.name} was called with {call.arguments}: {command.output})"
        return CreateMessage(call.call_id, "system", text)
