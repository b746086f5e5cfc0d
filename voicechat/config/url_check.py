"""Checks of the addresses in settings."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from voicechat.errors import UsageError
from voicechat.system.loopback import is_loopback


def check_url(
    where: str,
    text: str,
    schemes: tuple[str, ...],
    *,
    example: str,
    is_private: bool = False,
    hint: str = "Put it in a header instead.",
) -> SplitResult:
    """The parts of an address.

    Raises `UsageError` when the text is not an address with one of these schemes, holds a
    password, or, with `is_private`, is neither https:// nor on this machine. `where` begins each
    error, `example` shows the right form, `hint` says where a password belongs.
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
    if parts.username or parts.password:
        raise UsageError(f"{where} must not hold a key or a password.", hint)
    if is_private and parts.scheme in {"http", "ws"} and not is_loopback(parts.hostname or ""):
        raise UsageError(f"{where} must begin with https:// unless it is on this machine.")
    return parts
