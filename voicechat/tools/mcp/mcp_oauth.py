"""Sign-in to MCP servers with OAuth 2.1, through the SDK: in the browser, once.

The tokens are in a private file per server. A conversation uses and refreshes them; only
`voicechat mcp login` opens the browser. The redirect goes to this machine (RFC 8252, section 7.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from voicechat.config.mcp_server import ServerConfig
from voicechat.core.text import clean
from voicechat.errors import ConnectError
from voicechat.system.private_files import read_private, write_private
from voicechat.tools.browser import open_in_browser
from voicechat.tools.mcp.mcp_elicitation import is_web_page

if TYPE_CHECKING:
    import httpx2
    from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
    from mcp.client.auth.oauth2 import OAuthContext
    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
    from pydantic import BaseModel

SIGN_IN_S = 300.0
"""Seconds for the user to sign in."""

_MAX_BYTES = 1 << 20
_HEAD_LIMIT = 16_384

_PAGE = "<!doctype html><title>voicechat</title><p>{}</p><p>You can close this page.</p>"


def tokens_path(config: ServerConfig) -> Path:
    """Return the file with the tokens of a server, which need not exist."""
    digest = hashlib.sha256(config.target().encode()).hexdigest()[:16]
    return _folder() / f"{config.tool_prefix}-{digest}.json"


def forget_tokens(name: str) -> bool:
    """Delete the tokens of the server of this name; False without any. Raises `OSError`."""
    found = list(_folder().glob(f"{ServerConfig(name).tool_prefix}-{'?' * 16}.json"))
    for path in found:
        path.unlink(missing_ok=True)
    return bool(found)


def _folder() -> Path:
    import platformdirs

    return platformdirs.user_data_path("voicechat", appauthor=False) / "mcp-tokens"


Model = TypeVar("Model", bound="BaseModel")


class TokenFile:
    """The tokens of one server on disk, as the SDK stores and reads them."""

    def __init__(self, path: Path) -> None:
        self.context: OAuthContext | None = None
        """The state of the SDK, whose discoveries are stored with the tokens."""
        self._path = path
        try:
            found = json.loads(read_private(path, _MAX_BYTES))
        except (OSError, ValueError):
            found = {}
        self._found: dict[str, Any] = found if isinstance(found, dict) else {}

    @property
    def expires_at(self) -> float | None:
        """The end of the access token, as seconds since the epoch; None if it is unknown."""
        found = self._found.get("expires_at")
        return float(found) if isinstance(found, int | float) else None

    @property
    def redirect_port(self) -> int:
        """The port with which voicechat registered; 0 before that."""
        uris = (self._found.get("client") or {}).get("redirect_uris") or [""]
        return urlsplit(str(uris[0])).port or 0

    async def get_tokens(self) -> OAuthToken | None:
        """Return the stored tokens."""
        from mcp.shared.auth import OAuthToken

        return self._read("tokens", OAuthToken)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Store tokens. One that does not work any more is replaced."""
        expires_at = None if tokens.expires_in is None else time.time() + tokens.expires_in
        self._write(
            tokens=tokens.model_dump(mode="json"),
            expires_at=expires_at,
            authority=_as_json(self.context.oauth_metadata if self.context else None),
            resource=_as_json(self.context.protected_resource_metadata if self.context else None),
        )

    def restore(self, context: OAuthContext) -> None:
        """Restore what a refresh needs: the authorization server, and the end of the token."""
        from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata

        self.context = context
        context.token_expiry_time = self.expires_at
        context.oauth_metadata = self._read("authority", OAuthMetadata)
        context.protected_resource_metadata = self._read("resource", ProtectedResourceMetadata)

    async def registration(self) -> OAuthClientInformationFull | None:
        """Return the stored registration of voicechat."""
        from mcp.shared.auth import OAuthClientInformationFull

        return self._read("client", OAuthClientInformationFull)

    async def set_registration(self, client_info: OAuthClientInformationFull) -> None:
        """Store the registration of voicechat."""
        self._write(client=client_info.model_dump(mode="json"))

    # The names in the SDK's protocol `TokenStorage`.
    get_client_info = registration
    set_client_info = set_registration

    def _read(self, name: str, kind: type[Model]) -> Model | None:
        try:
            return kind.model_validate(self._found[name])
        except (KeyError, ValueError):
            return None

    def _write(self, **changes: object) -> None:
        self._found |= changes
        # A disk that cannot be written costs only the next sign-in.
        with contextlib.suppress(OSError):
            write_private(self._path, json.dumps(self._found).encode())


def _as_json(found: BaseModel | None) -> object:
    return None if found is None else found.model_dump(mode="json", exclude_none=True)


