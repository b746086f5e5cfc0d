"""Recordings from addresses, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from beeps import beeps, encoded

from voicechat.errors import ConnectError, UsageError
from voicechat.tools.public_addresses import is_public
from voicechat.tools.public_fetch import PublicFetch
from voicechat.transcription import recording_download
from voicechat.transcription.recording_download import download
from voicechat.transcription.recordings import named_file

WAV = encoded(beeps([0.2], 0.6), "WAV")


@asynccontextmanager
async def website() -> AsyncIterator[int]:
    """A server whose paths answer in different ways."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        answers = {
            "/talk.mp3": ("200 OK", "Content-Type: audio/mpeg", WAV),
            "/moved": ("302 Found", "Location: /talk.mp3", b""),
            "/inside": ("302 Found", "Location: http://inside.test/secret", b""),
            "/watch?v=1": ("200 OK", "Content-Type: text/html; charset=utf-8", b"<html>"),
            "/page.mp3": ("200 OK", "Content-Type: audio/mpeg", b"<!DOCTYPE html><html></html>"),
            "/gone": ("404 Not Found", "Content-Type: text/plain", b"no"),
        }
        status, header, body = answers.get(path, ("200 OK", "Content-Type: audio/wav", WAV))
        length = len(body) + (1_000 if path == "/cut.wav" else 0)
        size = "" if path == "/endless.wav" else f"Content-Length: {length}\r\n"
        writer.write(f"HTTP/1.1 {status}\r\n{header}\r\n{size}\r\n".encode() + body)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]


async def resolve(host: str, port: int) -> list[str]:
    return {"public.test": ["127.0.0.1"], "inside.test": ["10.0.0.1"]}[host]


async def fetched(port: int, path: str, folder: Path) -> str:
    fetch = PublicFetch("talk", "audio/*", resolve, lambda a: a == "127.0.0.1" or is_public(a))
    url = f"http://public.test:{port}/{path}"
    return await asyncio.wait_for(download(url, folder / "recording", fetch), 20)


async def test_a_recording_is_downloaded_through_a_redirect(tmp_path: Path) -> None:
    async with website() as port:
        assert await fetched(port, "moved", tmp_path) == "moved"
        assert (tmp_path / "recording").read_bytes() == WAV
        name = await fetched(port, "a%1b%5b2J.wav?token=secret", tmp_path)
        assert "\x1b" not in name
        assert name.endswith("[2J.wav")
    assert named_file(tmp_path / "recording").format.name == "WAV"


@pytest.mark.parametrize(
    ("path", "error", "said"),
    [
        ("inside", ConnectError, "'inside.test' is not a public address and is not contacted."),
        ("watch?v=1", UsageError, "watch is a web page, not a recording. Name the address of the"),
        ("gone", ConnectError, "talk answered 404 Not Found."),
        ("cut.wav", ConnectError, "The download of cut.wav was cut off. Try again."),
        ("large.wav", UsageError, "large.wav is larger than"),
        ("endless.wav", UsageError, "endless.wav is larger than"),
    ],
)
async def test_a_failed_download_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, error: type[Exception], said: str
) -> None:
    if "larger" in said:
        monkeypatch.setattr(recording_download, "MAX_BYTES", 1_000)
    async with website() as port:
        with pytest.raises(error) as failure:
            await fetched(port, path, tmp_path)
    assert said in str(failure.value)


async def test_a_page_that_says_it_is_sound_is_recognized(tmp_path: Path) -> None:
    async with website() as port:
        name = await fetched(port, "page.mp3", tmp_path)
    with pytest.raises(UsageError, match=r"page\.mp3 is a web page, not a recording\."):
        named_file(tmp_path / "recording", name)


async def test_this_machine_is_not_contacted(tmp_path: Path) -> None:
    async with website() as port:
        with pytest.raises(ConnectError, match="not a public address"):
            await download(f"http://127.0.0.1:{port}/talk.mp3", tmp_path / "recording")
