"""From a snapshot of the machine to findings. Nothing here looks at the world."""

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
    """Everything that the snapshot alone tells, in the order it is told."""
    return [found for rule in _RULES for found in rule(environment)]


# --------------------------------------------------------------------------- what it runs in


def container(environment: Environment) -> str:
    """The kind of container this runs in; empty outside of one."""
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
_LETTING_IN = {
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
    """Whether some sound server takes calls, or is said to be elsewhere."""
    return any(environment.servers.values()) or is_forwarded(environment)


def is_forwarded(environment: Environment) -> bool:
    """Whether the sound server is said to be on another machine."""
    server = environment.variables.get("PULSE_SERVER", "").rpartition("}")[2]
    return bool(server) and not server.startswith(("unix:", "/"))


def wsl(environment: Environment) -> int:
    """1 or 2 inside the Windows Subsystem for Linux, else 0."""
    version = environment.files.get("/proc/version", "")
    if "microsoft" not in version.lower():
        # With a kernel of one's own, which only WSL 2 runs, there is but the variable.
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
        yield ok("Container", f"This is {name}, and a sound server is passed into it.")
        return
    yield note(
        "Container",
        f"This is {name} without a sound server; it has no microphone of its own.",
        _LETTING_IN.get(kind, _LETTING_IN["Docker"].replace("docker run", "start it with")),
    )


def _over_ssh(environment: Environment) -> Iterator[Finding]:
    if not {"SSH_CONNECTION", "SSH_TTY", "SSH_CLIENT"} & environment.variables.keys():
        return
    if is_forwarded(environment):
        yield ok("SSH", "This is an SSH session, and PULSE_SERVER leads the sound elsewhere.")
        return
    yield note(
        "SSH",
        "This is an SSH session: microphone and speaker are those of the remote machine.",
        "Run voicechat on the machine you sit at, use --text, or forward its sound server:"
        " ssh -R 24713:localhost:4713 HOST, then PULSE_SERVER=tcp:localhost:24713 over there.",
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
            "This is WSL 2, but its sound server (WSLg) does not run.",
            "In PowerShell: wsl --update, then wsl --shutdown; it needs Windows 11 or a current 10."
            " Running voicechat in Windows itself works, too.",
        )


# --------------------------------------------------------------------------------- the sound


def packages(environment: Environment) -> Packages | None:
    """How this system installs what is missing; None when it is not known."""
    return packages_of(environment.system, environment.files.get("/etc/os-release", ""))


def _sound_server(environment: Environment) -> Iterator[Finding]:
    if environment.system != "linux":
        return
    running = [name for name, takes_calls in environment.servers.items() if takes_calls]
    if running:
        if "PipeWire" in running and "PulseAudio" in running:
            running = ["PipeWire (with PulseAudio's interface)"]
        yield ok("Sound server", f"There is {' and '.join(running)}.")
    elif environment.servers:
        yield problem(
            "Sound server",
            f"The socket of {' and '.join(environment.servers)} is there, but nobody answers.",
            restart(environment),
        )
    elif is_forwarded(environment):
        yield ok("Sound server", "PULSE_SERVER names one on another machine.")
    else:
        yield from _without_server(environment)


def _without_server(environment: Environment) -> Iterator[Finding]:
    how = packages(environment)
    if has_card(environment):
        yield note(
            "Sound server",
            "Neither PipeWire nor PulseAudio runs; the card is used through ALSA, by one program"
            " at a time.",
        )
    elif container(environment) or wsl(environment):
        return
    else:
        install = f"{how.install} {how.server}" if how and how.server else "install PipeWire"
        yield note(
            "Sound server",
            "Neither PipeWire nor PulseAudio runs.",
            f"If this machine has sound at all: {install}, then log in again.",
        )


def restart(environment: Environment) -> str:
    """How to bring a sound server back that hangs."""
    if environment.system == "darwin":
        return "Restart the sound service: sudo killall coreaudiod"
    if environment.system != "linux":
        return "Restart the service Windows Audio, or the computer."
    if wsl(environment):
        return "In PowerShell: wsl --shutdown, then open the terminal again."
    where = " outside of the container" if container(environment) else ""
    return (
        f"Restart it{where}: systemctl --user restart pipewire pipewire-pulse wireplumber"
        " (with PulseAudio: pulseaudio -k)."
    )


def has_card(environment: Environment) -> bool:
    """Whether the Linux kernel knows a sound card."""
    cards = environment.files.get("/proc/asound/cards", "")
    return bool(cards.strip()) and "no soundcards" not in cards


def _card(environment: Environment) -> Iterator[Finding]:
    if environment.system != "linux" or container(environment) or wsl(environment):
        return
    if not has_card(environment):
        if not has_server(environment):
            yield note(
                "Sound card",
                "The kernel knows no sound card.",
                "Plug in a headset; in a virtual machine switch its sound card on.",
            )
        return
    if environment.devices_readable:
        return
    if has_server(environment):
        yield ok("Sound card", "There is one, reached through the sound server.")
        return
    yield problem(
        "Sound card",
        "There is one, but you may not use it: you are not in the group audio.",
        'Type: sudo usermod -aG audio "$USER", then log in again.',
    )


# ------------------------------------------------------------------------------ all the rest


def _screen(environment: Environment) -> Iterator[Finding]:
    terminal, variables = environment.terminal, environment.variables
    if not terminal.is_terminal:
        yield ok("Terminal", "The output goes to a file or a pipe; nothing to say about a screen.")
        return
    term = variables.get("TERM", "none" if environment.system != "win32" else "Windows")
    colours = _colours(environment)
    facts = (
        f"{variables.get('TERM_PROGRAM', term)}, {terminal.columns}x{terminal.rows},"
        f" {colours}, {terminal.encoding.upper()}"
    )
    if term in {"dumb", "unknown", "none"}:
        yield note(
            "Terminal",
            f"It cannot move its cursor (TERM is {term}), so the line mode is used.",
            "Set TERM to what it is, e.g. xterm-256color, for the full screen.",
        )
    elif "utf" not in terminal.encoding:
        yield note(
            "Terminal",
            f"{facts}: letters beyond that encoding are lost.",
            "Choose UTF-8: export LANG=C.UTF-8 (in Windows: chcp 65001).",
        )
    elif terminal.columns < 40 or terminal.rows < 12:
        yield note("Terminal", f"{facts}: small for a conversation.", "Make the window larger.")
    else:
        yield ok("Terminal", f"{facts}.")


def _colours(environment: Environment) -> str:
    variables = environment.variables
    if "NO_COLOR" in variables:
        return "no colours (NO_COLOR)"
    if variables.get("COLORTERM", "").lower() in {"truecolor", "24bit"}:
        return "true colour"
    return "256 colours" if "256color" in variables.get("TERM", "") else "basic colours"


def _disk(environment: Environment) -> Iterator[Finding]:
    storage = environment.storage
    free = f"{storage.free // _MEGABYTE:,} MB free"
    if not storage.writable:
        yield problem(
            "History",
            f"{storage.path} cannot be written.",
            "Give yourself that folder, or set XDG_DATA_HOME to one that is yours.",
        )
    elif storage.free < _FULL:
        yield problem("History", f"The disk is full: {free}.", f"Make room for {storage.path}.")
    elif storage.free < _TIGHT:
        yield note("History", f"The disk is nearly full: {free}.", f"Make room for {storage.path}.")
    else:
        yield ok("History", f"{storage.path}, {free}.")


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
