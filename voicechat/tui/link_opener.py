"""Opening a link in the desktop's browser, without output on the terminal."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping

from voicechat.system.secret_variables import open_environment

_TIMEOUT_S = 10.0


def open_command(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the program that opens a URL; None without a desktop, as over SSH."""
    if sys.platform == "darwin":
        return shutil.which("open")
    if "WSL_DISTRO_NAME" in environment:
        return shutil.which("wslview") or shutil.which("explorer.exe")
    if sys.platform == "win32":
        return shutil.which("explorer.exe")
    # Without a display, xdg-open starts a text browser on this terminal.
    has_display = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    return shutil.which("xdg-open") if has_display else None


async def open_link(url: str) -> bool:
    """Open the URL in a browser; return False if there is none or it did not start."""
    command = open_command()
    if command is None:
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            command, url, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL,
            env=open_environment(), start_new_session=True,
        )  # fmt: skip
    except OSError:
        return False
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            code = await process.wait()
    except TimeoutError:
        return True  # some openers run as long as the browser
    return code == 0 or os.path.basename(command) == "explorer.exe"
