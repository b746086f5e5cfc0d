"""References to variables in settings: `$NAME` takes its value from the environment or `[keys]`.

`${NAME}` and `${env:NAME}` mean the same, `${NAME:-text}` has a default, `${userHome}` is the home
folder, and `$$` is a dollar sign. A text that begins with `~/` begins with the home folder.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping

from voicechat.errors import Secret

_REFERENCE = re.compile(r"\$(?:\$|([^\W\d]\w*)|\{([^{}]*)\})")
_IN_BRACES = re.compile(r"(?:env:)?([^\W\d]\w*)(?::?-(.*))?", re.DOTALL)

_USER_HOME = "userHome"


class References:
    """Replaces references in texts."""

    def __init__(self, look_up: Mapping[str, str | Secret]) -> None:
        self.missing: list[str] = []
        """References to variables that are not set: `$NAME`."""
        self.unknown: list[str] = []
        """References of other programs that mean nothing here: `${input:token}`."""
        self._look_up = look_up

    def filled(self, text: str) -> Secret:
        """The text with every reference replaced; a name that is not set becomes empty."""
        if _begins_at_home(text):
            return Secret(os.path.expanduser("~") + _REFERENCE.sub(self._value, text[1:]))
        return Secret(_REFERENCE.sub(self._value, text))

    def _value(self, found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        inside = _IN_BRACES.fullmatch(found[1] or found[2])
        if inside is None:
            self.unknown.append(found[0])
            return ""
        name, default = inside[1], inside[2]
        known = self._look_up.get(name, "")
        if not known and name == _USER_HOME:
            return os.path.expanduser("~")
        if not known and default is None:
            self.missing.append(f"${name}")
        if not known:
            return default or ""
        return known.reveal() if isinstance(known, Secret) else known


def without_references(text: str) -> str:
    """The text without its references, but with their defaults: a key may be written there."""

    def default(found: re.Match[str]) -> str:
        inside = _IN_BRACES.fullmatch(found[2] or "")
        return (inside[2] or "") if inside else ""

    return _REFERENCE.sub(default, text)


def has_references(text: str) -> bool:
    """Return True when `References.filled` would change the text."""
    return _REFERENCE.search(text) is not None or _begins_at_home(text)


def _begins_at_home(text: str) -> bool:
    return text == "~" or text.startswith(("~/", "~\\"))
