"""Undo of the last change to timers, lists and notes."""

from __future__ import annotations

from voicechat.errors import VoicechatError
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

POSITION = 45


def tools(context: ToolContext) -> tuple[Tool, ...]:
    """Create the tool that undoes the last change."""

    @tool(permission="auto")
    async def undo_last_change() -> str:
        """Undo the last change to timers, alarms, reminders, lists or notes."""
        try:
            return await context.undo_stack.undo()
        except VoicechatError as problem:
            raise ToolError(problem.message) from None

    return (undo_last_change,)
