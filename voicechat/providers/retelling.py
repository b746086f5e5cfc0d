"""Earlier tool calls in words, for wires whose history holds nothing else."""

from __future__ import annotations

from voicechat.core.commands import CreateMessage, RetellCall, RetellResult


class Retelling:
    """Puts a call and what it came to into one message."""

    def __init__(self) -> None:
        self._call: RetellCall | None = None

    def told(self, command: RetellCall | RetellResult) -> CreateMessage | None:
        """The message, as soon as both halves are known; its role is `system`."""
        if isinstance(command, RetellCall):
            self._call = command
            return None
        call, self._call = self._call, None
        if call is None or call.call_id != command.call_id:
            return None
        text = f"(The tool {call.name} was called with {call.arguments}: {command.output})"
        return CreateMessage(call.call_id, "system", text)
