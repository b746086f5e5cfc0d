"""An MCP server as the person configured it, and what of this machine it gets to see.

Nothing here knows a file: whoever reads one makes a `ServerConfig`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voicechat.core.text import clean
from voicechat.errors import Secret

_INHERITED = (
    (
        "APPDATA COMSPEC HOMEDRIVE HOMEPATH LOCALAPPDATA PATH PATHEXT PROCESSOR_ARCHITECTURE"
        " PROGRAMDATA PROGRAMFILES SYSTEMDRIVE SYSTEMROOT TEMP TMP USERNAME USERPROFILE"
    )
    if os.name == "nt"
    else "HOME LANG LC_ALL LC_CTYPE LOGNAME PATH SHELL TERM TMPDIR TZ USER"
).split()
"""Variables a server gets besides those its configuration names: none of them holds a key."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One MCP server: a program that is run (`command`) or an address (`url`), never both."""

    name: str
    command: tuple[str, ...] = ()
    """The program and its arguments; empty for a server at an address."""
    url: str = ""
    env: Mapping[str, Secret] = field(default_factory=dict, repr=False, hash=False)
    """More variables for the program, `$NAME` references already looked up."""
    headers: Mapping[str, Secret] = field(default_factory=dict, repr=False, hash=False)
    """Headers of every request to the address, references looked up."""
    cwd: Path | None = None
    """Where the program runs; None for the home folder, never where voicechat was started."""
    timeout_s: float | None = None
    """Seconds a call may take; None for the usual ones."""
    disabled: bool = False
    """It stays configured, and is not started."""
    place: str = ""
    """File and line it comes from."""
    problem: str = ""
    """Why it cannot be started although it is well written: a variable that is not set."""
    written: str = field(default="", repr=False)
    """What decides about its environment as it stands in the file, before any look-up."""

    @property
    def source(self) -> str:
        """How its tools name where they come from."""
        return f"MCP server {clean(self.name)}"

    @property
    def spaced(self) -> str:
        """The part of its tools' names that tells them from those of other servers."""
        return re.sub(r"[^A-Za-z0-9-]+", "_", self.name).strip("_") or "server"

    @property
    def shown(self) -> str:
        """The exact command with its arguments as one would type it, or the address; no keys,

        and of a query nothing at all.
        """
        if self.url:
            address, query, _ = self.url.partition("?")
            return clean(address + ("?…" if query else ""))
        where = f" (in {self.cwd})" if self.cwd is not None else ""
        names = f" (with {', '.join(sorted(self.env))})" if self.env else ""
        return clean(shlex.join(self.command) + where + names)

    @property
    def leave(self) -> str:
        """Changes whenever what would run changes; a leave to run is kept for this.

        A key that a `$NAME` refers to may change without asking again.
        """
        found = json.dumps([self.command, str(self.cwd or ""), self.written])
        return hashlib.sha256(found.encode("utf-8", "surrogatepass")).hexdigest()

    def environment(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """All the program sees of the environment: no keys but those that `env` names."""
        environ = os.environ if environ is None else environ
        found = {name: environ[name] for name in _INHERITED if name in environ}
        return found | {name: value.reveal() for name, value in self.env.items()}
