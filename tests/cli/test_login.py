"""`voicechat login` and `voicechat logout` against a server that records requests."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyring.backends import null
from keyrings import MemoryKeyring, in_use
from on_terminal import OnTerminal
from token_server import TokenServer, token_server

from voicechat.cli.app import main
from voicechat.config import key_store

KEY = "sk-planted-0123456789"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    with token_server() as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.address)
        yield running


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MemoryKeyring]:
    monkeypatch.setattr(key_store, "_unlocked", {})
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with in_use(ring := MemoryKeyring()):
        yield ring


def test_a_key_is_tried_kept_shown_used_and_forgotten(
    server: TokenServer, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["login", "openai"]) == 0
    assert server.received[1]["Authorization"] == f"Bearer {KEY}"
    out, err = capsys.readouterr()
    assert out == ""
    assert "openai accepts the key." in err
    assert f"OPENAI_API_KEY is in the keyring ({ring.name})." in err
    key_store._unlocked.clear()  # as in another process
    assert main(["models"]) == 0
    assert "openai: OPENAI_API_KEY is set (keyring)" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    listed = {each["provider"]: each for each in json.loads(capsys.readouterr().out)}
    assert listed["openai"]["key_places"] == {"OPENAI_API_KEY": "keyring"}
    assert listed["openai"]["ready"]
    assert main(["token", "--model", "openai/m"]) == 0
    assert json.loads(capsys.readouterr().out)["token"] == "ek_1"
    assert main(["logout", "openai"]) == 0
    assert "OPENAI_API_KEY is forgotten." in capsys.readouterr().err
    assert ring.kept == {}
    assert main(["logout", "openai"]) == 2
    assert "No key of openai is kept." in capsys.readouterr().err


def test_a_refused_key_is_not_kept(
    server: TokenServer, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status, server.answer = 401, json.dumps({"error": {"message": f"no {KEY}"}}).encode()
    assert main(["login", "openai"]) == 3
    err = capsys.readouterr().err
    assert "127.0.0.1 refused the key (HTTP 401: no ***)." in err
    assert "planted" not in err
    assert ring.kept == {}


def test_a_provider_that_is_down_does_not_keep_a_key_out(
    server: TokenServer, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    server.status = 500
    assert main(["login", "openai"]) == 0
    assert "The key was not tried: 127.0.0.1 issued no token" in capsys.readouterr().err
    assert ring.kept == {("voicechat", "OPENAI_API_KEY"): KEY}


def test_without_a_keyring_a_private_file_keeps_it(
    server: TokenServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with in_use(null.Keyring()):
        assert main(["login", "openai"]) == 0
    err = capsys.readouterr().err
    path = tmp_path / "voicechat" / "keys.json"
    assert f"OPENAI_API_KEY is in {path}, which only you can read." in err
    assert "This system has no usable keyring" in err
    assert path.stat().st_mode & 0o077 == 0
    assert main(["logout", "openai"]) == 0
    assert "planted" not in path.read_text(encoding="utf-8")


def test_a_locked_keyring_is_an_error_and_no_file(
    ring: MemoryKeyring, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(key_store, "STORE_S", 0.02)
    ring.unlocked.clear()
    assert main(["login", "openai", "--no-check"]) == 3
    ring.unlocked.set()
    assert "The keyring did not answer" in capsys.readouterr().err
    assert not (tmp_path / "voicechat" / "keys.json").exists()


def test_what_wins_over_the_key_is_named(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    assert main(["login", "openai", "--no-check", "--file"]) == 0
    assert "also set in the environment, which wins over it" in capsys.readouterr().err
    assert main(["logout", "openai"]) == 0
    assert "OPENAI_API_KEY is still set in the environment." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (["opnai"], KEY, "There is no provider 'opnai' with a key. Did you mean openai?"),
        (["local"], KEY, "There is no provider 'local' with a key."),
        (["openai"], "", "No key was given."),
        (["openai"], "two words", "OPENAI_API_KEY contains characters that no key has."),
    ],
)
def test_wrong_input_is_one_sentence(
    arguments: list[str], stdin: str, says: str, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    assert main(["login", *arguments]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.end_to_end
def test_on_a_terminal_the_key_is_not_shown(tmp_path: Path) -> None:
    environ = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    terminal = OnTerminal(tmp_path, "login", "xai", "--no-check", environ=environ)
    try:
        terminal.see(r"Key of xai \(not shown\):")
        terminal.type(f"{KEY}\n")
        terminal.see("XAI_API_KEY is in .*keys.json")
        assert terminal.code() == 0
        assert KEY.encode() not in terminal.raw
        assert terminal.is_sane()
    finally:
        terminal.close()


@pytest.mark.parametrize(
    "before",
    [["login", "openai"], ["login"], [], ["login", "--file", "openai"], ["models"]],
    ids=str,
)
def test_a_key_that_was_typed_as_an_argument_is_not_repeated(
    before: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    typed = f"sk-proj-{'planted0' * 20}"
    assert main([*before, typed]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "planted" not in captured.err
    assert len(captured.err.splitlines()) == 1
    if len(before) > 1:
        assert "Type only voicechat login PROVIDER" in captured.err
