"""Base URLs: validation, and the address of the realtime socket below one."""

from __future__ import annotations

from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

from voicechat.config.url_check import key_in_query
from voicechat.core.text import clean
from voicechat.errors import UsageError

SOCKET_SCHEMES = {"http": "ws", "ws": "ws", "https": "wss", "wss": "wss"}


def checked(base_url: str) -> SplitResult:
    """Split a base URL. Raises `UsageError` if it is not an http(s) or ws(s) address."""
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in SOCKET_SCHEMES and parts.hostname and (parts.port or 1)
    except ValueError:
        usable = False
    if not usable or clean(base_url) != base_url:
        raise UsageError(
            "The base URL is not an http(s):// or ws(s):// address.",
            "It looks like https://host/v1.",
        )
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"The base URL of {parts.hostname} contains a user name or password.",
            "Put the key into the environment.",
        )
    if name := key_in_query(parts.query):
        raise UsageError(
            f"The base URL of {parts.hostname} contains a key ({clean(name)[:40]}).",
            "Put the key into the environment.",
        )
    return parts


def socket_base(base_url: str) -> str:
    """Return the base URL with a socket's scheme and without a query."""
    parts = checked(base_url)
    return f"{SOCKET_SCHEMES[parts.scheme]}://{parts.netloc}{parts.path}"


def realtime_url(base_url: str, model: str, purpose: str = "conversation") -> str:
    """Return the address of the OpenAI-style socket below a base URL, with or without its path.

    A transcription session's address has `intent=transcription` and names no model. Raises
    `UsageError` if the base URL is not an address.
    """
    parts = checked(base_url)
    path = parts.path.rstrip("/") or "/v1"
    if not path.endswith("/realtime"):
        path += "/realtime"
    kept = [pair for pair in parts.query.split("&") if pair and not pair.startswith("model=")]
    added = "intent=transcription" if purpose == "transcription" else f"model={quote(model)}"
    query = "&".join([*kept, added])
    scheme = SOCKET_SCHEMES[parts.scheme]
    return urlunsplit(SplitResult(scheme, parts.netloc, path, query, ""))
