"""Completion in a shell: the values of all arguments, and the script of bash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_servers import OLLAMA, chat_server

from voicechat.audio.devices import device_probe
from voicechat.audio.devices.device_list import Device
from voicechat.cli import _completion_candidates
from voicechat.cli._completion_candidates import SCRIPTS, candidates
from voicechat.cli.app import _command, commands
from voicechat.cli.app import main as run_main
from voicechat.session import server_discovery


def values(*words: str) -> list[str]:
    """The candidates for the last word."""
    return [value for value, _ in candidates(_command(), words)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["log"], ["login", "logout"]),
        (["--mod"], ["--model"]),
        (["--model", "xai/grok-voice-l"], ["xai/grok-voice-latest"]),
        (["transcribe", "--model", "openai/gpt-live-t"], ["openai/gpt-live-transcribe"]),
        (["translate", "--model", "openai"], ["openai/gpt-realtime-translate"]),
        (["--model", "openai/gpt-realtime-2.1", "--voice", "ma"], ["marin"]),
        (["--model", "local", "--voice", "marin"], []),
        (["--barge-in", "n"], ["normal"]),
        (["--barge-in=n"], ["--barge-in=normal"]),
        (["--wire", "v"], ["voice-live"]),
        (["--theme", "au"], ["auto"]),
        (["--profile", "w"], ["work"]),
        (["login", "op"], ["openai"]),
        (["login", "local"], []),
        (["models", "pull", "kokoro"], ["kokoro-82m"]),
        (["wire", "dec"], ["decode"]),
        (["mcp", "test", "f"], ["files"]),
        (["completion", "f"], ["fish"]),
        (["no-such-command", "x"], []),
        (["--model"], ["--model"]),
    ],
    ids=" ".join,
)
def test_an_argument_is_completed(
    words: list[str], found: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "voicechat").mkdir()
    text = '[profiles.work]\nvoice = "x"\n[mcpServers.files]\ncommand = "x"\n'
    (tmp_path / "voicechat" / "config.toml").write_text(text, encoding="utf-8")
    assert values(*words) == found


def test_wrong_settings_complete_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "voicechat").mkdir()
    (tmp_path / "voicechat" / "config.toml").write_text("= wrong", encoding="utf-8")
    assert values("--model", "o") == []


def test_devices_are_completed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        Device(0, "Desk mic", "ALSA", 1, 0, 48_000, True, False),
        Device(1, "Loud speaker", "ALSA", 0, 2, 48_000, False, True),
    )
    result = device_probe.ProbeResult(devices=listed)
    monkeypatch.setattr(device_probe, "probe", lambda request, deadline: result)
    assert values("--input-device", "") == ["default", "Desk mic"]
    assert values("--output-device", "") == ["default", "Loud speaker"]


def test_models_of_a_chat_server_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    with chat_server(OLLAMA) as server:
        monkeypatch.setattr(server_discovery, "PORTS", (server.port,))
        assert values("--chat-model", "big") == ["big:70b"]
        assert values("--chat-url", "") == [f"http://127.0.0.1:{server.port}/v1"]


_FREE = {"stt_model", "tts_model", "tts_voice", "call_id"}
"""Names that only another server knows."""


def parameters() -> Iterator[tuple[str, Any]]:
    """All parameters of all commands."""
    root = _command()
    yield from (("voicechat", each) for each in root.params)
    for entry in commands():
        command = root.get_command(None, entry.name)  # type: ignore[attr-defined]
        for each in (command, *getattr(command, "commands", {}).values()):
            yield from ((entry.name, parameter) for parameter in each.params)


def test_every_name_that_voicechat_knows_is_completed() -> None:
    kinds = {"PROVIDER/MODEL", "PROVIDER", "ID", "NAME", "SHELL"}
    missing = [
        f"{command} {each.name}"
        for command, each in parameters()
        if each.metavar in kinds
        and each._custom_shell_complete is None
        and not each.type_descriptor.is_choice
        and each.name not in _FREE
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("words", "joined", "kept"),
    [
        (["--model", "x"], ["--model", "x"], ""),
        (["--model", "=", "x"], ["--model=x"], "--model="),
        (["--model", "="], ["--model="], "--model="),
        (["--chat-model", "llama", ":", "3"], ["--chat-model", "llama:3"], "llama:"),
        (["a", ":", "b", ":", "c"], ["a:b:c"], "a:b:"),
        ([""], [""], ""),
    ],
)
def test_words_that_bash_breaks_are_joined(words: list[str], joined: list[str], kept: str) -> None:
    assert _completion_candidates._joined(words) == (joined, kept)


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_main(["completion", shell]) == 0
    assert f"_VOICECHAT_COMPLETE={shell}" in capsys.readouterr().out


def test_other_shells_get_help_and_escapes() -> None:
    line = _completion_candidates._line
    assert line("fish", "a:b", "two\n words") == "a:b\ttwo words"
    assert line("zsh", "a:b\\", "help") == "a\\:b\\\\:help"
    assert line("fish", "a", "b\x1b]0;c\x07") == "a\tb\ufffd]0;c\ufffd"
    assert line("bash", "a:b", "help") == "a:b"


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is absent")
def test_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "voicechat"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m voicechat "$@"\n', "utf-8")
    program.chmod(0o700)
    code = f"""{SCRIPTS["bash"]}
COMP_WORDS=(voicechat --model = xai/grok-voice-l); COMP_CWORD=3; _voicechat_complete voicechat
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", code], env=os.environ | {"PATH": path},
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == "xai/grok-voice-latest\n"
    assert done.stderr == ""
