"""Environment variables that hold secrets: which they are, and an environment without them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping

_NAME = re.compile(r"(?:.*_)?(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)", re.IGNORECASE)
_ADDRESS_WITH_PASSWORD = re.compile(r"[A-Za-z][\w+.-]*://[^/?#\s]*:[^/?#\s]*@")
_PROXY_NAME = re.compile(r".*_PROXY", re.IGNORECASE)


def is_secret(variable: str) -> bool:
    """Return True when a variable of this name probably holds a secret."""
    return _NAME.fullmatch(variable) is not None


def holds_secret(variable: str, value: str) -> bool:
    """Return True when this variable holds a secret, judged by its name and its value."""
    return (
        is_secret(variable)
        or _ADDRESS_WITH_PASSWORD.search(value) is not None
        or without_proxy_password(variable, value) != value
    )


def without_proxy_password(variable: str, value: str) -> str:
    """The value of a variable without the user and password of a proxy."""
    if not _PROXY_NAME.fullmatch(variable) or "@" not in value:
        return value
    scheme, separator, rest = value.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def open_environment(omit: Callable[[str], bool] = is_secret) -> dict[str, str]:
    """This environment for another program: no variables that `omit` names, no proxy passwords."""
    return {
        name: without_proxy_password(name, value)
        for name, value in os.environ.items()
        if not omit(name)
    }


def proxies_with_passwords(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables in which `open_environment` changes the address of a proxy."""
    return {
        name: value
        for name, value in environ.items()
        if without_proxy_password(name, value) != value
    }
