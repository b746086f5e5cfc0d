"""An HTTP endpoint of the user that is offered as a tool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from voicechat.core.settings import Permission
from voicechat.errors import Secret

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

DEADLINE_S = 20.0
"""Seconds for a call, when the settings say nothing else."""

PLACE = re.compile(r"\{([A-Za-z_]\w*)\}")
"""Where the address takes an argument."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint as the settings describe it; `url` and `parameters` were checked there."""

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
    """Why it cannot be called although it is well written: a variable that is not set."""

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"
