"""The address of Gemini Live, and the keys that it takes.

Sources: Gemini API docs, "Live API" and "Ephemeral tokens".
"""

from __future__ import annotations

import re

from voicechat.errors import Secret

URL = "wss://generativelanguage.googleapis.com"
"""Public address of the service."""

SERVICE = "/ws/google.ai.generativelanguage.{}.GenerativeService.{}"

_VERSION = re.compile(r"/(v\d\w*)/*$")
"""A version of the API at the end of a base URL, such as /v1beta."""


def address(base_url: str, *, token: bool = False) -> str:
    """Return the socket's address below a base URL; short-lived tokens use another method.

    A version at the end of the base URL is that of the service; the rest of the path is kept.
    """
    found = _VERSION.search(base_url)
    version = "v1alpha" if token else found[1] if found else "v1beta"
    method = "BidiGenerateContentConstrained" if token else "BidiGenerateContent"
    return _VERSION.sub("", base_url).rstrip("/") + SERVICE.format(version, method)


def is_token(key: Secret) -> bool:
    """Return True for a short-lived token."""
    return key.reveal().startswith("auth_tokens/")
