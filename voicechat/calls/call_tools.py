"""The tools about the call itself, which the model may use if the settings allow it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from voicechat.core.settings import Permission, ToolSpec
from voicechat.errors import VoicechatError
from voicechat.tools.registry import Tool, ToolError

if TYPE_CHECKING:
    from voicechat.calls.call_control import CallControl
    from voicechat.config.call_settings import CallSettings

TRANSFER = "transfer_call"
HANG_UP = "hang_up"

LAST_WORDS_S = 12.0
"""Seconds for the last words of the assistant before the end of a call."""

Wait = Callable[[], Awaitable[None]]


def call_tools(control: CallControl, settings: CallSettings, quiet: Wait) -> Iterator[Tool]:
    """Yield the tools that the settings allow.

    quiet: waits until the phone plays nothing of the assistant.
    """
    if settings.transfers:
        yield _transfer(control, settings, quiet)
    if settings.hang_up:
        yield _hang_up(control, quiet)


def _transfer(control: CallControl, settings: CallSettings, quiet: Wait) -> Tool:
    names = sorted(settings.transfers)
    parameters = {
        "type": "object",
        "properties": {"to": {"type": "string", "enum": names}},
        "required": ["to"],
        "additionalProperties": False,
    }

    async def call(arguments: str) -> str:
        name = _fields(arguments).get("to")
        target = settings.transfers.get(name) if isinstance(name, str) else None
        if target is None:
            raise ToolError(f"`to` must be one of {', '.join(names)}.")
        await _finish(partial(control.refer, target), quiet)
        return f"The call is transferred to {name}."

    description = "Transfer the caller to a person. Tell the caller before you do it."
    spec = ToolSpec(TRANSFER, description, parameters, Permission.AUTO)
    return Tool(spec, call)


def _hang_up(control: CallControl, quiet: Wait) -> Tool:
    async def call(arguments: str) -> str:
        _fields(arguments)
        await _finish(control.hang_up, quiet)
        return "The call is over."

    description = "End the phone call. Say goodbye before you do it."
    parameters: dict[str, object] = {"type": "object", "properties": {}}
    return Tool(ToolSpec(HANG_UP, description, parameters, Permission.AUTO), call)


async def _finish(request: Wait, quiet: Wait) -> None:
    """Send the request when the caller has heard the last words."""
    # Sound without an end must not keep the call open.
    with suppress(TimeoutError):
        async with asyncio.timeout(LAST_WORDS_S):
            await quiet()
    try:
        await request()
    except VoicechatError as error:
        raise ToolError(error.message) from None


def _fields(arguments: str) -> dict[str, object]:
    try:
        found = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ToolError("The arguments must be a JSON object.")
    return found
