"""Findings from a snapshot of the machine, without any I/O."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from voicechat.doctor.environment import Environment
from voicechat.doctor.findings import Finding, note, ok, problem
from voicechat.doctor.system_packages import Packages, field, packages_of

_TIGHT = 200 << 20
_FULL = 20 << 20
_MEGABYTE = 1 << 20
_PARTS = ("textual", "sounddevice", "numpy", "websockets", "pywebrtc-audio")


def findings(environment: Environment) -> list[Finding]:
    """The findings of the snapshot, in the order of the report."""
    return [found for rule in _RULES for found in rule(environment)]


# ------------------------------------------------------------------- container, SSH and WSL


def container(environment: Environment) -> str:
    """The kind of container around voicechat; empty without one."""
    places, variables = environment.places, environment.variables
    named = (
        variables.get("container") or environment.files.get("/run/systemd/container", "")
    ).strip()
    if "KUBERNETES_SERVICE_HOST" in variables or "/var/run/secrets/kubernetes.io" in places:
        return "Kubernetes"
    if "/run/.containerenv" in places or named == "podman":
        return "Podman"
    cgroup = environment.files.get("/proc/1/cgroup", "")
    if "/.dockerenv" in places or "/docker" in cgroup or named == "docker":
        return "Docker"
    if "kubepods" in cgroup:
        return "Kubernetes"
    if "/lxc" in cgroup and not named:
        return "LXC"
    return _KNOWN.get(named, named)


_KNOWN = {"systemd-nspawn": "systemd-nspawn", "lxc": "LXC", "wsl": "", "oci": "a container"}
_RUN = (
    "Give the container the host's sound: {tool} run -v $XDG_RUNTIME_DIR/pulse/native:/tmp/pulse"
    " -e PULSE_SERVER=unix:/tmp/pulse …"
)
_PASSING_SOUND = {
    "Docker": _RUN.format(tool="docker"),
    "Podman": _RUN.format(tool="podman"),
    "systemd-nspawn": (
        "Give the container the host's sound: systemd-nspawn"
        " --bind=/run/user/1000/pulse/native:/tmp/pulse"
        " --setenv=PULSE_SERVER=unix:/tmp/pulse …"
    ),
    "Kubernetes": "A cluster has no microphone; run voicechat on your own machine, or use --text.",
}


def has_server(environment: Environment) -> bool:
    """True if a sound server accepts connections, here or on another machine."""
    return any(environment.servers.values()) or is_forwarded(environment)


def is_forwarded(environment: Environment) -> bool:
    """True if PULSE_SERVER names another machine."""
    server = environment.variables.get("PULSE_SERVER", "").rpartition("}")[2]
    return bool(server) and not server.startswith(("unix:", "/"))


def wsl(environment: Environment) -> int:
    """1 or 2 inside the Windows Subsystem for Linux, else 0."""
    version = environment.files.get("/proc/version", "")
    if "microsoft" not in version.lower():
        # Only WSL 2 runs custom kernels, whose version does not name WSL.
        return 2 if "WSL_DISTRO_NAME" in environment.variables else 0
    return 2 if "microsoft-standard" in version.lower() or "WSL2" in version else 1


def _versions(environment: Environment) -> Iterator[Finding]:
    import platform

    from voicechat import __version__

    release = environment.files.get("/etc/os-release", "")
    name = field(release, "PRETTY_NAME") if environment.system == "linux" else ""
    system = name or f"{platform.system()} {platform.release()}"
    yield ok(
        "Version",
        f"voicechat {__version__}, Python {platform.python_version()}, {system}"
        f" on {platform.machine()}; {', '.join(_installed())}.",
    )


def _installed() -> Iterator[str]:
    for name in _PARTS:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"no {name}"


def _in_container(environment: Environment) -> Iterator[Finding]:
    kind = container(environment)
    if not kind:
        return
    name = kind if kind.startswith("a ") else f"a {kind} container"
    if has_server(environment) or environment.servers:
        yield ok("Container", f"This is {name}, and it has access to a sound server.")
        return
    yield note(
        "Container",
        f"This is {name} without a sound server, so it has no microphone.",
        _PASSING_SOUND.get(kind, _PASSING_SOUND["Docker"].replace("docker run", "start it with")),
    )


def _over_ssh(environment: Environment) -> Iterator[Finding]:
    if not {"SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"} & environment.variables.keys():
        return
    if is_forwarded(environment):
        yield ok(
            "SSH", "This is an SSH session, and PULSE_SERVER sends the sound to another machine."
        )
        return
    yield note(
        "SSH",
        "This is an SSH session: the microphone and the speaker are those of the remote machine.",
        "Run voicechat on your own machine, use --text, or forward your sound server:"
        " ssh -R 24713:localhost:4713 HOST, then PULSE_SERVER=tcp:localhost:24713 on HOST.",
    )


def _under_windows(environment: Environment) -> Iterator[Finding]:
    version = wsl(environment)
    if not version:
        return
    if version == 1:
        yield problem(
            "WSL",
            "This is WSL 1, which has no sound.",
            "In PowerShell: wsl --set-version DISTRIBUTION 2, or run voicechat in Windows itself.",
        )
    elif environment.servers.get("WSLg") or has_server(environment):
        yield ok("WSL", "This is WSL 2 with its sound server.")
    else:
        yield problem(
            "WSL",
            "This is WSL 2, but its sound server (WSLg) is not running.",
            "In PowerShell: wsl --update, then wsl --shutdown; it needs Windows 11 or a current 10."
            " Or run voicechat in Windows itself.",
        )


# --------------------------------------------------------------------------------- the sound


def packages(environment: Environment) -> Packages | None:
    """The package commands of this system; None when it is unknown."""
    return packages_of(environment.system, environment.files.get("/etc/os-release", ""))


def _sound_server(environment: Environment) -> Iterator[Finding]:
    if environment.system != "linux":
        return
    running = [name for name, takes_calls in environment.servers.items() if takes_calls]
    if running:
        if "PipeWire" in running and "PulseAudio" in running:
            running = ["PipeWire (with PulseAudio's interface)"]
        yield ok("Sound server", f"{' and '.join(running)} is running.")
    elif environment.servers:
        yield problem(
            "Sound server",
            f"The socket of {' and '.join(environment.servers)} exists, but no server answers.",
            restart(environment),
        )
    elif is_forwarded(environment):
        yield ok("Sound server", "PULSE_SERVER names a server on another machine.")
    else:
        yield from _without_server(environment)


def _without_server(environment: Environment) -> Iterator[Finding]:
    how = packages(environment)
    if has_card(environment):
        yield note(
            "Sound server",
            "Neither PipeWire nor PulseAudio is running; ALSA serves one program at a time.",
        )
    elif container(environment) or wsl(environment):
        return
    else:
        install = f"{how.install} {how.server}" if how and how.server else "install PipeWire"
        yield note(
            "Sound server",
            "Neither PipeWire nor PulseAudio is running.",
            f"If this machine has a sound card: {install}, then log in again.",
        )


def restart(environment: Environment) -> str:
    """The remedy for a sound server that hangs."""
    if environment.system == "darwin":
        return "Restart the sound service: sudo killall coreaudiod"
    if environment.system != "linux":
        return "Restart the Windows Audio service, or the computer."
    if wsl(environment):
        return "In PowerShell: wsl --shutdown, then open the terminal again."
    where = " outside the container" if container(environment) else ""
    return (
        f"Restart it{where}: systemctl --user restart pipewire pipewire-pulse wireplumber"
        " (with PulseAudio: pulseaudio -k)."
    )


def has_card(environment: Environment) -> bool:
    """True if the Linux kernel lists a sound card."""
    cards = environment.files.get("/proc/asound/cards", "")
    return bool(cards.strip()) and "no soundcards" not in cards


def _card(environment: Environment) -> Iterator[Finding]:
    if environment.system != "linux" or container(environment) or wsl(environment):
        return
    if not has_card(environment):
        if not has_server(environment):
            yield note(
                "Sound card",
                "The kernel lists no sound card.",
                "Plug in a headset; in a virtual machine, enable its sound card.",
            )
        return
    if environment.devices_readable:
        return
    if has_server(environment):
        yield ok("Sound card", "voicechat reaches it through the sound server.")
        return
    yield problem(
        "Sound card",
        "You cannot open it, because you are not in the group audio.",
        'Type: sudo usermod -aG audio "$USER", then log in again.',
    )


# ---------------------------------------------------------------------- terminal and storage


def _screen(environment: Environment) -> Iterator[Finding]:
    terminal, variables = environment.terminal, environment.variables
    if not terminal.is_terminal:
        yield ok("Terminal", "The output goes to a file or a pipe.")
        return
    term = variables.get("TERM", "none" if environment.system != "win32" else "Windows")
    colors = _colors(environment)
    facts = (
        f"{variables.get('TERM_PROGRAM', term)}, {terminal.columns}x{terminal.rows},"
        f" {colors}, {terminal.encoding.upper()}"
    )
    if term in {"dumb", "unknown", "none"}:
        yield note(
            "Terminal",
            f"It cannot move its cursor (TERM is {term}), so voicechat uses --plain.",
            "For the full screen, set TERM to its type, such as xterm-256color.",
        )
    elif "utf" not in terminal.encoding:
        yield note(
            "Terminal",
            f"{facts}: characters outside this encoding are lost.",
            "Use UTF-8: export LANG=C.UTF-8 (on Windows: chcp 65001).",
        )
    elif terminal.columns < 40 or terminal.rows < 12:
        yield note("Terminal", f"{facts}: too small for a conversation.", "Make the window larger.")
    else:
        yield ok("Terminal", f"{facts}.")


def _colors(environment: Environment) -> str:
    variables = environment.variables
    if "NO_COLOR" in variables:
        return "no colors (NO_COLOR)"
    if variables.get("COLORTERM", "").lower() in {"truecolor", "24bit"}:
        return "true color"
    return "256 colors" if "256color" in variables.get("TERM", "") else "basic colors"


def _disk(environment: Environment) -> Iterator[Finding]:
    storage = environment.storage
    free = f"{storage.free // _MEGABYTE:,} MB free"
    if not storage.writable:
        yield problem(
            "Data folder",
            f"{storage.path} cannot be written.",
            "Change its owner, or set XDG_DATA_HOME to a folder that you can write.",
        )
    elif storage.free < _FULL:
        yield problem(
            "Data folder", f"The disk is full: {free}.", f"Free space for {storage.path}."
        )
    elif storage.free < _TIGHT:
        yield note(
            "Data folder", f"The disk is nearly full: {free}.", f"Free space for {storage.path}."
        )
    else:
        yield ok("Data folder", f"{storage.path}, {free}.")


_RULES = (
    _versions,
    _screen,
    _disk,
    _in_container,
    _over_ssh,
    _under_windows,
    _sound_server,
    _card,
)
