"""The steps of `voicechat setup` with typed answers; the sound has a test of its own."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from keyring.backends import null
from keyrings import in_use
from token_server import token_server

from voicechat.cli import _dialog, _setup_steps, login
from voicechat.session.server_discovery import FoundServer

KEY = "sk-planted-0123456789"
OLLAMA = FoundServer("Ollama", "http://127.0.0.1:11434/v1", tuple(f"m{n}" for n in range(30)))
SPEACHES = FoundServer("speaches", "http://127.0.0.1:8000/v1", is_realtime=True)

Run = Callable[..., tuple[bool, str, dict[str, object]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys) -> Run:
    """Answer the questions; returns the result, all that was shown, and the settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "voicechat" / "config.toml"

    def set_up(*answers: str, servers: tuple[FoundServer, ...] = ()):
        async def found() -> list[FoundServer]:
            return [*servers]

        streams = SimpleNamespace(
            stdin=io.StringIO("".join(f"{each}\n" for each in answers)), stdout=io.StringIO()
        )
        monkeypatch.setattr(_setup_steps, "find_servers", found)
        for module in (_dialog, login):
            monkeypatch.setattr(module, "sys", streams)
        with in_use(null.Keyring()):
            is_written = _setup_steps.set_up()
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        shown = streams.stdout.getvalue() + capsys.readouterr().err
        assert "planted" not in shown + text
        return is_written, shown, tomllib.loads(text)

    return set_up


def test_a_key_can_be_entered(run: Run, monkeypatch, tmp_path: Path) -> None:
    with token_server() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.address)
        done, shown, settings = run("2", "openai", KEY, "n", "y")
        assert server.received[1]["Authorization"] == f"Bearer {KEY}"
    assert done
    assert "openai accepts the key." in shown
    assert "Start with" not in shown  # on the first start, voicechat starts by itself
    assert settings == {"model": "openai/gpt-realtime-2.1"}
    assert (tmp_path / "voicechat" / "keys.json").stat().st_mode & 0o077 == 0


def test_after_a_refused_key_another_choice_is_possible(run: Run, monkeypatch) -> None:
    with token_server() as server:
        server.status = 401
        monkeypatch.setenv("OPENAI_BASE_URL", server.address)
        _, shown, settings = run("2", "openai", KEY, "1", "n", "y")
    assert "127.0.0.1 refused the key (HTTP 401)." in shown
    assert settings == {"model": "local/built-in"}


def test_a_realtime_server_with_its_language_model(run: Run) -> None:
    _, _, settings = run("1", "qwen3:8b", "n", "y", servers=(SPEACHES,))
    assert settings == {"base_url": SPEACHES.url, "model": "qwen3:8b"}
    _, _, settings = run("1", "", "n", "y", servers=(SPEACHES,))
    assert settings == {"base_url": SPEACHES.url}, "an older model is removed"


def test_a_long_list_takes_names(run: Run) -> None:
    _, shown, settings = run("", "99", "M25", "n", "", servers=(OLLAMA,))
    assert "and 10 more; type a name" in shown
    assert "Type a number from 1 to 30, or Enter for 1." in shown
    assert settings["chat_model"] == "m25"


def test_nothing_is_written_without_consent(run: Run) -> None:
    done, shown, settings = run("1", "n", "x", "n")
    assert (done, settings) == (False, {})
    assert "Type y or n." in shown
    with pytest.raises(typer.Abort):
        run("1")


def test_comments_stay_and_an_older_choice_goes(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "voicechat" / "config.toml"
    path.parent.mkdir()
    path.write_text('# Mine.\nmodel = "xai"\n[embedded]\nchat = "http://h:1/v1"\n', "utf-8")
    _, _, settings = run("1", "n", "y")
    assert settings == {"model": "local/built-in", "embedded": {}}
    assert "# Mine." in path.read_text(encoding="utf-8")


def test_the_meter_stays_in_its_cells() -> None:
    assert _dialog.meter(-200) == f"{'▯' * 20} -100 dB"
    assert _dialog.meter(6) == f"{'▮' * 20}    6 dB"
    assert _dialog.meter(-30) == f"{'▮' * 10}{'▯' * 10}  -30 dB"
