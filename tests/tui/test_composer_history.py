"""The sent messages: kept between runs in a private file, bounded, without keys."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from concurrent_edits import edit_at_once

from voicechat.config.options import Options
from voicechat.errors import Secret
from voicechat.session.key_mask import KeyMask
from voicechat.tui import composer_history
from voicechat.tui.composer_history import ComposerHistory

KEY = "sk-proj-" + "a1" * 20


async def sent(path: Path, *messages: str) -> ComposerHistory:
    history = ComposerHistory(path)
    for text in messages:
        if history.add(text):
            await history.keep(text)
    return history


async def loaded(path: Path) -> list[str]:
    history = ComposerHistory(path)
    await history.load()
    return list(history.messages)


async def test_messages_are_kept_between_runs_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "state" / "messages.jsonl"
    await sent(path, "one", "two\nlines", "two\nlines")
    await sent(path, "three")
    assert await loaded(path) == ["one", "two\nlines", "three"]
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_messages_of_this_run_follow_the_earlier_ones(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    await sent(path, "one")
    history = ComposerHistory(path)
    history.add("typed before the file was read")
    await history.load()
    assert list(history.messages) == ["one", "typed before the file was read"]


async def test_without_a_path_nothing_is_kept() -> None:
    history = ComposerHistory(None)
    history.add("one")
    await history.keep("one")
    await history.load()
    assert list(history.messages) == ["one"]


async def test_keys_are_masked_in_the_file_only(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    own = KeyMask(Options(keys={"OPENAI_API_KEY": Secret("a-key-of-the-user-42")}))
    history = ComposerHistory(path, own.text)
    for text in (f"my key is {KEY}", "and a-key-of-the-user-42"):
        history.add(text)
        await history.keep(text)
    assert history.messages[0] == f"my key is {KEY}"
    assert await loaded(path) == ["my key is ***", "and ***"]


async def test_the_file_and_its_messages_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "messages.jsonl"
    monkeypatch.setattr(composer_history, "MAX_BYTES", 400)
    await sent(path, *(f"message {number}" for number in range(40)), "x" * 20_000)
    kept = await loaded(path)
    assert kept[-1] == "message 39"
    assert len(kept) < 30
    assert path.stat().st_size <= 400


async def test_more_messages_than_can_be_recalled_leave_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    lines = [json.dumps(f"message {number}") for number in range(600)]
    path.write_text("\n".join(lines), encoding="utf-8")
    kept = await loaded(path)
    assert (len(kept), kept[0], kept[-1]) == (500, "message 100", "message 599")


async def test_a_damaged_file_gives_its_readable_messages(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_bytes(b'"one"\n{"a": 1}\n\xff\xfe\n[[[\n"\\u001b]0;x\\u0007"\n"cut of')
    assert await loaded(path) == ["one", "\ufffd]0;x\ufffd"]


async def test_a_file_that_cannot_be_used_is_ignored(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    history = await sent(blocked / "messages.jsonl", "one")
    assert list(history.messages) == ["one"]
    assert await loaded(blocked / "messages.jsonl") == []
    (tmp_path / "folder").mkdir()
    await sent(tmp_path / "folder", "one")
    assert await loaded(tmp_path / "folder") == []


async def test_a_search_gives_each_message_once_the_newest_first(tmp_path: Path) -> None:
    history = await sent(tmp_path / "m", "Call Ada", "call bob", "hello", "Call Ada")
    assert history.search("CALL ada") == ["Call Ada"]
    assert history.search("call") == ["Call Ada", "call bob"]
    assert history.search("") == ["Call Ada", "hello", "call bob"]
    assert history.search("nothing") == []


_KEEP = """
import asyncio
from voicechat.tui import composer_history
composer_history.MAX_BYTES = 4_000
kept = composer_history.ComposerHistory(path)
def edit(number):
    asyncio.run(kept.keep(f"{name} {number}"))
"""


def test_two_processes_lose_no_message(tmp_path: Path) -> None:
    path = tmp_path / "messages.jsonl"
    edit_at_once(path, ("own", "other"), _KEEP)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for name in ("own", "other"):
        # The file was replaced by its newest messages a few times.
        numbers = [int(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
        assert numbers == list(range(60))[-len(numbers) :]
    assert "own 59" in lines
    assert "other 59" in lines
