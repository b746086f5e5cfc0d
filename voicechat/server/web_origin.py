"""Origins of web pages, such as https://app.example: the list that may use a server.

A browser sends the origin of the page with each request that a page makes to another server, and a
page cannot change it. Source: RFC 6454, section 6.2, and the Fetch standard, "`Origin` header".
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from voicechat.core.text import clean
from voicechat.errors import UsageError

_USUAL_PORTS = {"http": 80, "https": 443}


def web_origin(text: str, flag: str = "--origin") -> str:
    """Return an origin as browsers send it. Raises `UsageError` for any other text."""
    try:
        parts = urlsplit(text.strip().rstrip("/").lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_whole = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    if parts.scheme not in _USUAL_PORTS or not parts.hostname or not is_whole or port == 0:
        raise UsageError(
            f"{flag} must be the origin of a web page, not {clean(text)[:60]!r}.",
            f"Write it like {flag} https://app.example.",
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    at_port = "" if port in {None, _USUAL_PORTS[parts.scheme]} else f":{port}"
    return f"{parts.scheme}://{host}{at_port}"


def web_origins(texts: Iterable[str], flag: str = "--origin") -> frozenset[str]:
    """Return several origins. Raises `UsageError` as `web_origin` does."""
    return frozenset(web_origin(text, flag) for text in texts)
