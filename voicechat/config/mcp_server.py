"""The configuration of an MCP server, and the environment that its program receives."""

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
"""Variables that every program of a server receives. None of them holds a key."""


START_TIMEOUT_S = 30.0
"""Seconds from the start of a server to the list of its tools, unless it has its own."""


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """One MCP server: either a program to run (`command`) or an address (`url`)."""

    name: str
    command: tuple[str, ...] = ()
    """The program and its arguments, as written; empty for a server at an address."""
    program: tuple[Secret, ...] = field(default=(), repr=False)
    """`command` with references replaced; empty when it has none."""
    url: str = ""
    """Its address, as written."""
    address: Secret | None = field(default=None, repr=False)
    """`url` with references replaced; None when it has none."""
    env: Mapping[str, Secret] = field(default_factory=dict, repr=False, hash=False)
    """More variables for the program, with references replaced."""
    headers: Mapping[str, Secret] = field(default_factory=dict, repr=False, hash=False)
    """Headers of each request to the address, with references replaced."""
    cwd: Path | None = None
    """Folder of the program; None for the home folder, not the current folder."""
    timeout_s: float | None = None
    """Seconds for a call; None for the default."""
    start_timeout_s: float = START_TIMEOUT_S
    """Seconds from its start to the list of its tools."""
    disabled: bool = False
    """It is configured, but not started."""
    place: str = ""
    """File and line of its configuration."""
    problem: str = ""
    """The reason why it cannot start, such as a variable that is not set; empty without one."""
    written: str = field(default="", repr=False)
    """The `env` of the file as JSON, before references are replaced."""

    @property
    def source(self) -> str:
        """The source of its tools, for the user."""
        return f"MCP server {clean(self.name)}"

    @property
    def tool_prefix(self) -> str:
        """The prefix of the names of its tools."""
        return re.sub(r"[^A-Za-z0-9-]+", "_", self.name).strip("_") or "server"

    @property
    def shown(self) -> str:
        """The command as typed in a shell, or the address without its query. Holds no keys."""
        if self.url:
            address, query, _ = self.url.partition("?")
            return clean(address + ("?…" if query else ""))
        where = f" (in {self.cwd})" if self.cwd is not None else ""
        names = f" (with {', '.join(sorted(self.env))})" if self.env else ""
        return clean(shlex.join(self.command) + where + names)

    @property
    def fingerprint(self) -> str:
        """Digest of the command; an approval to run is stored for it.

        A new value of a variable that `$NAME` refers to does not change it.
        """
        found = json.dumps([self.command, str(self.cwd or ""), self.written])
        return hashlib.sha256(found.encode("utf-8", "surrogatepass")).hexdigest()

    def arguments(self) -> tuple[str, ...]:
        """The program and its arguments as they run. May hold keys."""
        return tuple(each.reveal() for each in self.program) or self.command

    def target(self) -> str:
        """The address to connect to. May hold keys."""
        return self.address.reveal() if self.address else self.url

    def environment(self, environ: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the program: no keys, except those that `env` names."""
        environ = os.environ if environ is None else environ
        found = {name: environ[name] for name in _INHERITED if name in environ}
        return found | {name: value.reveal() for name, value in self.env.items()}