class SignIn:
    """One sign-in in the browser, for the server that redirects to `port`."""

    def __init__(self, show: Callable[[str], None]) -> None:
        """Prepare. `show` receives the address of the page, in case that no browser opens."""
        self.port = 0
        self._show = show
        self._state = ""
        """The secret word of this sign-in, which its redirect repeats (RFC 6749, section 4.1)."""
        self._redirected: asyncio.Future[AuthorizationCodeResult] | None = None

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        """Wait for the redirect on this port, or on a free one."""
        self._redirected = asyncio.get_running_loop().create_future()
        try:
            server = await asyncio.start_server(self._serve, "127.0.0.1", port, limit=_HEAD_LIMIT)
        except OSError:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_LIMIT)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield

    async def open(self, url: str) -> None:
        """Open the page of the authorization server. Raises `ConnectError` for an unsafe one."""
        if not is_web_page(url):
            raise ConnectError("Its sign-in page is not a secure address.")
        self._state = parse_qs(urlsplit(url).query).get("state", [""])[0]
        self._show(f"Sign in at {url}")
        await open_in_browser(url)

    async def redirected(self) -> AuthorizationCodeResult:
        """Wait for the redirect. Raises `ConnectError` when the user does not sign in."""
        assert self._redirected is not None
        try:
            async with asyncio.timeout(SIGN_IN_S):
                return await self._redirected
        except TimeoutError:
            raise ConnectError(f"You did not sign in within {SIGN_IN_S:g} seconds.") from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
            async with asyncio.timeout(10):
                line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode()
            status, text = self._take(line)
            body = _PAGE.format(text).encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Type: text/html; charset=utf-8\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()

    def _take(self, line: str) -> tuple[int, str]:
        """Take a redirect; returns the status and the text of the answer."""
        from mcp.client.auth import AuthorizationCodeResult

        method, target, _ = line.split(" ", 2)
        parts = urlsplit(target)
        found = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if method != "GET" or parts.path != "/callback" or self._redirected is None:
            return 404, "There is nothing here."
        if self._redirected.done():
            return 409, "This sign-in is over."
        if not secrets.compare_digest(found.get("state", "").encode(), self._state.encode()):
            # Any web page can call this address; it must not end the sign-in of the user.
            return 400, "This is not the sign-in that voicechat waits for."
        if "code" not in found:
            reason = clean(found.get("error_description") or found.get("error", "no code"))[:200]
            self._redirected.set_exception(ConnectError(f"The sign-in was refused: {reason}."))
            return 400, "The sign-in was refused."
        self._redirected.set_result(
            AuthorizationCodeResult(
                code=found["code"], state=found.get("state"), iss=found.get("iss")
            )
        )
        return 200, "You are signed in."


@asynccontextmanager
async def authorization(
    config: ServerConfig, sign_in: SignIn | None
) -> AsyncIterator[httpx2.Auth | None]:
    """Provide the authorization of the requests to a server; None when it needs no tokens.

    sign_in: opens the browser when the server wants a sign-in; None to use stored tokens only.
    """
    path = tokens_path(config)
    if has_key(config) or (sign_in is None and not path.exists()):
        yield None
    elif sign_in is None:
        yield _provider(config, TokenFile(path), None)
    else:
        stored = TokenFile(path)
        async with sign_in.listening(stored.redirect_port):
            yield _provider(config, stored, sign_in)


def has_key(config: ServerConfig) -> bool:
    """Return True when the settings have a key for the server, so that it needs no sign-in."""
    return any(name.lower() == "authorization" for name in config.headers)


def needs_sign_in(config: ServerConfig) -> ConnectError:
    """Return the error of a server that wants a sign-in."""
    return ConnectError("It wants you to sign in.", f"Type: voicechat mcp login {config.name}")


def _provider(
    config: ServerConfig, stored: TokenFile, sign_in: SignIn | None
) -> OAuthClientProvider:
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata
    from pydantic import AnyUrl

    class Provider(OAuthClientProvider):
        """The SDK's provider, which forgets more than the tokens when it ends."""

        async def _initialize(self) -> None:
            await super()._initialize()
            stored.restore(self.context)

    async def refuse(url: str) -> None:
        raise needs_sign_in(config)

    async def never() -> AuthorizationCodeResult:
        raise needs_sign_in(config)

    port = sign_in.port if sign_in else stored.redirect_port
    return Provider(
        config.target(),
        OAuthClientMetadata(
            client_name="voicechat",
            redirect_uris=[AnyUrl(f"http://127.0.0.1:{port or 1}/callback")],
            grant_types=["authorization_code", "refresh_token"],
            response_types=["code"],
            token_endpoint_auth_method="none",
        ),
        stored,
        sign_in.open if sign_in else refuse,
        sign_in.redirected if sign_in else never,
    )
