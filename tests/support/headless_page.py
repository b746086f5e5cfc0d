"""A page in headless Chromium with a microphone that plays a file, driven by its debugger.

Source: Chrome DevTools Protocol, domains Target, Page and Runtime.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)


def chromium() -> str:
    """Return the path of the browser; skip the running test if there is none.

    VOICECHAT_CHROMIUM names one that is not in the path.
    """
    found = os.environ.get("VOICECHAT_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
    if not found:
        pytest.skip("Chromium is absent: no browser is tried; VOICECHAT_CHROMIUM can name one")
    return found


class HeadlessPage:
    """The page of one browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = count(1)

    async def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        await self._connection.send(msgspec.json.encode(message), text=True)
        async with asyncio.timeout(60):
            while (found := msgspec.json.decode(await self._connection.recv())).get("id") != number:
                continue
        assert "error" not in found, found
        result: dict[str, Any] = found["result"]
        return result

    async def value(self, expression: str) -> Any:
        """Return the value of JavaScript, awaited if it is a promise."""
        found = await self.command(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    async def until(self, expression: str, seconds: float = 30.0) -> Any:
        """Wait until JavaScript has a true value; return it."""
        async with asyncio.timeout(seconds):
            return await self.value(
                f"new Promise(done => {{ const look = () => {{ const found = {expression};"
                " found ? done(found) : setTimeout(look, 50); }; look(); })"
            )


@asynccontextmanager
async def headless_page(url: str, microphone: Path, profile: Path) -> AsyncIterator[HeadlessPage]:
    """Open a page; its microphone plays the WAV file once."""
    browser = await asyncio.create_subprocess_exec(
        chromium(),
        *FLAGS,
        f"--user-data-dir={profile}",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            root = await _debugger(browser)
            async with connect(root, proxy=None, max_size=None) as control:
                blank = HeadlessPage(control)
                target = (await blank.command("Target.createTarget", url="about:blank"))["targetId"]
            page_url = re.sub(r"/devtools/browser/.*", f"/devtools/page/{target}", root)
        async with connect(page_url, proxy=None, max_size=None) as connection:
            page = HeadlessPage(connection)
            await page.command("Page.navigate", url=url)
            await page.until("document.readyState == 'complete'")
            yield page
    finally:
        browser.kill()
        await browser.communicate()


async def _debugger(browser: asyncio.subprocess.Process) -> str:
    assert browser.stderr is not None
    while line := await browser.stderr.readline():
        if found := re.search(rb"DevTools listening on (ws://\S+)", line):
            return found[1].decode()
    raise AssertionError("the browser ended")
