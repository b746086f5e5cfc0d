"""A command of the user that prints a token, such as `az account get-access-token`.

It runs for each connection, because such tokens expire: those of Microsoft Entra after about an
hour. It runs without a shell, and without the variables that hold keys.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil

from voicechat.core.text import clean
from voicechat.errors import ConnectError, UsageError
from voicechat.system import child_process
from voicechat.system.secret_variables import is_secret

DEADLINE_S = 30.0
"""Seconds that the command may take; the Azure CLI takes several."""

_MAX_BYTES = 1 << 18


async def printed_by(command: str) -> str:
    """Run a command and return what it prints.

    Raises `UsageError` for a command that cannot run, `ConnectError` if it fails or takes too long.
    """
    arguments = _arguments(command)
    name = clean(os.path.basename(arguments[0]))[:60]
    environment = {name: value for name, value in os.environ.items() if not is_secret(name)}
    try:
        child = await child_process.start(
            child_process.supervised_command(arguments),
            environment,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"The token command {name} could not start: {clean(reason)}.") from None
    assert child.stdout is not None
    printed = bytearray()
    try:
        async with asyncio.timeout(DEADLINE_S):
            while len(printed) <= _MAX_BYTES and (piece := await child.stdout.read(_MAX_BYTES)):
                printed += piece
            if len(printed) <= _MAX_BYTES:
                await child.wait()
    except TimeoutError:
        raise ConnectError(
            f"The token command {name} did not end within {DEADLINE_S:g} s.",
            "Run it in a terminal to see why.",
        ) from None
    finally:
        # What is not read holds the pipe open, and the end of the child back.
        discarding = asyncio.ensure_future(child_process.drain(child.stdout))
        await child_process.stop_supervised(child)
        discarding.cancel()
    if len(printed) > _MAX_BYTES:
        raise ConnectError(f"The token command {name} printed too much for a token.")
    if child.returncode:
        raise ConnectError(
            f"The token command {name} failed with exit code {child.returncode}.",
            "Run it in a terminal to see why.",
        )
    return printed.decode(errors="replace")


def _arguments(command: str) -> list[str]:
    """Split the command; its program is found on the search path."""
    try:
        arguments = shlex.split(command, posix=os.name != "nt")
    except ValueError as error:
        raise UsageError(
            f"The token command cannot be read: {clean(str(error))}.", "Check its quotes."
        ) from None
    program = shutil.which(arguments[0]) if arguments else None
    if program is None:
        name = clean(arguments[0])[:60] if arguments else ""
        raise UsageError(
            f"The token command names a program that does not exist: {name!r}.",
            "Check --token-command and the search path.",
        )
    return [program, *arguments[1:]]
