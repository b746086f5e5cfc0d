"""References to variables in settings: `$NAME` takes its value from the environment or `[keys]`.

`${NAME}` and `${env:NAME}` mean the same; `$$` is a dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from voicechat.errors import Secret

REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(?:env:)?(\w+)\})")


class References:
    """Replaces references in texts; `missing` collects the names that are not set."""

    def __init__(self, look_up: Mapping[str, str | Secret]) -> None:
        self.missing: list[str] = []
        self._look_up = look_up

    def filled(self, text: str) -> Secret:
        """The text with every reference replaced; a name that is not set becomes empty."""
        return Secret(REFERENCE.sub(self._value, text))

    def _value(self, found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            return "$"
        known = self._look_up.get(name, "")
        if not known:
            self.missing.append(name)
        return known.reveal() if isinstance(known, Secret) else known
