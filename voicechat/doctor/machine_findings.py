"""Findings from a snapshot of the machine; pure functions without I/O."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

from voicechat.doctor.environment import Environment
from voicechat.doctor.findings import Finding, note, ok, problem
from voicechat.doctor.system_packages import Packages, field, packages_of

_LOW_DISK_BYTES = 200 << 20
_FULL_DISK_BYTES = 20 << 20
_MEGABYTE = 1 << 20
_LIBRARIES = ("textual", "sounddevice", "numpy", "websockets", "pywebrtc-audio")


def findings(environment: Environment) -> list[Finding]:
    """Return the findings of the snapshot, in the order of the report."""
    return [found for rule in _RULES for found in rule(environment)]


# ------------------------------------------------------------------- container, SSH and WSL


def container(environment: Environment) -> str:
    """Return the kind of container that voicechat runs in; empty outside a container."""
    marker_paths, variables = environment.marker_paths, environment.variables
    declared = (
        variables.get("container") or environment.files.get("/run/systemd/container", "")
    ).strip()
    if "KUBERNETES_SERVICE_HOST" in variables or "/var/run/secrets/kubernetes.io" in marker_paths:
        return "Kubernetes"
    if "/run/.containerenv" in marker_paths or declared == "podman":
        return "Podman"
    cgroup = environment.files.get("/proc/1/cgroup", "")
    if "/.dockerenv" in marker_paths or "/docker" in cgroup or declared == "docker":
        return "Docker"
    if "kubepods" in cgroup:
        return "Kubernetes"
    if "/lxc" in cgroup and not declared:
        return "LXC"
    return _CONTAINER_NAMES.get(declared, declared)


_CONTAINER_NAMES = {
    "systemd-nspawn": "systemd-nspawn",
    "lxc": "LXC",
    "wsl": "",
    "oci": "a container",
}
_CONTAINER_REMEDY = (
    "Give the container access to the host's sound: {tool} run"
    " -v $XDG_RUNTIME_DIR/pulse/native:/tmp/pulse -e PULSE_SERVER=unix:/tmp/pulse …"
)
_CONTAINER_REMEDIES = {
    "Docker": _CONTAINER_REMEDY.format(tool="docker"),
    "Podman": _CONTAINER_REMEDY.format(tool="podman"),
    "systemd-nspawn": (
        "Give the container access to the host's sound: systemd-nspawn"
        " --bind=/run/user/1000/pulse/native:/tmp/pulse"
        " --setenv=PULSE_SERVER=unix:/tmp/pulse …"
    ),
    "Kubernetes": "A cluster has no microphone; run voicechat on your own machine, or use --text.",
}


def has_server(environment: Environment) -> bool:
    """Return True if a sound server accepts connections, here or on another machine."""
    return any(environment.servers.values()) or is_forwarded(environment)


def is_forwarded(environment: Environment) -> bool:
    """Return True if PULSE_SERVER names another machine."""
    server = environment.variables.get("PULSE_SERVER", "").rpartition("}")[2]
    return bool(server) and not server.startswith(("unix:", "/"))


def wsl(environment: Environment) -> int:
    """Return the version of the Windows Subsystem for Linux, 1 or 2; 0 outside it."""
    version = environment.files.get("/proc/version", "")
    if "microsoft" not in version.lower():
        # Only WSL 2 runs custom kernels, whose version does not name WSL.
        return 2 if "WSL_DISTRO_NAME" in environment.variables else 0
    return 2 if "microsoft-standard" in version.lower() or "WSL2" in version else 1


def _version(environment: Environment) -> Iterator[Finding]:
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
    for name in _LIBRARIES:
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"no {name}"


def _container(environment: Environment) -> Iterator[Finding]:
    kind = container(environment)
    if not kind:
        return
    article = "an" if kind == "LXC" else "a"
    name = kind if kind.startswith("a ") else f"{article} {kind} container"
    if has_server(environment) or environment.servers:
        yield ok("Container", f"This is {name}, and it has access to a sound server.")
        return
    yield note(
        "Container",
        f"This is {name} without a sound server, so it has no microphone.",
        _CONTAINER_REMEDIES.get(
            kind, _CONTAINER_REMEDIES["Docker"].replace("docker run", "start it with")
        ),
    )


def _ssh(environment: Environment) -> Iterator[Finding]:
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


def _wsl(environment: Environment) -> Iterator[Finding]:
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
        yield ok("WSL", "This is WSL 2, and its sound server is running.")
    else:
        yield problem(
            "WSL",
            "This is WSL 2, but its sound server (WSLg) is not running.",
            "In PowerShell: wsl --update, then wsl --shutdown. WSLg needs Windows 11 or a current"
            " Windows 10."
            " Or run voicechat in Windows itself.",
        )


# --------------------------------------------------------------------------------- the sound


def packages(environment: Environment) -> Packages | None:
    """Return the package names of this system, or None if the system is unknown."""
    return packages_of(environment.system, environment.files.get("/etc/os-release", ""))


def _sound_server(environment: Environment) -> Iterator[Finding]:
    if environment.system != "linux":
        return
    running = [name for name, is_running in environment.servers.items() if is_running]
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
        yield from _no_sound_server(environment)


def _no_sound_server(environment: Environment) -> Iterator[Finding]:
    names = packages(environment)
    if has_sound_card(environment):
        yield note(
            "Sound server",
            "Neither PipeWire nor PulseAudio is running, so only one program at a time can use the"
            " sound card (ALSA).",
        )
    elif container(environment) or wsl(environment):
        return
    else:
        install = (
            f"{names.install} {names.server}" if names and names.server else "install PipeWire"
        )
        yield note(
            "Sound server",
            "Neither PipeWire nor PulseAudio is running.",
            f"If this machine has a sound card: {install}, then log in again.",
        )


def restart(environment: Environment) -> str:
    """Return the remedy for a sound server that hangs."""
    if environment.system == "darwin":
        return "Restart the sound service: sudo killall coreaudiod"
    if environment.system != "linux":
        return "Restart the Windows Audio service or the computer."
    if wsl(environment):
        return "In PowerShell: wsl --shutdown, then open the terminal again."
    where = " outside the container" if container(environment) else ""
    return (
        f"Restart the sound server{where}: systemctl --user restart"
        " pipewire pipewire-pulse wireplumber (with PulseAudio: pulseaudio -k)."
    )


def has_sound_card(environment: Environment) -> bool:
    """Return True if the Linux kernel lists a sound card."""
    cards = environment.files.get("/proc/asound/cards", "")
    return bool(cards.strip()) and "no soundcards" not in cards


def _sound_card(environment: Environment) -> Iterator[Finding]:
    if environment.system != "linux" or container(environment) or wsl(environment):
        return
    if not has_sound_card(environment):
        if not has_server(environment):
            yield note(
                "Sound card",
                "The kernel lists no sound card.",
                "Connect a headset; in a virtual machine, enable its sound card.",
            )
        return
    if environment.devices_readable:
        return
    if has_server(environment):
        yield ok("Sound card", "voicechat uses the sound card through the sound server.")
        return
    yield problem(
        "Sound card",
        "You cannot open the sound card, because you are not in the audio group.",
        'Run: sudo usermod -aG audio "$USER", then log in again.',
    )


# ---------------------------------------------------------------------- terminal and storage


def _terminal(environment: Environment) -> Iterator[Finding]:
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
            f"The terminal cannot move its cursor (TERM is {term}), so voicechat uses --plain.",
            "For the full screen, set TERM to your terminal's type, such as xterm-256color.",
        )
    elif "utf" not in terminal.encoding:
        yield note(
            "Terminal",
            f"{facts}. Characters outside this encoding are lost.",
            "Use UTF-8: export LANG=C.UTF-8 (on Windows: chcp 65001).",
        )
    elif terminal.columns < 40 or terminal.rows < 12:
        yield note(
            "Terminal",
            f"{facts}. The window is too small for a conversation.",
            "Make the window larger.",
        )
    else:
        yield ok("Terminal", f"{facts}.")


def _colors(environment: Environment) -> str:
    variables = environment.variables
    if "NO_COLOR" in variables:
        return "no colors (NO_COLOR)"
    if variables.get("COLORTERM", "").lower() in {"truecolor", "24bit"}:
        return "true color"
    return "256 colors" if "256color" in variables.get("TERM", "") else "basic colors"


def _storage(environment: Environment) -> Iterator[Finding]:
    storage = environment.storage
    free = f"{storage.free // _MEGABYTE:,} MB free"
    if not storage.writable:
        yield problem(
            "Data folder",
            f"{storage.path} is not writable.",
            "Change its owner, or set XDG_DATA_HOME to a writable folder.",
        )
    elif storage.free < _FULL_DISK_BYTES:
        yield problem(
            "Data folder", f"The disk is full: {free}.", f"Free space for {storage.path}."
        )
    elif storage.free < _LOW_DISK_BYTES:
        yield note(
            "Data folder", f"The disk is nearly full: {free}.", f"Free space for {storage.path}."
        )
    else:
        yield ok("Data folder", f"{storage.path}, {free}.")


_RULES = (
    _version,
    _terminal,
    _storage,
    _container,
    _ssh,
    _wsl,
    _sound_server,
    _sound_card,
)
