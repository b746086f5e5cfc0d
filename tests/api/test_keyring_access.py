"""Keys in the keyring for programs: read on a thread, never while a loop waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyrings import MemoryKeyring, in_use

import voicechat
from voicechat.config import key_store
from voicechat.errors import Secret

NAME, KEY = "OPENAI_API_KEY", "sk-planted-0123456789"


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MemoryKeyring]:
    """A keyring with a key that this process has not read."""
    monkeypatch.setattr(key_store, "_unlocked", {})
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    with in_use(ring := MemoryKeyring()):
        path = tmp_path / "voicechat" / key_store.FILE_NAME
        key_store.store(path, NAME, Secret(KEY), in_keyring=True)
        key_store._unlocked.clear()
        yield ring
    ring.unlocked.set()


async def test_on_a_loop_the_keyring_is_read_on_request(ring: MemoryKeyring) -> None:
    ring.unlocked.clear()  # a read on this thread would never end
    for model in (None, "openai/gpt-realtime-2.1"):
        with pytest.raises(voicechat.KeyMissing, match=r"Await voicechat\.read_keyring\(\)"):
            voicechat.connect(model)
    assert voicechat.connect("local").model == "local/built-in"
    assert voicechat.connect("openai", api_key="sk-other").model.startswith("openai/")
    ring.unlocked.set()
    await voicechat.read_keyring()
    assert voicechat.connect().model == "openai/gpt-realtime-2.1"


def test_without_a_loop_connect_reads_it() -> None:
    assert voicechat.connect().model == "openai/gpt-realtime-2.1"
    assert any(each.has_key for each in voicechat.list_models() if each.provider == "openai")


async def test_a_locked_keyring_leaves_the_loop_free(
    ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_store.read_keyring, "__defaults__", (0.05,))
    ring.unlocked.clear()
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turning = asyncio.create_task(turn())
    with pytest.raises(voicechat.KeyMissing, match="The keyring did not answer within"):
        await voicechat.read_keyring()
    turning.cancel()
    assert turns > 10


async def test_without_settings_no_login_is_used() -> None:
    assert voicechat.connect(settings=False).model == "local/built-in"
