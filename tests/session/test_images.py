"""Images from a path, as terminals write it, to a model that accepts them."""

from __future__ import annotations

import asyncio
import os
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from scripted import scripted_server
from session_driver import SessionDriver, options, running_session

from voicechat.config.options import Options
from voicechat.core import effects
from voicechat.core.items import Item, Role
from voicechat.core.pictures import Kind, Picture
from voicechat.core.settings import Capabilities
from voicechat.errors import UsageError
from voicechat.line_mode.slash_commands import run_command
from voicechat.session import images
from voicechat.session.images import NoPicture, find, named, places, refusal
from voicechat.session.session import Session

posix = pytest.mark.skipif(os.name != "posix", reason="paths of a POSIX shell")


def png(width: int = 3, height: int = 2) -> bytes:
    """Return a complete PNG of one color."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x00\x00\x00\x00"
    rows = zlib.compress(b"\x00" * (width + 1) * height)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.fixture
def cat(tmp_path: Path) -> Path:
    path = tmp_path / "my cat.png"
    path.write_bytes(png())
    return path


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.png"
    path.write_bytes(png() + bytes(6_000_000))
    return path


WAYS: dict[str, Callable[[Path], str]] = {
    "as it is": str,
    "single quotes": lambda path: f"'{path}'",
    "double quotes": lambda path: f'"{path}"',
    "PowerShell": lambda path: f"& '{path}'",
    "an address": Path.as_uri,
    "a blank behind it": lambda path: f"'{path}' ",
}
if os.name == "posix":
    WAYS["escaped"] = lambda path: str(path).replace(" ", "\\ ")


@pytest.mark.parametrize("way", WAYS)
def test_a_dropped_file_is_found(cat: Path, way: str) -> None:
    found, words = find(places(WAYS[way](cat)), 10_000)
    assert (found.name, found.data, words) == ("my cat.png", png(), "")
    found, words = find(named(WAYS[way](cat).strip()), 10_000)
    assert (found.name, words) == ("my cat.png", "")


@pytest.mark.parametrize("way", sorted(WAYS.keys() - {"as it is"}))
def test_text_may_precede_or_follow_the_path(cat: Path, way: str) -> None:
    path = WAYS[way](cat).strip()
    assert find(places(f"{path} what is this?"), 10_000)[1] == "what is this?"
    assert find(named(f"{path}   what\nis this?"), 10_000)[1] == "what\nis this?"
    if way != "PowerShell":
        assert find(places(f"what is this? {path}"), 10_000)[1] == "what is this?"


def test_a_relative_path_must_be_named(cat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cat.parent)
    assert places(cat.name) == []
    assert find(named(cat.name), 10_000)[0].name == cat.name


def test_the_home_directory_is_expanded(cat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(cat.parent))
    monkeypatch.setenv("USERPROFILE", str(cat.parent))
    assert find(places("'~/my cat.png'"), 10_000)[0].name == cat.name


@pytest.mark.parametrize(
    "line",
    ["", "hello", "and/or", "what is 1/2?", "see https://example.org/cat.png", "file://far/c.png"],
)
def test_ordinary_lines_contain_no_path(line: str) -> None:
    assert places(line) == []


def test_no_line_raises() -> None:
    for line in ("~nobody-at-all/x", "/\0", "'/", "file://[", "file:///%zz%00", "/" + "x" * 5000):
        with pytest.raises(NoPicture):
            find([*places(line), *named(line)], 10_000)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    found = {tmp_path: "is not a file", Path(os.devnull): "is not a file"}
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        found[tmp_path / "pipe.png"] = "pipe.png is not a file"
    (tmp_path / "page.png").write_bytes(b"%PDF-1.7" + bytes(100))
    found[tmp_path / "page.png"] = "page.png is not a PNG, JPEG, GIF or WebP image"
    found[tmp_path / "gone.png"] = "There is no file gone.png"
    for path, words in found.items():
        with pytest.raises(NoPicture, match=words):
            find([(path, "")], 10_000)


@posix
def test_names_are_cleaned(tmp_path: Path) -> None:
    path = tmp_path / "c\x1b[31mat.png"
    path.write_bytes(png())
    assert "\x1b" not in find([(path, "")], 10_000)[0].name
    path.unlink()
    with pytest.raises(NoPicture) as caught:
        find([(path, "")], 10_000)
    assert "\x1b" not in str(caught.value)


def test_a_large_image_is_refused_without_reading_it(large: Path) -> None:
    with pytest.raises(UsageError, match=r"large.png has 6.0 MB; the limit is 1.5 MB.") as e:
        find([(large, "")], 1_500_000)
    assert not isinstance(e.value, NoPicture)


def test_a_refusal_names_the_accepted_kinds() -> None:
    gif = Picture(Kind.GIF, 1, 1, "cat.gif")
    assert refusal(gif, Capabilities(pictures=(Kind.GIF,)), "m") is None
    none = refusal(gif, Capabilities(pictures=()), "xai/grok-voice-latest")
    assert str(none).startswith("xai/grok-voice-latest does not accept images.")
    some = refusal(gif, Capabilities(), "openai/gpt-realtime")
    assert str(some) == "openai/gpt-realtime accepts PNG and JPEG images; cat.gif is a GIF."


# ----------------------------------------------------------------------- in a session


def notices(driver: SessionDriver) -> list[str]:
    """Return the notices after the one that names the model."""
    return [update.text for update in driver.updates if isinstance(update, effects.Notice)][1:]


async def test_an_image_reaches_the_model_with_its_text(cat: Path) -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        run_command(driver.session, f"/image '{cat}' What is this?")
        assert driver.session.pending
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        assert [message.text for message in backend.assistant.requests[-1].messages] == [
            "[an image] What is this?"
        ]
        driver.session.type(str(cat))
        await driver.until(lambda: len(driver.texts(Role.ASSISTANT)) == 2)
        (first, second) = [
            entry
            for entry in driver.session.transcript.entries
            if isinstance(entry, Item) and entry.role is Role.USER
        ]
        assert first.picture is not None
        assert (first.text, first.picture.caption) == (
            "What is this?",
            "my cat.png, PNG, 3 × 2 pixels",
        )
        assert second.picture is not None
        assert not driver.session.pending


async def test_a_path_to_another_file_is_sent_as_text(cat: Path) -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session.type(f"{sys.executable} is what I run")
        await driver.until(lambda: bool(driver.texts(Role.ASSISTANT)))
        assert driver.texts(Role.USER) == [f"{sys.executable} is what I run"]
        assert notices(driver) == []


async def test_an_unusable_image_is_reported_and_nothing_is_sent(cat: Path, large: Path) -> None:
    async with scripted_server() as backend, running_session(backend) as driver:
        run_command(driver.session, "/image /no/such.png")
        await driver.until(lambda: bool(notices(driver)))
        assert notices(driver) == ["There is no file such.png."]
        with pytest.raises(UsageError, match="/image takes the path"):
            run_command(driver.session, "/image")
        driver.session._chosen.capabilities = Capabilities(pictures=())
        driver.session.type(str(cat))
        await driver.until(lambda: len(notices(driver)) == 2)
        assert "does not accept images" in notices(driver)[-1]
        driver.session.type(str(large))
        await driver.until(lambda: len(notices(driver)) == 3)
        assert "does not accept images" in notices(driver)[-1], "whatever its size"
        assert backend.assistant.requests == []


async def test_a_hanging_disk_times_out(cat: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(*_: object) -> tuple[Picture, str]:
        asyncio.run_coroutine_threadsafe(stuck.wait(), loop).result()
        raise NoPicture("late")

    monkeypatch.setattr(images, "find", hang)
    monkeypatch.setattr(images, "READ_TIMEOUT_S", 0.05)
    async with scripted_server() as backend, running_session(backend) as driver:
        driver.session.type(str(cat))
        await driver.until(lambda: bool(notices(driver)))
        assert notices(driver) == ["The disk does not respond."]
        stuck.set()


def test_the_embedded_voice_accepts_no_images() -> None:
    assert Session(Options())._chosen.capabilities.pictures == ()
    assert Session(options("ws://127.0.0.1:1"))._chosen.capabilities.pictures


@pytest.mark.parametrize("line", ["/a.png", "~/a.png x", "'/a b.png'", "x file:///a.png"])
def test_every_line_with_a_path_has_a_path_mark(line: str) -> None:
    assert places(line)
    assert not images.PATH_MARKS.isdisjoint(line)
