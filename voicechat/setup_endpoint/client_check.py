"""Authentication of clients: a bearer token, or the login of the user's own proxy.

For a login, the cookies of the request go to an address of the user's own. Its answer decides: 2xx
is a user who is logged in. That is the way of `auth_request` in nginx, `forward_auth` in Caddy and
the address `/oauth2/auth` of oauth2-proxy.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

from starlette.requests import Request

from voicechat.errors import Secret
from voicechat.server.asgi.client_limits import ClientLimits, client_of
from voicechat.server.asgi.refusals import Refusal, busy
from voicechat.setup_endpoint.endpoint_options import EndpointOptions, is_local_name
from voicechat.system.http_body import UNCOMPRESSED
from voicechat.system.http_client import open_client

if TYPE_CHECKING:
    import httpx

LOGIN_S = 5.0
"""Seconds for the answer about a login."""

LOGINS_PER_MINUTE = 120
"""Logins of one client that are checked."""

_AT_ONCE = 16
_MAX_COOKIE = 8_192


class ClientCheck:
    """Lets clients in or refuses them."""

    def __init__(
        self, options: EndpointOptions, token: Secret, now: Callable[[], float] = time.monotonic
    ) -> None:
        """token: what clients must send."""
        self._token = token
        self._is_open = options.is_open
        self._login = _Login(options.login_url, now) if options.login_url else None

    async def admit(self, request: Request) -> None:
        """Return if the client may use the endpoint; raise `Refusal` otherwise."""
        if self._is_open:
            if not all(map(is_local_name, request.headers.getlist("host"))):
                message = "Without authentication, only requests to 127.0.0.1 are accepted."
                raise Refusal(HTTPStatus.FORBIDDEN, "host_not_allowed", message)
            return
        given = request.headers.getlist("authorization")
        if given:
            if not self._is_token(given):
                raise _unauthorized("The token is not valid.")
        elif self._login is None or "cookie" not in request.headers:
            raise _unauthorized("Send the token as 'Authorization: Bearer TOKEN'.")
        elif "origin" not in request.headers:
            # A browser names the page with each POST. Without it, any page may have sent this.
            message = "A request with cookies must have the header Origin."
            raise Refusal(HTTPStatus.FORBIDDEN, "origin_not_allowed", message)
        elif not await self._login.is_valid(request):
            raise _unauthorized("You are not logged in.")

    def _is_token(self, given: list[str]) -> bool:
        kind, _, token = given[0].partition(" ")
        expected = self._token.reveal().encode()
        is_equal = hmac.compare_digest(token.strip().encode("utf-8", "surrogateescape"), expected)
        return is_equal and kind.lower() == "bearer" and len(given) == 1

    async def close(self) -> None:
        """Close the connections."""
        if self._login is not None:
            await self._login.close()


class _Login:
    """The address that knows who is logged in."""

    def __init__(self, url: str, now: Callable[[], float]) -> None:
        self._url = url
        self._client: httpx.AsyncClient | None = None
        self._limits = ClientLimits(LOGINS_PER_MINUTE, "requests with a login", now)
        self._running = 0

    async def is_valid(self, request: Request) -> bool:
        """Return True if the cookies of a request belong to a login. Raises `Refusal`."""
        cookies = "; ".join(request.headers.getlist("cookie"))
        if len(cookies) > _MAX_COOKIE or not (cookies.isascii() and cookies.isprintable()):
            raise Refusal(HTTPStatus.BAD_REQUEST, "invalid_request", "The cookies are too long.")
        self._limits.take(client_of(request))
        if self._running >= _AT_ONCE:
            raise busy("Too many logins are being checked.")
        self._running += 1
        try:
            status = await self._status(cookies, request.scope["path"])
        finally:
            self._running -= 1
        if status in {401, 403} or 300 <= status < 400:
            return False
        if 200 <= status < 300:
            return True
        raise _unavailable()

    async def _status(self, cookies: str, path: str) -> int:
        import httpx

        if self._client is None:
            self._client = open_client(
                timeout=LOGIN_S, trust_env=False, headers=UNCOMPRESSED, cookies=_no_cookies()
            )
        headers = {"Cookie": cookies, "X-Original-URI": path, "X-Original-Method": "POST"}
        try:
            async with (
                asyncio.timeout(LOGIN_S),
                self._client.stream("GET", self._url, headers=headers) as answer,
            ):
                return answer.status_code
        except (httpx.HTTPError, TimeoutError, OSError, ValueError):
            raise _unavailable() from None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _no_cookies() -> CookieJar:
    """Return a jar that keeps nothing: the cookies of one user must not go along with the next."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=()))


def _unauthorized(message: str) -> Refusal:
    return Refusal(HTTPStatus.UNAUTHORIZED, "invalid_api_key", message)


def _unavailable() -> Refusal:
    message = "The login cannot be checked now."
    return Refusal(HTTPStatus.BAD_GATEWAY, "login_unavailable", message, retry_after=5)
