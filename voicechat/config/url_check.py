"""Checks of the addresses in settings."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, urlsplit

from voicechat.errors import UsageError
from voicechat.system.loopback import is_loopback

_KEY_NAMES = ("key", "token", "secret", "password", "passwd", "auth", "signature", "credential")
"""Endings of the names of parameters that hold keys, in small letters."""

_PLACE = re.compile(r"\{\w+\}")
"""A value that is the argument of a tool."""


def key_in_query(query: str) -> str:
    """Return the first parameter that seems to hold a key, like `api_key`; empty without one."""
    for name, value in parse_qsl(query.replace(";", "&")):
        if name.lower().endswith(_KEY_NAMES) and not _PLACE.fullmatch(value):
            return name
    return ""


def check_url(
    where: str,
    text: str,
    schemes: tuple[str, ...],
    *,
    example: str,
    is_private: bool = False,
    may_hold_key: bool = False,
    hint: str = "Put it in a header instead.",
) -> SplitResult:
    """The parts of an address.

    Raises `UsageError` when the text is not an address with one of these schemes, holds a
    password, has a parameter for a key unless it `may_hold_key`, or, with `is_private`, is neither
    https:// nor on this machine. `where` begins each error, `example` shows the right form, `hint`
    says where a password belongs.
    """
    parts = None
    try:
        split = urlsplit(text)
        if text.lower().startswith(schemes) and split.hostname and split.port != 0:
            parts = split
    except ValueError:
        pass
    if parts is None or re.search(r"\s", text):
        raise UsageError(f"{where} must be an address like {example}.")
    if parts.username or parts.password or (not may_hold_key and key_in_query(parts.query)):
        raise UsageError(f"{where} must not hold a key or a password.", hint)
    if is_private and parts.scheme in {"http", "ws"} and not is_loopback(parts.hostname or ""):
        raise UsageError(f"{where} must begin with https:// unless it is on this machine.")
    return parts
