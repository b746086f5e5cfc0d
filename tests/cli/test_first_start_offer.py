"""When setup is offered: once, on a terminal, to a user who has not chosen a model."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from voicechat.cli import _dialog, _first_start
from voicechat.cli._first_start import is_due, mark_offered, offer
from voicechat.config.options import Options
from voicechat.errors import Secret


class Terminal(io.StringIO):
    """A terminal on which the user has typed some lines."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """Standard input and output; pytest replaces those of `sys` before the test runs."""
    streams = SimpleNamespace(stdin=Terminal("\n"), stdout=Terminal())
    for module in (_first_start, _dialog):
        monkeypatch.setattr(module, "sys", streams)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert is_due(Options())
    return streams


def test_it_is_offered_once(terminal: SimpleNamespace) -> None:
    assert not offer(Options())
    assert not is_due(Options())
    assert "first start" in terminal.stdout.getvalue()


@pytest.mark.parametrize("name", ["stdin", "stdout"])
def test_a_pipe_on_either_side_sees_nothing(name: str, terminal: SimpleNamespace) -> None:
    setattr(terminal, name, io.StringIO())
    assert not is_due(Options())


@pytest.mark.parametrize(
    "options",
    [
        Options(model="local"),
        Options(base_url="http://127.0.0.1:1/v1"),
        Options(chat_url="http://127.0.0.1:1/v1"),
        Options(profile="work"),
        Options(token=Secret("x")),
    ],
    ids=["model", "address", "chat", "profile", "token"],
)
def test_who_chose_a_model_sees_nothing(options: Options) -> None:
    assert not is_due(options)


def test_who_has_settings_sees_nothing(tmp_path: Path) -> None:
    path = tmp_path / "config" / "voicechat" / "config.toml"
    path.parent.mkdir(parents=True)
    path.touch()
    assert not is_due(Options())


def test_what_cannot_be_remembered_is_not_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").touch()
    assert not mark_offered()
    monkeypatch.setattr(_dialog, "ask", pytest.fail)
    assert not offer(Options())
