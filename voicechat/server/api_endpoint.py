"""An OpenAI-compatible HTTP API of the user: its address, its key and its failures.

Only the configured host is contacted: redirects are refused. The key goes over https or to this
machine only.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from voicechat.core.text import clean, excerpt
from voicechat.errors import (
    ConnectError,
    KeyMissing,
    Secret,
    SessionLost,
    UsageError,
    unusable_proxy,
)
from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_start
from voicechat.system.http_client import open_client
from voicechat.system.loopback import is_loopback

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS = 5.0
_CHECK_SECONDS = 4.0
_ABSENT = frozenset({502, 503, 504})
"""Statuses of a gateway whose server does not run."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ApiEndpoint:
    """One API. Raises `UsageError` for an invalid address."""

    kind: str
    """The name for messages: `chat server`, `speech recognizer` or `voice`."""
    url: str
    """The root with its version, such as http://localhost:11434/v1."""
    key: Secret | None = None
    """Sent as a bearer token."""
    flag: str = "--chat-url"
    key_variable: str = "VOICECHAT_CHAT_KEY"
    connect_seconds: float = CONNECT_SECONDS

    def __post_init__(self) -> None:
        parts = urlsplit(self.url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(
                f"The address of the {self.kind} must look like http://localhost:11434/v1.",
                f"Check {self.flag}.",
            )
        if parts.username or parts.password or parts.query:
            raise UsageError(
                f"The address of the {self.kind} must not contain a key.",
                f"Set {self.key_variable} instead.",
            )

    @property
    def root(self) -> str:
        """The address without a trailing slash."""
        return self.url.strip().rstrip("/").removesuffix("/chat/completions")

    @property
    def label(self) -> str:
        """The beginning of a sentence about this API."""
        return f"The {self.kind} at {self.root}"

    @property
    def _is_local(self) -> bool:
        return is_loopback(urlsplit(self.root).hostname or "")

    @property
    def _may_send_key(self) -> bool:
        return self._is_local or self.root.startswith("https:")

    def create_client(self) -> httpx.AsyncClient:
        """Create an HTTP client for this API. Its caller sets deadlines for answers.

        Raises `ConnectError` if the proxy of the environment cannot be used.
        """
        import httpx

        headers = {"Accept": "application/json", **UNCOMPRESSED}
        if self.key and self._may_send_key:
            headers["Authorization"] = f"Bearer {self.key.reveal()}"
        elif self.key:
            _log.warning(
                "the key in %s is not sent to %s, which is neither https nor local",
                self.key_variable,
                self.root,
            )
        seconds = self.connect_seconds
        try:
            return open_client(
                base_url=self.root + "/",
                headers=headers,
                timeout=httpx.Timeout(None, connect=seconds, pool=seconds),
                follow_redirects=False,
                trust_env=not self._is_local,
            )
        except ImportError:
            raise unusable_proxy() from None

    @asynccontextmanager
    async def translated_errors(self) -> AsyncIterator[None]:
        """Convert network errors into `ConnectError` and `SessionLost`."""
        import httpx

        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise ConnectError(
                f"{self.label} does not answer.", "Check that it is running."
            ) from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise SessionLost(f"{self.label} stopped answering.") from error
        except BodyError as error:
            raise SessionLost(f"{self.label} sent no readable answer. {error}") from error
        except httpx.HTTPError as error:
            raise SessionLost(f"{self.label} ended its answer early.") from error

    async def check(self, client: httpx.AsyncClient) -> None:
        """Ask for the list of models. Raises `VoicechatError` unless the server answers.

        Servers without such a list answer with an error; that is enough.
        """
        async with (
            self.translated_errors(),
            asyncio.timeout(_CHECK_SECONDS),
            client.stream("GET", "models") as response,
        ):
            status = response.status_code
        if status in (401, 403) or status in _ABSENT:
            self.raise_refused(status, "")

    @asynccontextmanager
    async def answer(
        self, client: httpx.AsyncClient, path: str, seconds: float, **content: Any
    ) -> AsyncIterator[httpx.Response]:
        """Send a POST request; yield the answer, with its body still to read.

        seconds: deadline for the beginning of the answer. content: arguments of httpx. Raises
        `VoicechatError` for a status other than 200.
        """
        post = client.stream("POST", path, **content)
        async with self.translated_errors():
            async with asyncio.timeout(seconds):
                response = await post.__aenter__()
            try:
                if response.status_code != 200:
                    async with asyncio.timeout(seconds):
                        reason = error_reason(await read_start(response))
                    self.raise_refused(response.status_code, reason)
                yield response
            finally:
                await post.__aexit__(None, None, None)

    def raise_refused(self, status: int, reason: str) -> NoReturn:
        """Raise the error for an answer with a status other than 200."""
        if status in (401, 403) and self.key and not self._may_send_key:
            raise KeyMissing(
                f"{self.label} asks for a key.", "Keys are sent over https or to this machine only."
            )
        if status in (401, 403):
            raise KeyMissing(f"{self.label} refused the key.", f"Set {self.key_variable}.")
        if 300 <= status < 400:
            raise ConnectError(f"{self.label} redirects to another address.", "Use that one.")
        raise ConnectError(f"{self.label} refused ({status}): {reason or 'no reason given.'}")


class ApiEngine:
    """An engine behind an API, and its connections."""

    def __init__(self, api: ApiEndpoint) -> None:
        self._api = api
        self._client: httpx.AsyncClient | None = None

    @property
    def label(self) -> str:
        """The beginning of a sentence about this engine."""
        return self._api.label

    async def check(self) -> None:
        """Ask for the list of models. Raises `VoicechatError` unless the server answers."""
        await self._api.check(self._open_client())

    def _open_client(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = self._api.create_client()
        return self._client

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def error_reason(content: bytes) -> str:
    """Return the error message in a response body, cleaned and shortened."""
    text = content.decode("utf-8", "replace")
    try:
        found = json.loads(text)
        error = found.get("error", found) if isinstance(found, Mapping) else found
        text = str(error.get("message", error) if isinstance(error, Mapping) else error)
    except (ValueError, RecursionError):
        text = "" if text.lstrip().startswith("<") else text
    return excerpt(" ".join(clean(text).split()))
