"""Install commands and package names, for each known system."""

from __future__ import annotations

import re
from typing import NamedTuple


class Packages(NamedTuple):
    """The install command of a family of systems, and its package names."""

    install: str
    portaudio: str
    bridge: str
    """Package that connects ALSA programs such as PortAudio to PulseAudio or PipeWire."""
    server: str


_APT = Packages("sudo apt install", "libportaudio2", "libasound2-plugins", "pipewire-pulse")
_DNF = Packages("sudo dnf install", "portaudio", "alsa-plugins-pulseaudio", "pipewire-pulseaudio")
_PACMAN = Packages("sudo pacman -S", "portaudio", "pipewire-alsa", "pipewire-pulse")
_APK = Packages("sudo apk add", "portaudio", "alsa-plugins-pulse", "pipewire-pulse")
_ZYPPER = Packages("sudo zypper install", "libportaudio2", "alsa-plugins-pulse", "pipewire-pulse")
_BREW = Packages("brew install", "portaudio", "", "")

_FAMILIES = {
    "debian": _APT, "ubuntu": _APT,
    "fedora": _DNF, "rhel": _DNF, "centos": _DNF,
    "arch": _PACMAN,
    "alpine": _APK,
    "suse": _ZYPPER, "opensuse": _ZYPPER, "opensuse-tumbleweed": _ZYPPER, "opensuse-leap": _ZYPPER,
}  # fmt: skip


def packages_of(system: str, os_release: str) -> Packages | None:
    """Return the package names of a system, or None if it is unknown.

    `system` is a `sys.platform`, `os_release` the text of /etc/os-release.
    """
    if system == "darwin":
        return _BREW
    system_ids = f"{field(os_release, 'ID')} {field(os_release, 'ID_LIKE')}".split()
    return next((_FAMILIES[system_id] for system_id in system_ids if system_id in _FAMILIES), None)


def field(os_release: str, name: str) -> str:
    """Return a field of /etc/os-release without its quotes; empty if absent."""
    match = re.search(rf"^{name}=[\"']?([^\"'\n]*)", os_release, re.MULTILINE)
    return match[1].strip() if match else ""
