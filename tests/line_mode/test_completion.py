"""Completion of slash commands, and of their arguments."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from scripted_session import ScriptedSession

from voicechat.core.items import ToolState
from voicechat.line_mode.completion import MAX_COMPLETIONS, completions
from voicechat.session.session import Session


def lines(line: str, session: ScriptedSession | None = None) -> list[str]:
    return [each.line for each in completions(cast(Session, session or ScriptedSession()), line)]


def test_a_slash_offers_the_commands_that_make_sense() -> None:
    offered = lines("/")
    assert {"/mute", "/voice ", "/model ", "/help", "/quit"} <= set(offered)
    assert not {"/unmute", "/allow ", "/forget"} & set(offered)
    typed = lines("/", ScriptedSession(with_sound=False))
    assert not {"/mute", "/voice ", "/volume "} & set(typed)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("/mo", ["/model ", "/models"]),
        ("/MO", ["/model ", "/models"]),
        ("/mute", []),
        ("/model", ["/model ", "/models"]),
        ("/xyz", []),
        ("/xyz a", []),
        ("hello", []),
        ("", []),
        ("/voice\n", []),
        ("/help ", []),
    ],
)
def test_the_start_of_a_command_offers_it(line: str, offered: list[str]) -> None:
    assert lines(line) == offered


def test_a_voice_or_a_theme_is_completed() -> None:
    session = ScriptedSession()
    session.voices = ("Alba", "cosette", "alto")
    session.themes = ("dark", "light")
    assert lines("/voice al", session) == ["/voice Alba", "/voice alto"]
    assert lines("/voice set", session) == ["/voice cosette"]
    assert lines("/voice cosette", session) == []
    assert lines("/theme ", session) == ["/theme dark", "/theme light"]


def test_a_model_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.delenv("XAI_API_KEY", raising=False)
    offered = lines("/model ")
    assert "/model local/built-in" in offered
    assert any(each.startswith("/model openai/") for each in offered)
    assert not any("xai" in each for each in offered)


def test_the_number_of_a_waiting_call_is_completed() -> None:
    session = ScriptedSession()
    session.call("look", "{}", ToolState.ASKING, number=7)
    assert lines("/allow ", session) == ["/allow 7"]


def test_an_mcp_server_that_waits_is_completed() -> None:
    session = ScriptedSession()
    assert lines("/let", session) == []
    session.waiting_servers = ("mail", "maps")
    assert lines("/let", session) == ["/let "]
    assert lines("/let ma", session) == ["/let mail", "/let maps"]


def test_folders_and_pictures_are_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    for name in ("a cat.PNG", "notes.txt", ".hidden.png", "bad\x1bname.png", "photos/dog.jpg"):
        (tmp_path / name).touch()
    assert lines("/image ") == ["/image a cat.PNG", "/image photos/"]
    assert lines("/image photos/") == ["/image photos/dog.jpg"]
    assert lines("/image ~/pho") == ["/image ~/photos/"]
    assert lines("/image .hid") == ["/image .hidden.png"]
    assert lines(f"/image {tmp_path}/a") == [f"/image {tmp_path}/a cat.PNG"]
    assert lines("/image nowhere/") == lines("/image \0") == []


def test_completions_are_bounded(tmp_path: Path) -> None:
    for number in range(MAX_COMPLETIONS * 2):
        (tmp_path / f"{number}.png").touch()
    assert len(lines(f"/image {tmp_path}/")) == MAX_COMPLETIONS
