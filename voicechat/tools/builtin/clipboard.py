"""The clipboard, through the desktop's own program."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence

from voicechat.system.child_process import run_with_input
from voicechat.tools import child_programs
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

POSITION = 70

MAX_BYTES = 256 * 1024
"""Bytes of text."""

_WAIT_S = 5.0
_NOT_AVAILABLE = "There is no clipboard here. On Linux, install wl-clipboard or xclip."

Command = tuple[str, ...]


def _programs() -> Sequence[tuple[Command, Command]]:
    """Return commands to (read, write) the clipboard, in order of preference."""
    if sys.platform == "darwin":
        return ((("pbpaste",), ("pbcopy",)),)
    paste = ("powershell.exe", "-NoProfile", "-Command", "Get-Clipboard -Raw")
    windows = (paste, ("clip.exe",))
    if sys.platform == "win32":
        return (windows,)
    found: list[tuple[Command, Command]] = []
    if os.environ.get("WAYLAND_DISPLAY"):
        found.append((("wl-paste", "--no-newline"), ("wl-copy",)))
    if os.environ.get("DISPLAY"):
        found.append(
            (("xclip", "-selection", "clipboard", "-o"), ("xclip", "-selection", "clipboard"))
        )
        found.append((("xsel", "-b", "-o"), ("xsel", "-b", "-i")))
    return (*found, windows)


def _command(index: int) -> Command:
    for commands in _programs():
        program = shutil.which(commands[index][0])
        if program:
            return (program, *commands[index][1:])
    raise ToolError(_NOT_AVAILABLE)


async def read_clipboard() -> str:
    """Read the text that is on the user's clipboard."""
    try:
        async with asyncio.timeout(_WAIT_S):
            result = await child_programs.run(
                _command(0), child_programs.plain_environment(), limit=MAX_BYTES
            )
    except TimeoutError:
        raise ToolError("The clipboard does not answer.") from None
    if result.more:
        raise ToolError("There is too much on the clipboard.")
    text = result.printed.decode("utf-8", "replace")
    return text if text and not result.code else "There is no text on the clipboard."


async def write_clipboard(text: str) -> str:
    """Put text on the user's clipboard, in place of what is there."""
    raw = text.encode("utf-8", "replace")
    if len(raw) > MAX_BYTES:
        raise ToolError("That is too much for the clipboard.")
    await _write(_command(1), raw)
    return "It is on the clipboard."


async def _write(command: Command, text: bytes) -> None:
    """Give the text to the program, which stays in the background to serve pastes."""
    try:
        code, _ = await run_with_input(command, text, child_programs.plain_environment(), _WAIT_S)
    except TimeoutError:
        raise ToolError("The clipboard does not answer.") from None
    except OSError as error:
        raise ToolError(f"The clipboard cannot be used: {error.strerror}.") from None
    if code:
        raise ToolError("The clipboard could not be written to.")


def tools(context: ToolContext) -> tuple[Tool, ...]:
    """Create the tools of the clipboard."""
    return (tool(permission="ask")(read_clipboard), tool(permission="ask")(write_clipboard))
