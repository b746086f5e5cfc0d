"""Authentication with a short-lived token instead of a key.

A token comes from the environment (`--token`: the output of `voicechat token`, or the token
alone). Or each connection gets its own: a setup endpoint issues it (`--token-url`), which receives
`{"sessionConfig": …}` and answers `{"token": …, "url": …, "tools"?: […]}`, like the endpoints for
browsers; or a command prints it (`--token-command`). The key stays where the tokens are issued.

Source of the commands' output: reference of the Azure CLI, `az account get-access-token`
(`accessToken`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from voicechat.config.options import Options
from voicechat.core.settings import SessionSettings
from voicechat.core.text import clean
from voicechat.errors import ConnectError, KeyMissing, Secret, UsageError, unusable_proxy
from voicechat.system.http_body import UNCOMPRESSED, BodyError, read_all
from voicechat.system.http_client import open_client
from voicechat.system.loopback import is_loopback

if TYPE_CHECKING:
    from voicechat.providers.codec import Codec
    from voicechat.system.dial_target import DialTarget

DEADLINE_S = 10.0
"""Seconds that a setup endpoint has to answer."""

MAX_BYTES = 1 << 18
"""Largest size of an endpoint's answer, in bytes."""

TOKEN_VARIABLE = "VOICECHAT_TOKEN"
_MAX_TOKEN_CHARS = 16_384


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """A token, and what came with it."""

    token: Secret
    url: str = ""
    """Address of its socket; empty for the provider's usual one."""
    tools: tuple[str, ...] = ()
    """Names of the tools that the endpoint expects to be offered."""


class TokenAuth:
    """Authenticates the connections of one session. `warn` receives sentences for the user."""

    def __init__(self, options: Options, model: str, warn: Callable[[str], None]) -> None:
        """`model` is PROVIDER/MODEL."""
        self._options = options
        self.provider, _, self._model = model.partition("/")
        self._warn = warn
        self._reported: set[str] = set()

    @staticmethod
    def is_enabled(options: Options) -> bool:
        """Return True if these options use a token."""
        return bool(options.token or options.token_url or options.token_command)

    async def authorize(self, codec: Codec, settings: SessionSettings) -> None:
        """Make this codec's connection use a token.

        Raises `UsageError` for an invalid token, `ConnectError` and `KeyMissing` if the endpoint
        or the command issues none.
        """
        grant = await self._grant(settings)
        codec.redirect(self._endpoint(codec, grant))
        known = {tool.name for tool in settings.tools}
        for name in grant.tools:
            if name not in known and name not in self._reported:
                self._reported.add(name)
                self._warn(f"The setup endpoint expects a tool that does not exist: {name}.")

    async def _grant(self, settings: SessionSettings) -> TokenGrant:
        if self._options.token is not None:
            return read(self._options.token.reveal(), TOKEN_VARIABLE)
        if self._options.token_url is not None:
            return await _fetch(self._options.token_url, settings)
        from voicechat.session.token_command import printed_by

        return read(await printed_by(self._options.token_command or ""), "the token command")

    def _endpoint(self, codec: Codec, grant: TokenGrant) -> DialTarget:
        from voicechat.providers import catalog
        from voicechat.providers.rest import TokenRequest

        tokens = catalog.token_endpoint(self.provider)
        request = TokenRequest(self._model, grant.token, codec.endpoint().url)
        url = grant.url or tokens.socket(request)
        parts = urlsplit(url)
        if parts.scheme == "ws" and not is_loopback(parts.hostname or ""):
            raise ConnectError(
                f"The token would be sent unencrypted to {clean(parts.hostname or '')}.",
                "The address must begin with wss://.",
            )
        owner = catalog.provider_at(parts.hostname or "")
        if owner not in {None, self.provider}:
            raise UsageError(
                f"The token is for {owner}, not for {self.provider}.", f"--model {owner}/…"
            )
        return tokens.dial(url, grant.token)


def read(text: str, source: str) -> TokenGrant:
    """Read a token from a text: JSON with `token` and `url`, or the token alone.

    Raises `KeyMissing` if there is none, `UsageError` for one that cannot be sent.
    """
    is_json = text.lstrip().startswith("{")
    return _grant_from(_object(text) if is_json else {"token": text.strip()}, source)


def _grant_from(fields: dict[str, object], source: str) -> TokenGrant:
    token, url, tools = fields.get("token"), fields.get("url", ""), fields.get("tools", [])
    token = fields.get("accessToken") if token is None else token
    if not isinstance(token, str) or not token:
        raise KeyMissing(f"There is no token in {source}.", "Expected JSON with token and url.")
    if (
        not token.isascii()
        or not token.isprintable()
        or " " in token
        or len(token) > _MAX_TOKEN_CHARS
    ):
        raise UsageError(f"The token in {source} contains characters that a token cannot have.")
    if not isinstance(url, str) or (url and not _is_socket(url)):
        raise UsageError(
            f"The address in {source} is not a WebSocket address.", "It must begin with wss://."
        )
    names = [_name(tool) for tool in tools] if isinstance(tools, list) else []
    return TokenGrant(Secret(token), url, tuple(name for name in names if name))


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_socket(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    return plain and parts.scheme in {"ws", "wss"} and bool(host) and port != 0


def _name(tool: object) -> str:
    name = tool.get("name") if isinstance(tool, dict) else None
    return clean(name)[:64] if isinstance(name, str) else ""


async def _fetch(url: str, settings: SessionSettings) -> TokenGrant:
    import httpx

    from voicechat.providers.gateway.normalized_config import config_of

    host = urlsplit(url).hostname or ""
    body = {"sessionConfig": config_of(settings)}
    try:
        async with (
            open_client(timeout=DEADLINE_S, follow_redirects=False) as client,
            asyncio.timeout(DEADLINE_S),
            client.stream("POST", url, json=body, headers=UNCOMPRESSED) as answer,
        ):
            content = (await read_all(answer, MAX_BYTES)).decode(errors="replace")
    except BodyError as error:
        raise ConnectError(f"{host} sent no token: {error}", "Check --token-url.") from None
    except (httpx.TimeoutException, TimeoutError):
        raise ConnectError(
            f"{host} did not send a token within {DEADLINE_S:g} s.", "Try again."
        ) from None
    except ImportError:
        raise unusable_proxy() from None
    except (httpx.HTTPError, OSError, ValueError):
        raise ConnectError(
            f"{host} could not be reached for a token.", "Check --token-url and the network."
        ) from None
    if answer.status_code in {401, 403}:
        raise KeyMissing(f"{host} refused to issue a token (HTTP {answer.status_code}).")
    if answer.status_code != 200:
        raise ConnectError(f"{host} did not issue a token (HTTP {answer.status_code}).")
    return _grant_from(_object(content), f"the answer of {host}")
