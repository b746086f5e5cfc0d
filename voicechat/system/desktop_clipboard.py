"""The clipboard of the desktop, through the program that the system has for it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from voicechat.system.child_process import own_session
from voicechat.system.daemon_call import call_with_deadline
from voicechat.system.secret_variables import open_environment

COPY_TIMEOUT_S = 2.0
"""Time in seconds for a program to take the text."""

Command = tuple[str, ...]


def commands(environ: Mapping[str, str], platform: str = sys.platform) -> list[Command]:
    """Return the commands that may set the clipboard here, the best first.

    They read the text from their standard input. Not all of them have to be installed.
    """
    found: list[Command] = []
    if platform == "darwin":
        found.append(("pbcopy",))
    if platform == "win32":
        found.append(("clip",))
    if environ.get("WAYLAND_DISPLAY"):
        found.append(("wl-copy",))
    if environ.get("DISPLAY"):
        found += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    if environ.get("WSL_DISTRO_NAME"):
        found.append(("clip.exe",))
    if environ.get("TMUX"):
        # tmux passes the text on to its own terminal with -w, which old versions lack.
        found += [("tmux", "load-buffer", "-w", "-"), ("tmux", "load-buffer", "-")]
    return found


async def copy(text: str) -> str:
    """Set the clipboard as `copy_blocking` does, without blocking the event loop."""
    with suppress(TimeoutError):
        return await call_with_deadline(lambda: copy_blocking(text), 2 * COPY_TIMEOUT_S)
    return ""


def copy_blocking(text: str) -> str:
    """Set the clipboard; return the name of the program that did, or "" if none could."""
    environ = open_environment()
    for command in commands(environ):
        if shutil.which(command[0]) and _run(command, text, environ):
            return command[0]
    return ""


def _run(command: Command, text: str, environ: Mapping[str, str]) -> bool:
    # Windows' own program reads UTF-16 or the code page of the console.
    encoding = "utf-16" if command[0].startswith("clip") else "utf-8"
    try:
        done = subprocess.run(
            command,
            input=text.encode(encoding, "replace"),
            # Programs that stay to serve the clipboard must not hold an inherited pipe.
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COPY_TIMEOUT_S,
            env=environ,
            check=False,
            **own_session(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
