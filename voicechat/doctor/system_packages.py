"""The commands that install missing packages, for each known system."""

from __future__ import annotations

import re
from typing import NamedTuple


class Packages(NamedTuple):
    """The package manager of a family of systems, and its names for the packages."""

    install: str
    portaudio: str
    bridge: str
    """Lets ALSA programs such as PortAudio reach PulseAudio or PipeWire."""
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
    """The packages of a system, from /etc/os-release; None when it is unknown."""
    if system == "darwin":
        return _BREW
    words = f"{field(os_release, 'ID')} {field(os_release, 'ID_LIKE')}".split()
    return next((_FAMILIES[word] for word in words if word in _FAMILIES), None)


def field(os_release: str, name: str) -> str:
    """A field of /etc/os-release without its quotes; empty when absent."""
    match = re.search(rf"^{name}=[\"']?([^\"'\n]*)", os_release, re.MULTILINE)
    return match[1].strip() if match else ""
