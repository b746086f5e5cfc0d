"""Options of `voicechat setup-endpoint`, and their checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from voicechat.config.url_check import check_url
from voicechat.core.text import clean
from voicechat.errors import Secret, UsageError
from voicechat.system.loopback import is_loopback

TOKEN_VARIABLE = "VOICECHAT_SETUP_TOKEN"
"""The variable with the token that clients must send."""


@dataclass(frozen=True, slots=True)
class EndpointOptions:
    """All options of the endpoint."""

    host: str = "127.0.0.1"
    port: int = 8760
    """0 selects a free port."""
    allow_remote: bool = False
    """Required to bind to an address other than loopback."""
    tls_cert: Path | None = None
    """PEM file with the certificate chain; None serves without TLS."""
    tls_key: Path | None = None
    """PEM file with the private key; None if the certificate's file holds it."""
    token: Secret | None = None
    """The access token for clients; None creates a new one."""
    login_url: str | None = None
    """Address that answers 2xx to a request with the cookies of a user who is logged in."""
    is_open: bool = False
    """Everyone on this machine may use it, without a token."""
    origins: frozenset[str] = frozenset()
    """Origins of the web pages that may use it, as `web_origin` returns them."""
    proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` counts."""
    tools: tuple[str, ...] = ()
    """Names of the tools with an address."""
    seconds: int | None = None
    """Time in which a token can open sessions; None for the provider's default."""
    socket_url: str | None = None
    """Address that clients dial; None for the one that belongs to the token."""
    tokens_per_minute: int = 10
    """Tokens for one client."""
    calls_per_minute: int = 60
    """Calls of one tool for one client."""
    token_minutes: float = 5.0
    """Minutes of conversation as which a token counts in the budget."""

    def check(self) -> None:
        """Raise `UsageError` if the options exclude each other or are no addresses."""
        here = is_loopback(self.host)
        if not here and self.is_open:
            raise UsageError("--no-auth works on 127.0.0.1 only.", "Leave --host out.")
        if not here and not self.allow_remote:
            raise UsageError(
                f"Other machines can reach {clean(self.host)[:60]}.",
                "Add --allow-remote to allow that.",
            )
        if self.token is not None and not _is_header_text(self.token.reveal()):
            raise UsageError(
                f"{TOKEN_VARIABLE} contains characters that no HTTP header can carry.",
                "Use ASCII letters and digits.",
            )
        if self.is_open and self.login_url:
            raise UsageError("--no-auth and --login-url exclude each other.")
        if self.login_url:
            check_url(
                "--login-url", self.login_url, ("https://", "http://"), is_private=True,
                example="http://127.0.0.1:4180/oauth2/auth",
            )  # fmt: skip
        if self.socket_url:
            _check_socket(self.socket_url)
        _check_proxies(self.proxies)


def _is_header_text(token: str) -> bool:
    return token.isascii() and token.isprintable()


def _check_socket(url: str) -> None:
    parts = check_url("--socket-url", url, ("wss://", "ws://"), example="wss://voice.example")
    if parts.fragment or not (url.isascii() and url.isprintable()):
        raise UsageError("--socket-url must be an address like wss://voice.example.")


def _check_proxies(proxies: Iterable[str]) -> None:
    for each in proxies:
        try:
            ip_network(each)
        except ValueError:
            raise UsageError(
                f"--proxy must be an IP address or a network, not {clean(each)[:60]!r}.",
                "Write it like --proxy 127.0.0.1.",
            ) from None


def is_local_name(host: str) -> bool:
    """Return True if a Host header names this machine."""
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
