"""Findings for different machines."""

from __future__ import annotations

from dataclasses import replace

import pytest

from voicechat.audio.devices.pulse import sockets
from voicechat.doctor import machine_findings
from voicechat.doctor.environment import Environment, Storage, Terminal, snapshot
from voicechat.doctor.findings import FindingLevel
from voicechat.doctor.system_packages import packages_of

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n'
WSL2 = "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@built) #1 SMP"
WSL1 = "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com) #1237"
CARDS = " 0 [PCH            ]: HDA-Intel - HDA Intel PCH\n"
NO_CARDS = "--- no soundcards ---\n"

PIPEWIRE = {"PulseAudio": True, "PipeWire": True}
DESKTOP = Environment(
    files={"/etc/os-release": DEBIAN, "/proc/asound/cards": CARDS},
    variables={"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    servers=PIPEWIRE,
)
NO_SERVER = replace(DESKTOP, servers={})
NO_SOUND = replace(NO_SERVER, files={"/etc/os-release": DEBIAN, "/proc/asound/cards": NO_CARDS})


def with_files(environment: Environment, **files: str) -> Environment:
    return replace(environment, files={**environment.files, **files})


def with_variables(environment: Environment, **variables: str) -> Environment:
    return replace(environment, variables={**environment.variables, **variables})


def in_wsl(version: str, **servers: bool) -> Environment:
    return Environment(
        files={"/proc/version": version}, servers=servers, variables={"TERM": "xterm-256color"}
    )


CASES = {
    "pipewire": (DESKTOP, "Sound server", "ok", "PipeWire (with PulseAudio's interface)", ""),
    "pulseaudio alone": (
        replace(DESKTOP, servers={"PulseAudio": True}), "Sound server", "ok", "PulseAudio", "",
    ),
    "a dead socket": (
        replace(DESKTOP, servers={"PulseAudio": False}),
        "Sound server", "problem", "no server answers", "systemctl --user restart",
    ),
    "alsa only": (NO_SERVER, "Sound server", "note", "only one program at a time", ""),
    "no server, no card": (
        NO_SOUND, "Sound server", "note", "Neither", "sudo apt install pipewire-pulse",
    ),
    "no card": (NO_SOUND, "Sound card", "note", "no sound card", "headset"),
    "not in the group": (
        replace(NO_SERVER, devices_readable=False),
        "Sound card", "problem", "audio group", 'usermod -aG audio "$USER"',
    ),
    "not in the group, but with a server": (
        replace(DESKTOP, devices_readable=False), "Sound card", "ok", "through the sound server",
        "",
    ),
    "a server on another machine": (
        with_variables(NO_SOUND, PULSE_SERVER="tcp:10.0.0.2:4713"),
        "Sound server", "ok", "another machine", "",
    ),
    "docker": (
        replace(NO_SOUND, marker_paths=frozenset({"/.dockerenv"})),
        "Container", "note", "a Docker container", "docker run -v",
    ),
    "docker by cgroup": (
        with_files(NO_SOUND, **{"/proc/1/cgroup": "0::/docker/abc"}),
        "Container", "note", "a Docker container", "docker run",
    ),
    "docker with sound": (
        replace(DESKTOP, marker_paths=frozenset({"/.dockerenv"})),
        "Container", "ok", "has access to a sound server", "",
    ),
    "docker with a dead server": (
        replace(NO_SOUND, marker_paths=frozenset({"/.dockerenv"}), servers={"PulseAudio": False}),
        "Container", "ok", "has access to a sound server", "",
    ),
    "restart of a dead server from docker": (
        replace(NO_SOUND, marker_paths=frozenset({"/.dockerenv"}), servers={"PulseAudio": False}),
        "Sound server", "problem", "no server answers", "outside the container: systemctl --user",
    ),
    "podman": (
        replace(NO_SOUND, marker_paths=frozenset({"/run/.containerenv"})),
        "Container", "note", "a Podman container", "podman run -v",
    ),
    "kubernetes": (
        with_variables(NO_SOUND, KUBERNETES_SERVICE_HOST="10.0.0.1"),
        "Container", "note", "Kubernetes", "--text",
    ),
    "systemd-nspawn": (
        with_files(NO_SOUND, **{"/run/systemd/container": "systemd-nspawn\n"}),
        "Container", "note", "systemd-nspawn", "--bind=",
    ),
    "lxc": (
        with_variables(NO_SOUND, container="lxc"), "Container", "note", "an LXC container",
        "-v",
    ),
    "ssh": (
        with_variables(DESKTOP, SSH_CONNECTION="10.0.0.9 1 10.0.0.1 22"),
        "SSH", "note", "remote machine", "ssh -R",
    ),
    "ssh with forwarded sound": (
        with_variables(DESKTOP, SSH_TTY="/dev/pts/1", PULSE_SERVER="tcp:localhost:24713"),
        "SSH", "ok", "to another machine", "",
    ),
    "wsl 2 with its server": (in_wsl(WSL2, WSLg=True), "WSL", "ok", "WSL 2", ""),
    "wsl 2 without its server": (in_wsl(WSL2), "WSL", "problem", "WSLg", "wsl --update"),
    "wsl 2, server dead": (in_wsl(WSL2, WSLg=False), "WSL", "problem", "WSLg", "wsl --shutdown"),
    "wsl 2 with a custom kernel": (
        with_variables(in_wsl("Linux version 6.6.0-mine", WSLg=False), WSL_DISTRO_NAME="Debian"),
        "WSL", "problem", "WSLg", "wsl --shutdown",
    ),
    "wsl 1": (in_wsl(WSL1), "WSL", "problem", "no sound", "wsl --set-version"),
    "a dumb terminal": (
        with_variables(DESKTOP, TERM="dumb"), "Terminal", "note", "TERM is dumb", "set TERM",
    ),
    "a latin terminal": (
        replace(DESKTOP, terminal=Terminal(encoding="iso8859-1")),
        "Terminal", "note", "ISO8859-1", "UTF-8",
    ),
    "a tiny terminal": (
        replace(DESKTOP, terminal=Terminal(columns=30)), "Terminal", "note", "30x24", "larger",
    ),
    "a fine terminal": (DESKTOP, "Terminal", "ok", "80x24, true color, UTF-8", ""),
    "a pipe": (
        replace(DESKTOP, terminal=Terminal(is_terminal=False)), "Terminal", "ok", "pipe", "",
    ),
    "no colors": (with_variables(DESKTOP, NO_COLOR="1"), "Terminal", "ok", "NO_COLOR", ""),
    "room enough": (DESKTOP, "Data folder", "ok", "MB free", ""),
    "a full disk": (
        replace(DESKTOP, storage=Storage("/x", 1 << 20)), "Data folder", "problem", "1 MB", "Free",
    ),
    "a tight disk": (
        replace(DESKTOP, storage=Storage("/x", 99 << 20)), "Data folder", "note", "99 MB", "Free",
    ),
    "a locked folder": (
        replace(DESKTOP, storage=Storage("/x", writable=False)),
        "Data folder", "problem", "is not writable", "XDG_DATA_HOME",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "title", "level", "sentence", "remedy"), CASES.values(), ids=CASES
)
def test_findings_of_a_machine(
    environment: Environment, title: str, level: str, sentence: str, remedy: str
) -> None:
    found = [each for each in machine_findings.findings(environment) if each.title == title]
    assert [each.level.value for each in found] == [level]
    assert sentence in found[0].sentence
    assert remedy in found[0].remedy
    assert bool(remedy) == bool(found[0].remedy)


@pytest.mark.parametrize("title", ["Container", "SSH", "WSL", "Sound card"])
def test_a_desktop_has_no_finding_about_containers(title: str) -> None:
    found = machine_findings.findings(DESKTOP)
    assert title not in {each.title for each in found}
    assert {each.level for each in found} == {FindingLevel.OK}


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_systems_have_no_findings_about_linux_sound(system: str) -> None:
    found = machine_findings.findings(Environment(system=system, variables={"TERM": "xterm"}))
    assert {each.title for each in found} == {"Version", "Terminal", "Data folder"}


@pytest.mark.parametrize(
    ("system", "release", "command"),
    [
        ("linux", "ID=ubuntu\nID_LIKE=debian\n", "sudo apt install libportaudio2"),
        ("linux", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n', "sudo apt install libportaudio2"),
        ("linux", "ID=fedora\n", "sudo dnf install portaudio"),
        ("linux", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install portaudio"),
        ("linux", "ID=manjaro\nID_LIKE=arch\n", "sudo pacman -S portaudio"),
        ("linux", "ID=alpine\n", "sudo apk add portaudio"),
        ("linux", 'ID="opensuse-leap"\n', "sudo zypper install libportaudio2"),
        ("darwin", "", "brew install portaudio"),
    ],
)
def test_install_command_of_a_system(system: str, release: str, command: str) -> None:
    names = packages_of(system, release)
    assert names is not None
    assert f"{names.install} {names.portaudio}" == command


def test_an_unknown_system_has_no_packages() -> None:
    assert packages_of("linux", "ID=nixos\n") is None
    assert packages_of("linux", "") is None


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("", "/run/user/7/pulse/native"),
        ("unix:/tmp/pulse", "/tmp/pulse"),
        ("/tmp/pulse", "/tmp/pulse"),
        ("{abc}unix:/tmp/pulse", "/tmp/pulse"),
        ("tcp:host:4713", "/run/user/7/pulse/native"),
    ],
)
def test_socket_path_of_the_sound_server(server: str, path: str) -> None:
    assert sockets({"PULSE_SERVER": server}, 7)["PulseAudio"] == path


def test_a_snapshot_contains_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-to-be-seen")
    assert "sk-not-to-be-seen" not in repr(snapshot())
