"""Web pages: fetched as text from public addresses, or opened in the user's browser."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from voicechat.system.child_process import run_with_input
from voicechat.system.http_body import BodyError, read_start
from voicechat.tools import page_text
from voicechat.tools.browser import open_in_browser
from voicechat.tools.child_programs import plain_environment
from voicechat.tools.functions import tool
from voicechat.tools.public_addresses import Resolver, is_public, resolve
from voicechat.tools.public_fetch import WAIT_S, PublicFetch, checked_address
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

POSITION = 60

MAX_BYTES = 2 * 1024 * 1024
"""Bytes of a page that are read."""

DEADLINE_S = 25.0
_ACCEPT = "text/html, text/plain;q=0.9, */*;q=0.1"
_TEXTS = re.compile(r"text/|application/(?:[\w.+-]*(?:json|xml)|javascript)|\Z")


class Web:
    """Fetches pages. `resolver` and `allowed` decide which addresses it may reach."""

    def __init__(self, resolver: Resolver = resolve, allowed: Callable[[str], bool] = is_public):
        self._fetch = PublicFetch("The page", _ACCEPT, resolver, allowed)

    async def fetch_page(self, url: str) -> str:
        """Fetch a web page and give its text. url: its address, like https://example.com/news."""
        kind, raw, charset = await self._read(checked_address(url))
        if not _TEXTS.match(kind):
            raise ToolError(f"That is not a text page but {kind[:60]}.")
        return await _text_of(raw, kind, charset) or "The page has no text."

    async def _read(self, url: str) -> tuple[str, bytes, str]:
        """Return the content type of a page, its bytes and its character set."""
        import httpx

        try:
            async with self._fetch.answer(url) as response:
                raw = await read_start(response, MAX_BYTES)
        except httpx.TimeoutException:
            raise ToolError("The page did not answer in time.") from None
        except BodyError as error:
            raise ToolError(f"The page cannot be read: {error}") from None
        except httpx.HTTPError as error:
            raise ToolError(f"The page cannot be reached: {error or 'no answer'}.") from None
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind, raw, response.charset_encoding or ""


async def _text_of(raw: bytes, kind: str, charset: str) -> str:
    command = (sys.executable, "-I", "-S", page_text.__file__, kind, charset)
    try:
        code, text = await run_with_input(
            command, raw, plain_environment(), WAIT_S, keep_output=True
        )
    except TimeoutError:
        raise ToolError("The page took too long to read.") from None
    except OSError as error:
        raise ToolError(f"The page cannot be read: {error.strerror}.") from None
    if code == page_text.UNKNOWN_CHARSET:
        raise ToolError("The page has a character set that cannot be read.")
    if code == page_text.NO_TEXT:
        raise ToolError(f"That is not a text page but {kind[:60] or 'something else'}.")
    if code:
        raise ToolError("The page cannot be read.")
    return text.decode("utf-8", "replace")


async def open_url(url: str) -> str:
    """Open a web page in the user's own browser. url: its address."""
    url = checked_address(url)
    if reason := await open_in_browser(url):
        raise ToolError(reason)
    return f"{url} is open in the browser."


def tools(
    context: ToolContext, resolver: Resolver = resolve, allowed: Callable[[str], bool] = is_public
) -> tuple[Tool, ...]:
    """Create the tools that fetch and open pages."""
    web = Web(resolver, allowed)
    return (
        tool(permission="ask", deadline=DEADLINE_S)(web.fetch_page),
        tool(permission="ask")(open_url),
    )
