"""Formats by content, and the sound of real files of each format."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from beeps import beeps, encoded, media

from voicechat.errors import UsageError
from voicechat.transcription import recording_decoder
from voicechat.transcription.recording_decoder import decoded
from voicechat.transcription.recording_format import (
    CODED_WAV,
    HEAD_BYTES,
    WAV,
    described,
    recognized,
)
from voicechat.transcription.recordings import from_base64, named_file

SOUND = beeps([0.5, 1.5], 3.0, 48_000)


def content_of(kind: str) -> bytes:
    makers = {
        "wav": lambda: encoded(SOUND, "WAV", 48_000),
        "wav in float": lambda: encoded(SOUND, "WAV", 48_000, "FLOAT"),
        "flac": lambda: encoded(SOUND, "FLAC", 48_000),
        "mp3": lambda: encoded(SOUND, "MP3", 48_000),
        "ogg": lambda: encoded(SOUND, "OGG", 48_000, "VORBIS"),
        "opus": lambda: encoded(SOUND, "OGG", 48_000, "OPUS"),
        "m4a": lambda: media(SOUND, "mp4", "aac"),
        "webm": lambda: media(SOUND, "webm", "libopus"),
        "aac": lambda: media(SOUND, "adts", "aac"),
    }
    return makers[kind]()


KINDS = {
    "wav": "WAV", "wav in float": "WAV", "flac": "FLAC", "mp3": "MP3", "ogg": "Ogg",
    "opus": "Ogg", "m4a": "MP4", "webm": "WebM", "aac": "AAC",
}  # fmt: skip


async def samples(path: Path, name: str = "x") -> tuple[np.ndarray, str]:
    async with decoded(name, path, named_file(path).format) as sound:
        pcm = b"".join([block async for block in sound.blocks()])
    return np.frombuffer(pcm, "<i2"), sound.problem


async def test_every_format_is_recognized_by_content_and_decoded(tmp_path: Path) -> None:
    async def check(kind: str) -> None:
        path = tmp_path / f"{kind}.txt"  # its name says nothing
        path.write_bytes(content_of(kind))
        assert named_file(path).format.name == KINDS[kind]
        found, problem = await samples(path)
        assert problem == ""
        assert abs(found.size / 16_000 - 3.0) < 0.15, kind
        loud = np.flatnonzero(np.abs(found.astype(int)) > 5_000) / 16_000
        assert abs(loud[0] - 0.5) < 0.1, kind
        assert abs(loud[-1] - 1.8) < 0.1, kind

    limit = asyncio.Semaphore(2)

    async def limited(kind: str) -> None:
        async with limit:
            await check(kind)

    await asyncio.gather(*map(limited, KINDS))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"Dear Sir,\nthis is no song.\n", "is text"),
        ("Grüße".encode()[:-1], "is text"),
        (b"  <!DOCTYPE html><html>", "is a web page"),
        (b"\x7fELF\x02\x01\x01" + bytes(40), "has a format that is not supported"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "has a format that is not supported"),
    ],
)
def test_what_is_no_recording_is_named(content: bytes, said: str) -> None:
    assert recognized(content) is None
    assert said in described(content)


def test_sound_without_a_header_is_no_mp3() -> None:
    """Quiet samples look like the first bits of a frame."""
    quiet = np.array([-1, -1281, -17, 3] * 1_000, "<i2").tobytes()
    assert recognized(quiet[:HEAD_BYTES]) is None
    without_tags = content_of("mp3")
    begin = without_tags.index(b"\xff\xfb") if not without_tags.startswith(b"\xff") else 0
    found = recognized(without_tags[begin : begin + HEAD_BYTES])
    assert found is not None
    assert found.name == "MP3"


async def test_damaged_files_give_one_sentence_or_the_sound_that_is_left(tmp_path: Path) -> None:
    def written(name: str, content: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    mp3 = content_of("mp3")
    found, problem = await samples(written("cut.mp3", mp3[: len(mp3) // 3]))
    assert 0 < found.size < 2 * 16_000
    assert problem == "It ends early: 1 s of 3 s can be read."
    noise = written("noise.mp3", b"ID3" + np.random.default_rng(1).bytes(4_000))
    with pytest.raises(UsageError, match=r"noise\.mp3 cannot be decoded: its beginning is damaged"):
        await samples(noise, "noise.mp3")
    m4a = content_of("m4a")
    half = written("cut.m4a", m4a[: len(m4a) // 2])
    with pytest.raises(UsageError, match="cannot be decoded: Invalid data found"):
        await samples(half)


def test_wav_files_whose_samples_need_a_decoder_are_told_apart() -> None:
    plain = bytearray(content_of("wav"))
    assert recognized(bytes(plain)) is WAV
    assert recognized(content_of("wav in float")) is CODED_WAV
    assert recognized(encoded(SOUND, "RF64", 48_000)) is CODED_WAV
    plain[24:28] = bytes(4)  # no rate
    assert recognized(bytes(plain)) is CODED_WAV


async def test_a_file_that_is_cut_off_is_reported(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 3 * 16_000).astype(np.float32)
    for content, said in (
        (encoded(noise, "WAV", subtype="FLOAT"), "It ends early: 1 s of 3 s can be read."),
        (encoded(noise, "OGG", subtype="VORBIS"), "Its end is missing."),
    ):
        path = tmp_path / "x"
        path.write_bytes(content[: round(len(content) * 0.45)])
        assert (await samples(path))[1] == said


async def test_a_damaged_packet_costs_its_own_sound_only(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 3 * 48_000).astype(np.float32)
    content = bytearray(media(noise, "mp4", "aac"))
    middle = len(content) // 2
    content[middle : middle + 400] = b"\xff" * 400
    path = tmp_path / "a.m4a"
    path.write_bytes(content)
    found, problem = await samples(path)
    assert found.size > 2.5 * 16_000
    assert problem == "Damaged parts are left out."


async def test_a_missing_decoder_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42isom")
    monkeypatch.setattr(recording_decoder.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"is MP4, .*\. Type: pip install 'voicechat\[media\]'"):
        await samples(path)


async def test_an_unread_decoder_ends(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    path.write_bytes(encoded(np.zeros(60 * 16_000, np.float32), "WAV"))
    async with asyncio.timeout(20), decoded("long.wav", path, named_file(path).format) as sound:
        assert sound.seconds == 60.0


def test_base64_is_read_strictly() -> None:
    assert from_base64(" AAEC\n") == b"\0\1\2"
    assert from_base64(b"data:audio/wav;base64,AAEC") == b"\0\1\2"
    with pytest.raises(UsageError, match="not base64"):
        from_base64("AAE?")
