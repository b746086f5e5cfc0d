"""The user's web browser."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from voicechat.system.child_process import ended, own_session
from voicechat.tools.child_programs import plain_environment

_OPEN = "import sys, webbrowser; sys.exit(not webbrowser.open(sys.argv[1]))"

_WAIT_S = 10.0
"""Seconds to start the browser; one that stays in the foreground counts as started."""


async def open_in_browser(url: str) -> str:
    """Open a web page, without a shell; returns the reason as a sentence when that fails."""
    headless = not ({"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys())
    if sys.platform.startswith("linux") and headless:
        return "There is no desktop here to open a page on."
    browser = {"BROWSER": os.environ["BROWSER"]} if "BROWSER" in os.environ else {}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", _OPEN, url,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env=plain_environment() | browser, **own_session(),
    )  # fmt: skip
    if await ended(child, _WAIT_S) and child.returncode:
        return "The browser could not be opened."
    return ""
