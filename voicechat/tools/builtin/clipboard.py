"""The clipboard, through the program that the desktop has for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Sequence

from voicechat.tools.children import plain_environment
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool, ToolError

LARGEST = 256 * 1024
"""Bytes of text."""

_WAIT_S = 5.0
_NONE = "There is no clipboard here. On Linux install wl-clipboard or xclip."

Command = tuple[str, ...]


def _programs() -> Sequence[tuple[Command, Command]]:
    """Ways to (read, write), those that fit this desktop first."""
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


def _command(which: int) -> Command:
    for ways in _programs():
        program = shutil.which(ways[which][0])
        if program:
            return (program, *ways[which][1:])
    raise ToolError(_NONE)


async def read_clipboard() -> str:
    """Read the text that is on the person's clipboard."""
    printed = await _run(_command(0), None)
    if len(printed) > LARGEST:
        raise ToolError("There is too much on the clipboard.")
    return printed.decode("utf-8", "replace") or "There is no text on the clipboard."


async def write_clipboard(text: str) -> str:
    """Put text on the person's clipboard, in place of what is there."""
    given = text.encode("utf-8", "replace")
    if len(given) > LARGEST:
        raise ToolError("That is too much for the clipboard.")
    await _run(_command(1), given)
    return "It is on the clipboard."


async def _run(command: Command, given: bytes | None) -> bytes:
    """What the program prints. One that writes stays: it serves what is pasted from it."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=nothing if given is None else pipe,
            stdout=pipe if given is None else nothing,
            stderr=nothing,
            env=plain_environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"The clipboard cannot be used: {error.strerror}.") from None
    try:
        async with asyncio.timeout(_WAIT_S):
            if given is None:
                assert child.stdout is not None
                printed = await child.stdout.read(LARGEST + 1)
                while len(printed) <= LARGEST and (piece := await child.stdout.read(65_536)):
                    printed += piece
            else:
                printed, _ = await child.communicate(given)
            if len(printed or b"") <= LARGEST:
                await child.wait()
    except TimeoutError:
        raise ToolError("The clipboard does not answer.") from None
    finally:
        if child.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
    if child.returncode and given is not None:
        raise ToolError("The clipboard could not be written to.")
    return printed or b""


def tools() -> tuple[Tool, ...]:
    """What uses the clipboard."""
    return (tool(permission="ask")(read_clipboard), tool(permission="ask")(write_clipboard))
