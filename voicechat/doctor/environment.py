"""A snapshot of the machine: files, variables, sound servers, terminal and storage."""

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
"""Files to read, at most 16 KiB of each."""
MARKER_PATHS = ("/.dockerenv", "/run/.containerenv", "/var/run/secrets/kubernetes.io", "/mnt/wslg")
"""Paths whose existence identifies a container or WSL."""
VARIABLES = frozenset(
    {
        *("CI", "container", "CONTAINER_ID", "KUBERNETES_SERVICE_HOST", "WSL_DISTRO_NAME"),
        *("SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT", "TMUX", "STY"),
        *("PULSE_SERVER", "PIPEWIRE_REMOTE", "XDG_RUNTIME_DIR"),
        *("TERM", "COLORTERM", "NO_COLOR", "TERM_PROGRAM", "LC_ALL", "LC_CTYPE", "LANG"),
    }
)
"""Environment variables to record. Variables with keys must not be added."""
_MAX_BYTES = 16 << 10
"""Most bytes read of a file."""
_SOCKET_S = 0.5
"""Deadline in seconds for a connection to a sound server."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """The standard output: a terminal, or a file or pipe."""

    is_terminal: bool = True
    columns: int = 80
    rows: int = 24
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Storage:
    """The data folder of voicechat."""

    path: str = ""
    free: int = 1 << 40
    """Free space in bytes."""
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Environment:
    """The state of the machine. The defaults describe a Linux desktop without a sound server."""

    system: str = "linux"
    """Value of `sys.platform`."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Contents of the existing `FILES`, by path."""
    marker_paths: frozenset[str] = frozenset()
    """The existing `MARKER_PATHS`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Values of the `VARIABLES` that are set."""
    servers: Mapping[str, bool] = field(default_factory=dict)
    """Sound servers whose sockets exist, by name; True when they accept connections."""
    devices_readable: bool = True
    """False if ALSA has device files and the user cannot open any of them."""
    terminal: Terminal = Terminal()
    storage: Storage = Storage()


def snapshot() -> Environment:
    """Return the current state of this machine. Takes at most a second; never raises."""
    variables = {name: os.environ[name] for name in VARIABLES if os.environ.get(name)}
    return Environment(
        system=sys.platform,
        files={path: text for path in FILES if (text := _read_head(path)) is not None},
        marker_paths=frozenset(path for path in MARKER_PATHS if os.path.exists(path)),
        variables=variables,
        servers={
            name: _accepts_connections(path)
            for name, path in sockets(variables, _user_id()).items()
            if os.path.exists(path)
        },
        devices_readable=_may_open_devices(Path("/dev/snd")),
        terminal=_terminal(),
        storage=_storage(),
    )


def _user_id() -> int | None:
    return os.getuid() if hasattr(os, "getuid") else None


def _read_head(path: str) -> str | None:
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return None


def _accepts_connections(path: str) -> bool:
    if not hasattr(socket, "AF_UNIX"):
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(_SOCKET_S)
        try:
            client.connect(path)
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
    existing = next((each for each in (path, *path.parents) if each.exists()), path)
    try:
        free = shutil.disk_usage(existing).free
    except OSError:
        free = 0
    return Storage(str(path), free, os.access(existing, os.W_OK))
