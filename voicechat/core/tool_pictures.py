"""Pictures in the results of tools: they follow the result, because a result is text only."""

from __future__ import annotations

from dataclasses import replace

from voicechat.core import commands, inputs
from voicechat.core.effect_buffer import EffectBuffer
from voicechat.core.items import Role
from voicechat.core.settings import Capabilities
from voicechat.core.tool_calls import ToolCalls
from voicechat.core.user_items import UserItems

NOT_SHOWN = "[You cannot see the images of this result.]"


class ToolPictures:
    """Answers a call, and sends its pictures to a model that takes them."""

    def __init__(
        self, buffer: EffectBuffer, capabilities: Capabilities, calls: ToolCalls, items: UserItems
    ) -> None:
        self._buffer = buffer
        self._capabilities = capabilities
        self._calls = calls
        self._items = items

    def finished(self, event: inputs.ToolFinished, now: float) -> None:
        """Process the result of a call; `now`: monotonic s."""
        can = self._capabilities
        taken = [each for each in event.pictures if can.tool_pictures and can.accepts(each)]
        if len(taken) < len(event.pictures):
            event = replace(event, output=f"{event.output}\n{NOT_SHOWN}")
        call = self._calls.finished(event, now)
        if call is None:
            return
        for each in taken:
            item = self._items.returned(call.name, each)
            role = Role.USER.value
            self._buffer.send(commands.CreateMessage(item.item_id, role, item.text, picture=each))
