"""A snapshot of what matters for sound on this machine, as plain values."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from voicechat.audio.devices.pulse import sockets

FILES = (
    "/etc/os-release",
    "/proc/version",
    "/proc/1/cgroup",
    "/proc/asound/cards",
    "/run/systemd/container",
)
"""Files of which the first 16 KiB are read."""
PLACES = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io", "/mnt/wslg")
"""Paths whose existence is recorded."""
VARIABLES = frozenset(
    {
        *("CI", "container", "CONTAINER_ID", "KUBERNETES_SERVICE_HOST", "WSL_DISTRO_NAME"),
        *("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT", "TMUX", "STY"),
        *("PULSE_SERVER", "PIPEWIRE_REMOTE", "XDG_RUNTIME_DIR"),
        *("TERM", "COLORTERM", "NO_COLOR", "TERM_PROGRAM", "LC_ALL", "LC_CTYPE", "LANG"),
    }
)
"""The only variables whose values are recorded."""
_BEGINNING = 16 << 10
_SOCKET_S = 0.5


@dataclass(frozen=True, slots=True)
class Terminal:
    """The terminal, or the pipe in its place."""

    is_terminal: bool = True
    columns: int = 80
    rows: int = 24
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Storage:
    """The folder of the lists, notes and other data of voicechat."""

    path: str = ""
    free: int = 1 << 40
    """Bytes."""
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Environment:
    """The state of the machine. The defaults are those of a Linux desktop without sound server."""

    system: str = "linux"
    """As `sys.platform`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Contents of the `FILES` that exist."""
    places: frozenset[str] = frozenset()
    """The `PLACES` that exist."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """The `VARIABLES` that are set."""
    servers: Mapping[str, bool] = field(default_factory=dict)
    """Sound servers whose sockets exist, by name; True when they accept connections."""
    devices_readable: bool = True
    """False when ALSA has device files and this user cannot open any of them."""
    terminal: Terminal = Terminal()
    storage: Storage = Storage()


def snapshot() -> Environment:
    """The current state of this machine. Takes at most a second; never raises."""
    variables = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    return Environment(
        system=sys.platform,
        files={path: text for path in FILES if (text := _beginning(path)) is not None},
        places=frozenset(path for path in PLACES if os.path.exists(path)),
        variables=variables,
        servers={
            name: _takes_calls(path)
            for name, path in sockets(variables, _user()).items()
            if os.path.exists(path)
        },
        devices_readable=_may_open_devices(Path("/dev/snd")),
        terminal=_terminal(),
        storage=_storage(),
    )


def _user() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None


def _beginning(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read(_BEGINNING).decode("utf-8", "replace")
    except OSError:
        return None


def _takes_calls(path: str) -> bool:
    if not hasattr(socket, "AF_UNIX"):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(_SOCKET_S)
        try:
            caller.connect(path)
        except OSError:
            return False
        return True


def _may_open_devices(folder: Path) -> bool:
    try:
        nodes = [node for node in folder.iterdir() if node.name.startswith("pcm")]
    except OSError:
        return True
    return not nodes or any(os.access(node, os.R_OK | os.W_OK) for node in nodes)


def _terminal() -> Terminal:
    size = shutil.get_terminal_size()
    encoding = getattr(sys.stdout, "encoding", None) or "ascii"
    return Terminal(sys.stdout.isatty(), size.columns, size.lines, encoding.lower())


def _storage() -> Storage:
    import platformdirs

    path = platformdirs.user_data_path("voicechat", appauthor=False)
    there = next((each for each in (path, *path.parents) if each.exists()), path)
    try:
        free = shutil.disk_usage(there).free
    except OSError:
        free = 0
    return Storage(str(path), free, os.access(there, os.W_OK))
