"""Control of the app: the commands that a user can also type, run by the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from voicechat.core.settings import Permission
from voicechat.errors import VoicechatError
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import AppCommand, ToolContext

POSITION = 90

_FREE = "Control this app, only when the user asks for it. Commands:"
_WITH_APPROVAL = (
    "Change this app, only when the user asks for it. The user must allow each call. Commands:"
)


def _control(name: str, about: str, commands: Sequence[AppCommand], permission: Permission) -> Tool:
    """Make a tool that runs one of these commands."""
    by_name = {command.name: command for command in commands}

    async def control(command: str, argument: str = "") -> str:
        try:
            return await by_name[command].run(argument)
        except VoicechatError as error:
            raise ToolError(str(error)) from None

    control.__annotations__["command"] = Literal[tuple(by_name)]
    control.__doc__ = "\n".join([about, *map(_described, commands)])
    asks_always = permission is Permission.ASK
    return tool(name=name, permission=permission, asks_always=asks_always)(control)


def _described(command: AppCommand) -> str:
    argument = f" (argument: {command.argument})" if command.argument else ""
    return f"{command.name}{argument}: {command.summary}"


def tools(context: ToolContext) -> tuple[Tool, ...]:
    """Create the tools for the commands of the app; a command that asks is in a tool that asks."""
    free = [command for command in context.commands if not command.asks]
    asking = [command for command in context.commands if command.asks]
    kinds = (
        ("control_app", _FREE, free, Permission.AUTO),
        ("control_app_with_approval", _WITH_APPROVAL, asking, Permission.ASK),
    )
    return tuple(_control(*kind) for kind in kinds if kind[2])
