"""The program that sets the clipboard of the desktop."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from voicechat.system import desktop_clipboard
from voicechat.system.desktop_clipboard import commands

SECRET = "sk-planted"


@pytest.mark.parametrize(
    ("environ", "platform", "programs"),
    [
        ({}, "darwin", ["pbcopy"]),
        ({}, "win32", ["clip"]),
        ({}, "linux", []),
        ({"WAYLAND_DISPLAY": "wayland-0", "DISPLAY": ":0"}, "linux", ["wl-copy", "xclip", "xsel"]),
        ({"DISPLAY": ":0"}, "linux", ["xclip", "xsel"]),
        ({"WSL_DISTRO_NAME": "Debian"}, "linux", ["clip.exe"]),
        ({"TMUX": "/tmp/tmux"}, "linux", ["tmux", "tmux"]),
        ({"DISPLAY": "", "TMUX": ""}, "linux", []),
    ],
)
def test_the_programs_of_a_desktop(
    environ: dict[str, str], platform: str, programs: list[str]
) -> None:
    assert [command[0] for command in commands(environ, platform)] == programs


def program(folder: Path, name: str, lines: str) -> None:
    """Write a program into the folder."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs on a desktop with Wayland and X11."""
    if sys.platform != "linux":
        pytest.skip("has its own program")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    return tmp_path


async def test_the_next_program_is_used_if_one_fails(desktop: Path) -> None:
    program(desktop, "wl-copy", "exit 1")
    program(desktop, "xclip", f'cat > "{desktop}/copied"; env > "{desktop}/environment"')
    assert await desktop_clipboard.copy("schöne 漢字\n") == "xclip"
    assert (desktop / "copied").read_text(encoding="utf-8") == "schöne 漢字\n"
    assert SECRET not in (desktop / "environment").read_text(encoding="utf-8")


async def test_a_program_that_stays_to_serve_the_clipboard_is_not_waited_for(
    desktop: Path,
) -> None:
    program(desktop, "wl-copy", f'cat > "{desktop}/copied"; (read -r _ < "{desktop}/end") & exit 0')
    os.mkfifo(desktop / "end")
    assert await desktop_clipboard.copy("text") == "wl-copy"
    (desktop / "end").write_text("\n", encoding="utf-8")


async def test_a_program_that_hangs_is_ended(
    desktop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop_clipboard, "COPY_TIMEOUT_S", 0.1)
    program(desktop, "wl-copy", f'exec cat "{desktop}/never"')
    os.mkfifo(desktop / "never")
    monkeypatch.delenv("DISPLAY")
    assert await desktop_clipboard.copy("text") == ""


async def test_without_a_program_nothing_is_copied(
    desktop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(desktop))
    assert await desktop_clipboard.copy("text") == ""
