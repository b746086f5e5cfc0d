"""Web pages: fetched as text from public addresses, or opened in the user's browser."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from voicechat.system.child_process import run_with_input
from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_start
from voicechat.system.http_client import open_client
from voicechat.tools import page_text
from voicechat.tools.browser import open_in_browser
from voicechat.tools.child_programs import plain_environment
from voicechat.tools.functions import tool
from voicechat.tools.public_addresses import Resolver, is_public, public_address, resolve
from voicechat.tools.registry import Tool, ToolError
from voicechat.tools.tool_context import ToolContext

if TYPE_CHECKING:
    import httpx

POSITION = 60

MAX_BYTES = 2 * 1024 * 1024
"""Bytes of a page that are read."""

DEADLINE_S = 25.0
_REDIRECTS = 5
_WAIT_S = 10.0
_TEXTS = re.compile(r"text/|application/(?:[\w.+-]*(?:json|xml)|javascript)|\Z")


class Web:
    """Fetches pages. `resolver` and `allowed` decide which addresses it may reach."""

    def __init__(self, resolver: Resolver = resolve, allowed: Callable[[str], bool] = is_public):
        self._resolver = resolver
        self._allowed = allowed

    async def fetch_page(self, url: str) -> str:
        """Fetch a web page and give its text. url: its address, like https://example.com/news."""
        kind, raw, charset = await self._read(_address(url))
        if not _TEXTS.match(kind):
            raise ToolError(f"That is not a text page but {kind[:60]}.")
        return await _text_of(raw, kind, charset) or "The page has no text."

    async def _read(self, url: str) -> tuple[str, bytes, str]:
        """Follow redirects to a page; returns its content type, bytes and character set."""
        # Loading the client and its certificates takes long: on a thread.
        client = await asyncio.to_thread(_client)
        import httpx

        async with client:
            for _ in range(_REDIRECTS + 1):
                try:
                    found = await self._fetch(client, url)
                except httpx.TimeoutException:
                    raise ToolError("The page did not answer in time.") from None
                except BodyError as error:
                    raise ToolError(f"The page cannot be read: {error}") from None
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    raise ToolError(
                        f"The page cannot be reached: {error or 'no answer'}."
                    ) from None
                if not isinstance(found, str):
                    return found
                url = _address(urljoin(url, found))
        raise ToolError("The page redirects too often.")

    async def _fetch(self, client: httpx.AsyncClient, url: str) -> str | tuple[str, bytes, str]:
        """Send one request; returns the target of a redirect, or the page."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        # Connect to the address that was checked; the name may resolve differently next time.
        address = await public_address(host, port, self._resolver, self._allowed)
        shown = f"[{address}]" if ":" in address else address
        request = client.build_request(
            "GET",
            urlunsplit((parts.scheme, f"{shown}:{port}", parts.path or "/", parts.query, "")),
            headers={
                "Host": parts.netloc.rpartition("@")[2],
                "Accept": "text/html, text/plain;q=0.9, */*;q=0.1",
                "User-Agent": "voicechat",
                **UNCOMPRESSED,
            },
            extensions={"sni_hostname": host},
        )
        response = await client.send(request, stream=True)
        try:
            if response.is_redirect:
                return str(response.headers.get("location", ""))
            if response.status_code >= 400:
                reason = f"{response.status_code} {response.reason_phrase}".strip()
                raise ToolError(f"The page answered {reason}.")
            raw = await read_start(response, MAX_BYTES)
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            return kind, raw, response.charset_encoding or ""
        finally:
            await response.aclose()


def _client() -> httpx.AsyncClient:
    return open_client(trust_env=False, timeout=_WAIT_S)


def _address(text: str) -> str:
    """Return a complete http(s) address; a bare name gets https. Raises `ToolError` otherwise."""
    text = text.strip()
    if re.fullmatch(r"[\w-]+(?:\.[\w-]+)+(?::\d+)?(?:/\S*)?", text):
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        text.encode("ascii" if not parts.hostname else "utf-8")
    except (ValueError, UnicodeError):
        valid = False
    if not valid or re.search(r"[\s\\\x00-\x1f\x7f]", text) or len(text) > 2_000:
        raise ToolError("Only addresses that begin with https:// or http:// can be used.")
    if parts.username or parts.password:
        raise ToolError("Addresses that contain a password are refused.")
    return text


async def _text_of(raw: bytes, kind: str, charset: str) -> str:
    command = (sys.executable, "-I", "-S", page_text.__file__, kind, charset)
    try:
        code, text = await run_with_input(
            command, raw, plain_environment(), _WAIT_S, keep_output=True
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
    url = _address(url)
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
