"""HTTP answers from public addresses. Redirects are followed to public addresses only."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit, urlunsplit

from voicechat.system.http_body import UNCOMPRESSED
from voicechat.system.http_client import open_client
from voicechat.tools.public_addresses import Resolver, is_public, public_address, resolve
from voicechat.tools.registry import ToolError

if TYPE_CHECKING:
    import httpx

WAIT_S = 10.0
"""Seconds for a connection and between two pieces of an answer."""

_REDIRECTS = 5


class PublicFetch:
    """Fetches from public addresses. `resolver` and `allowed` decide which it may reach.

    subject: the beginning of a sentence about what is fetched, such as "The page".
    """

    def __init__(
        self,
        subject: str,
        accept: str,
        resolver: Resolver = resolve,
        allowed: Callable[[str], bool] = is_public,
    ) -> None:
        self.subject = subject
        self._accept = accept
        self._resolver = resolver
        self._allowed = allowed

    @asynccontextmanager
    async def answer(self, url: str) -> AsyncIterator[httpx.Response]:
        """Yield the answer of an address, with its body still to read.

        Raises `ToolError` for an address that is not public, a status of 400 or more and a server
        that cannot be reached; the body may raise the errors of httpx.
        """
        # Loading the client and its certificates takes long: on a thread.
        client = await asyncio.to_thread(_client)
        async with client:
            response = await self._followed(client, url)
            try:
                if response.status_code >= 400:
                    reason = f"{response.status_code} {response.reason_phrase}".strip()
                    raise ToolError(f"{self.subject} answered {reason}.")
                yield response
            finally:
                await response.aclose()

    async def _followed(self, client: httpx.AsyncClient, url: str) -> httpx.Response:
        import httpx

        for _ in range(_REDIRECTS + 1):
            try:
                response = await self._fetch(client, url)
            except httpx.TimeoutException:
                raise ToolError(f"{self.subject} did not answer in time.") from None
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                reason = error or "no answer"
                raise ToolError(f"{self.subject} cannot be reached: {reason}.") from None
            if not response.is_redirect:
                return response
            await response.aclose()
            url = checked_address(urljoin(url, str(response.headers.get("location", ""))))
        raise ToolError(f"{self.subject} redirects too often.")

    async def _fetch(self, client: httpx.AsyncClient, url: str) -> httpx.Response:
        """Send one request."""
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
                "Accept": self._accept,
                "User-Agent": "voicechat",
                **UNCOMPRESSED,
            },
            extensions={"sni_hostname": host},
        )
        return await client.send(request, stream=True)


def _client() -> httpx.AsyncClient:
    return open_client(trust_env=False, timeout=WAIT_S)


def checked_address(text: str) -> str:
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
