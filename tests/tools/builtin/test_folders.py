"""Files are read only below the named folders."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from voicechat.tools.builtin import folders
from voicechat.tools.registry import Registry
from voicechat.tools.tool_context import ToolContext

posix = pytest.mark.skipif(os.name != "posix", reason="links and pipes are those of POSIX")


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Make a named folder with a file, and another folder next to it that is not named."""
    for name in ("Documents/sub", "Documents/.ssh", "documents-private"):
        (tmp_path / name).mkdir(parents=True)
    named = tmp_path / "Documents"
    (named / "notes.txt").write_text("Häagen", "utf-8")
    (named / "sub" / "deep.md").write_text("deep", "utf-8")
    (named / ".ssh" / "id").write_text("key", "utf-8")
    (named / ".env").write_text("key", "utf-8")
    (named / "picture.png").write_bytes(b"\x89PNG\x00\x00")
    (named / "latin.txt").write_bytes(b"caf\xe9 au lait")
    (tmp_path / "documents-private" / "diary.txt").write_text("secret", "utf-8")
    return named


async def ask(named: Path, tool: str, path: str, **more: object) -> str:
    registry = Registry(*folders.tools(ToolContext(folders=(named,))))
    return (await registry.run(tool, json.dumps({"path": path, **more}))).output


@pytest.mark.parametrize(
    "path",
    ["notes.txt", "NOTES.TXT", "Documents/notes.txt", "documents/Notes.txt", "sub/../notes.txt"],
)
async def test_a_file_is_found_by_its_spoken_name(documents: Path, path: str) -> None:
    assert await ask(documents, "read_file", path) == "Häagen"
    assert await ask(documents, "read_file", str(documents / "notes.txt")) == "Häagen"


@pytest.mark.parametrize(
    "path",
    [
        "../documents-private/diary.txt", "../../../../../../etc/passwd", "/etc/passwd",
        "~/.bashrc", ".env", ".ssh/id", "sub/../.env", "nothing.txt", "", "..", "a\0b", "x" * 5_000,
        "picture.png", "latin.txt", "sub", "/dev/zero", "/proc/self/environ",
    ],
)  # fmt: skip
async def test_everything_else_is_refused(documents: Path, path: str) -> None:
    reported = await ask(documents, "read_file", path)
    assert "error" in reported
    assert "key" not in reported
    assert "secret" not in reported


@pytest.mark.parametrize("folder", ["/etc", "..", "../documents-private", ".ssh"])
async def test_the_existence_of_other_files_is_not_revealed(documents: Path, folder: str) -> None:
    there = {"/etc": "passwd", ".ssh": "id"}.get(folder, "diary.txt")
    reported = [await ask(documents, "read_file", f"{folder}/{name}") for name in (there, "no")]
    assert reported[0].replace(there, "no") == reported[1]


@posix
async def test_links_pipes_and_devices_are_refused(
    documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(documents)
    private = tmp_path / "documents-private"
    (documents / "out.txt").symlink_to(private / "diary.txt")
    (documents / "way").symlink_to(private)
    (documents / "hidden.txt").symlink_to(documents / ".env")
    (documents / "in.txt").symlink_to(documents / "notes.txt")
    os.mkfifo(documents / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("door")
        for name in ("out.txt", "way/diary.txt", "hidden.txt", "pipe", "door"):
            reported = await ask(documents, "read_file", name)
            assert "error" in reported, name
            assert "secret" not in reported
    assert await ask(documents, "read_file", "in.txt") == "Häagen"


@posix
async def test_a_file_that_is_swapped_while_it_is_opened_is_refused(
    documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (documents / "sub" / "diary.txt").write_text("harmless", "utf-8")
    real_open = os.open

    def swapped(path: Path, flags: int, *more: int) -> int:
        if str(path).endswith("diary.txt"):
            (documents / "sub").rename(documents / "moved")
            (documents / "sub").symlink_to(tmp_path / "documents-private")
        return real_open(path, flags, *more)

    monkeypatch.setattr(os, "open", swapped)
    reported = await ask(documents, "read_file", "sub/diary.txt")
    assert "error" in reported
    assert "secret" not in reported


async def test_a_long_file_is_read_in_parts(documents: Path) -> None:
    text = "é" * 40_001
    (documents / "long.txt").write_text(text, "utf-8")
    first = await ask(documents, "read_file", "long.txt")
    part, _, rest = first.partition("\n")
    start = int(rest.split()[-1].rstrip("]"))
    second = await ask(documents, "read_file", "long.txt", start=start)
    assert part + second == text


async def test_hidden_files_are_not_listed(documents: Path) -> None:
    reported = await ask(documents, "list_folder", "")
    assert reported.split("\n") == ["latin.txt", "notes.txt", "picture.png", "sub/"]
    assert await ask(documents, "list_folder", "documents") == reported
    assert await ask(documents, "list_folder", "sub") == "deep.md"
    assert "error" in await ask(documents, "list_folder", "..")
    assert "error" in await ask(documents, "list_folder", ".ssh")
    assert "is not a folder" in await ask(documents, "list_folder", "notes.txt")


async def test_without_folders_there_is_nothing_to_read() -> None:
    registry = Registry(*folders.tools(ToolContext()))
    for tool in ("read_file", "list_folder"):
        assert "No folder was named" in (await registry.run(tool, '{"path": ""}')).output


@posix
async def test_a_folder_that_is_swapped_while_it_is_listed_is_refused(
    documents: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def swapped(path: Path, flags: int, *more: int) -> int:
        (documents / "sub").rename(documents / "moved")
        (documents / "sub").symlink_to(tmp_path / "documents-private")
        return real_open(path, flags & ~os.O_NOFOLLOW, *more)

    monkeypatch.setattr(os, "open", swapped)
    reported = await ask(documents, "list_folder", "sub")
    assert "error" in reported
    assert "diary" not in reported
