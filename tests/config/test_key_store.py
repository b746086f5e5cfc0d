"""Keys of `voicechat login`: the keyring, the private file, and their precedence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from concurrent_edits import edit_at_once
from keyring.backends import fail, null
from keyrings import MemoryKeyring, in_use, secret_service

from voicechat.config import key_store, loader
from voicechat.config.key_store import forget, keyring_name, read_keyring, store, stored_keys
from voicechat.errors import KeyMissing, Secret, UsageError

NAME, KEY = "OPENAI_API_KEY", "sk-planted-0123456789"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    monkeypatch.setattr(key_store, "_unlocked", {})
    with in_use(ring := MemoryKeyring()):
        yield ring
    ring.unlocked.set()


def test_a_private_file_keeps_a_key(path: Path) -> None:
    store(path, NAME, Secret(KEY), in_keyring=False)
    assert path.stat().st_mode & 0o077 == 0
    found = stored_keys(path)
    assert found.keys == {NAME: Secret(KEY)}
    assert found.places == {NAME: "private file"}
    assert "planted" not in repr(found)
    assert forget(path, [NAME, "XAI_API_KEY"]) == [NAME]
    assert stored_keys(path).places == {}
    assert "planted" not in path.read_text(encoding="utf-8")


def test_a_keyring_keeps_a_key(path: Path, ring: MemoryKeyring) -> None:
    assert keyring_name() == (ring.name, "")
    store(path, NAME, Secret(KEY), in_keyring=True)
    assert "planted" not in path.read_text(encoding="utf-8")
    assert ring.kept == {("voicechat", NAME): KEY}
    assert stored_keys(path).keys == {NAME: Secret(KEY)}, "this process knows it"
    assert forget(path, [NAME]) == [NAME]
    assert ring.kept == {}


def test_settings_are_loaded_without_the_keyring(path: Path, ring: MemoryKeyring) -> None:
    store(path, NAME, Secret(KEY), in_keyring=True)
    key_store._unlocked.clear()
    ring.unlocked.clear()  # whoever reads it now waits for ever
    settings = path.with_name("config.toml")
    options = loader.load({}, {}, settings)
    assert (options.keyring_keys, dict(options.keys)) == ((NAME,), {})
    assert options.origin(f"keys.{NAME}") == "keyring"
    (sentence,) = read_keyring([NAME], deadline=0.02)
    assert "did not answer within 0.02 s. Unlock it" in sentence
    ring.unlocked.set()
    assert read_keyring([NAME]) == []
    options = loader.load({}, {}, settings)
    assert (options.keyring_keys, dict(options.keys)) == ((), {NAME: Secret(KEY)})


def test_the_environment_wins_then_the_settings_then_the_login(path: Path) -> None:
    settings = path.with_name("config.toml")
    store(path, NAME, Secret("sk-kept"), in_keyring=False)

    def origin(environ: dict[str, str]) -> tuple[str, str]:
        options = loader.load({}, environ, settings)
        return options.keys[NAME].reveal(), options.origin(f"keys.{NAME}")

    assert origin({}) == ("sk-kept", "private file")
    settings.write_text(f'[keys]\n{NAME} = "sk-settings"\n', encoding="utf-8")
    assert origin({}) == ("sk-settings", "settings file")
    assert origin({NAME: "sk-environ"}) == ("sk-environ", "environment")


def test_a_key_that_left_the_keyring_is_named(path: Path, ring: MemoryKeyring) -> None:
    (sentence,) = read_keyring([NAME])
    assert sentence == f"{NAME} is no longer in the keyring. Log in again with voicechat login."


def test_a_keyring_that_fails_changes_nothing(path: Path, ring: MemoryKeyring) -> None:
    ring.failure = RuntimeError(f"\x1b[31m{KEY} is locked.")
    with pytest.raises(
        KeyMissing, match=r"The keyring failed: .*\*\*\* is locked\. Unlock it"
    ) as error:
        store(path, NAME, Secret(KEY), in_keyring=True)
    assert "planted" not in str(error.value)
    assert "\x1b" not in str(error.value)
    assert not path.exists()
    assert "The keyring failed" in read_keyring([NAME])[0]


@pytest.mark.parametrize("backend", [null.Keyring, fail.Keyring], ids=["null", "fail"])
def test_without_a_keyring_there_is_a_reason(backend: type) -> None:
    with in_use(backend()):
        assert keyring_name() == ("", "This system has no usable keyring.")


def test_without_the_package_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    name, reason = keyring_name()
    assert name == ""
    assert "pip install voicechat[keyring]" in reason


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"A": 1}', '{"A": {"place": "private file"}}',
     '{"A": {"place": "private file", "key": 3}}', '{"A": {"place": "private file", "key": " "}}'],
)  # fmt: skip
def test_a_damaged_file_is_one_sentence(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"keys\.json is damaged\. Delete it and log in again"):
        loader.load({}, {}, path.with_name("config.toml"))


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files are of POSIX")
def test_a_readable_file_becomes_private(path: Path) -> None:
    path.write_text(json.dumps({NAME: {"place": "private file", "key": KEY}}), encoding="utf-8")
    path.chmod(0o644)
    assert stored_keys(path).keys == {NAME: Secret(KEY)}
    assert path.stat().st_mode & 0o077 == 0


def test_the_secret_service_of_a_desktop(tmp_path: Path) -> None:
    with secret_service(tmp_path) as service:
        environ = {**os.environ, **service, "XDG_CONFIG_HOME": str(tmp_path / "config")}

        def voicechat(*words: str, stdin: str = "") -> str:
            done = subprocess.run(
                [sys.executable, "-m", "voicechat", *words], env=environ, input=stdin,
                capture_output=True, text=True, timeout=50, check=False,
            )  # fmt: skip
            assert "planted" not in done.stdout + done.stderr
            return done.stdout + done.stderr

        said = voicechat("login", "openai", "--no-check", stdin=f"{KEY}\n")
        assert f"{NAME} is in the keyring (SecretService Keyring)." in said
        kept = (tmp_path / "config" / "voicechat" / "keys.json").read_text(encoding="utf-8")
        assert json.loads(kept) == {NAME: {"place": "keyring"}}
        assert f"{NAME} is set (keyring)" in voicechat("models")
        environ["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
        assert "127.0.0.1 could not be reached" in voicechat("token"), "the key was read"
        assert f"{NAME} is forgotten." in voicechat("logout", "openai")
        assert "openai issues tokens only for a key" in voicechat("token", "--model", "openai")


_KEEP = """
from voicechat.config.key_store import store
from voicechat.errors import Secret
def edit(number):
    store(path, f"{name}_{number}_KEY", Secret(f"sk-{name}-{number}"), in_keyring=False)
"""


def test_two_processes_lose_no_key(path: Path) -> None:
    edit_at_once(path, ("OWN", "OTHER"), _KEEP)
    assert len(stored_keys(path).keys) == 120
