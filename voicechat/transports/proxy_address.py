"""The proxy of a WebSocket address, from the environment or the system.

Like curl, `ALL_PROXY` applies where no other variable does, and `NO_PROXY` names exceptions.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from websockets.asyncio import client

_SECURE = ("wss", "socks", "https", "all")
_PLAIN = ("ws", "socks", "https", "http", "all")
"""Kinds of proxies in the order of RFC 6455, section 4.1: SOCKS first, HTTP last."""


def proxy_of(url: str) -> str | None:
    """Return the address of the proxy for a WebSocket address; None if it needs none.

    Raises `ValueError` for an invalid address.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    if proxy_bypass(f"{parts.hostname}:{parts.port or (443 if secure else 80)}"):
        return None
    known = getproxies()
    for kind in _SECURE if secure else _PLAIN:
        if proxy := known.get(kind):
            if kind == "socks" and proxy.startswith("http://"):
                proxy = f"socks5h://{proxy.removeprefix('http://')}"
            return proxy if _decodes() else _decoded(proxy)
    return None


def _decodes() -> bool:
    """Return True if the library decodes user names and passwords; before 17, it does not."""
    parse = getattr(client, "parse_proxy", None)
    return parse is None or bool(parse("http://a:%61@host").password == "a")


def _decoded(proxy: str) -> str:
    """Decode user name and password. One with a slash stays encoded: it would end the host."""
    parts = urlsplit(proxy)
    user, at, host = parts.netloc.rpartition("@")
    plain = unquote(user)
    if not at or set(plain) & set("/?#[]"):
        return proxy
    return urlunsplit(parts._replace(netloc=f"{plain}@{host}"))
