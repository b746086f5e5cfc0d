"""Shell commands: each one is asked about, and nothing of it stays when it is over."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from voicechat.tools import child_programs
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool

DEADLINE_S = 60.0
"""Seconds a command may take."""

PRINTED = 48_000
"""Bytes of what it prints that are given to the model."""


async def run_command(command: str) -> str:
    """Run a shell command on the person's machine and give what it prints.

    It gets no input and may take a minute; whatever it leaves running is ended.
    """
    ended = await child_programs.run(
        _shell(command), child_programs.plain_environment(), Path.cwd(), limit=PRINTED
    )
    text = ended.printed.decode("utf-8", "replace").strip()
    if ended.more:
        text += f"\n[{ended.more} more bytes were left out]"
    if ended.flooded:
        return f"{text}\n[it printed too much and was stopped]"
    if ended.code:
        how = f"exit code {ended.code}" if ended.code > 0 else "a signal"
        return f"{text}\n[it ended with {how}]".strip()
    return text or "It is done and printed nothing."


def _shell(command: str) -> tuple[str, ...]:
    if sys.platform == "win32":
        return (os.environ.get("COMSPEC", "cmd.exe"), "/d", "/s", "/c", command)
    # Standard input belongs to the keeper; the command is given none.
    return ("/bin/sh", "-c", 'exec /bin/sh -c "$0" </dev/null', command)


def tools() -> tuple[Tool, ...]:
    """What runs commands."""
    return (tool(permission="ask", asks_always=True, deadline=DEADLINE_S)(run_command),)
