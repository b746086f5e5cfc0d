"""Shell commands: each one asks, and nothing of it keeps running afterwards."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from voicechat.system import process_sandbox
from voicechat.system.child_process import sandboxed_command
from voicechat.tools import child_programs
from voicechat.tools.functions import tool
from voicechat.tools.registry import Tool
from voicechat.tools.tool_context import ToolContext

POSITION = 80

DEADLINE_S = 60.0
"""Seconds for a command."""

MAX_BYTES = 48_000
"""Bytes of its output that the model gets."""


async def run_command(command: str, access: process_sandbox.Access = "files") -> str:
    """Run a shell command on the user's machine and return its output.

    It gets no input and may take a minute; whatever it leaves running is killed. Set access to
    network for a command that needs the network, and to all for one that must reach other programs
    or gain privileges, like kill or sudo.
    """
    result = await child_programs.run(
        sandboxed_command(_shell(command), access),
        child_programs.plain_environment(),
        limit=MAX_BYTES,
    )
    text = result.printed.decode("utf-8", "replace").strip()
    if result.more:
        text += f"\n[{result.more} more bytes were left out]"
    if result.exceeded_limit:
        return f"{text}\n[it printed too much and was stopped]"
    if result.code:
        reason = f"exit code {result.code}" if result.code > 0 else "a signal"
        return f"{text}\n[it ended with {reason}]".strip()
    return text or "It finished and printed nothing."


def _shell(command: str) -> tuple[str, ...]:
    if sys.platform == "win32":
        return (os.environ.get("COMSPEC", "cmd.exe"), "/d", "/s", "/c", command)
    # Standard input belongs to the supervisor; the command gets none.
    return ("/bin/sh", "-c", 'exec /bin/sh -c "$0" </dev/null', command)


def tools(context: ToolContext) -> tuple[Tool, ...]:
    """Create the tool that runs commands."""
    command = tool(permission="ask", asks_always=True, deadline=DEADLINE_S)(run_command)
    return (replace(command, command="command", remark=_remark()),)


def _remark() -> str:
    if not process_sandbox.is_available():
        return process_sandbox.description("all")
    return (
        f"It runs in a sandbox ({process_sandbox.NAME}) without network, apart from other"
        " programs, unless “access” is network or all."
    )
