"""An HTTP endpoint of the user, which becomes a tool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from voicechat.core.settings import Permission
from voicechat.errors import Secret

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

DEADLINE_S = 20.0
"""Seconds for a call, unless the settings say otherwise."""

PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
"""A parameter in the address."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint, with the values that the settings give it."""

    name: str
    url: str
    method: str = "GET"
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict, hash=False)
    """A JSON schema of an object."""
    headers: Mapping[str, Secret] = field(default_factory=dict, repr=False, hash=False)
    permission: Permission = Permission.ASK
    deadline_s: float = DEADLINE_S
    problem: str = ""
    """The reason why calls fail, such as a variable that is not set; empty without one."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"
