"""Sources of speech for a transcription: the microphone, files and pipes."""

from __future__ import annotations

import asyncio
import io
import wave
from pathlib import Path

import numpy as np
import pytest

from voicechat.audio import messages as sound
from voicechat.core import effects, inputs
from voicechat.errors import SoundError, UsageError
from voicechat.transcription import audio_sources
from voicechat.transcription.audio_sources import FileSource, MicrophoneSource


class FakeSoundLine:
    """A fake of the audio process."""

    def __init__(self, settings: sound.AudioSettings, on_event: object) -> None:
        self.emit = on_event
        self.commands: list[sound.AudioCommand] = []
        FakeSoundLine.latest = self

    def send(self, command: sound.AudioCommand) -> None:
        self.commands.append(command)

    async def close(self) -> None:
        """Do nothing: no device is open."""


def microphone(
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[MicrophoneSource, FakeSoundLine, list[str]]:
    monkeypatch.setattr("voicechat.session.audio_link.SoundLine", FakeSoundLine)
    messages: list[str] = []
    source = MicrophoneSource(sound.AudioSettings(block_ms=20), messages.append, "Listening.")
    return source, FakeSoundLine.latest, messages


def opened(name: str | None, problem: str = "") -> sound.Opened:
    return sound.Opened(name, None, problem=problem)


async def test_a_microphone_yields_its_blocks_until_stop(monkeypatch) -> None:
    source, line, messages = microphone(monkeypatch)
    line.emit(opened("mic"))
    line.emit(opened("mic"))
    line.emit(inputs.MicBlock(b"\1\1", 0.0))
    line.emit(inputs.MicBlock(b"\2\2", 0.0))
    source.stop()
    assert [block async for block in source.blocks()] == [b"\1\1", b"\2\2"]
    assert messages == ["Listening."]
    assert line.commands == [effects.CloseMic(True)]


async def test_unread_sound_is_bounded_and_its_loss_is_reported(monkeypatch) -> None:
    source, line, messages = microphone(monkeypatch)
    capacity = audio_sources.BUFFER_MS // 20
    for index in range(capacity + 150):
        line.emit(inputs.MicBlock(index.to_bytes(2, "little"), 0.0))
    source.stop()
    blocks = [block async for block in source.blocks()]
    assert len(blocks) == capacity
    assert int.from_bytes(blocks[0], "little") == 150
    assert messages == ["3 s of speech were lost: the transcription fell behind."]


async def test_a_missing_microphone_raises_an_error(monkeypatch) -> None:
    source, line, _ = microphone(monkeypatch)
    line.emit(opened(None, "There is no usable microphone."))
    with pytest.raises(SoundError, match="no usable microphone"):
        await anext(aiter(source.blocks()))


# ------------------------------------------------------------------------------ files


def wav(path: Path, samples: np.ndarray, rate: int, width: int = 2, channels: int = 1) -> str:
    shift = 8 * (width - 2)
    values = samples.astype(np.int64) << shift if shift >= 0 else samples.astype(np.int64) >> 8
    if width == 1:
        raw = (values + 128).astype(np.uint8).tobytes()
    else:
        raw = b"".join(int(v).to_bytes(width, "little", signed=True) for v in values)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(raw)
    return str(path)


def file_bytes(path: str) -> bytes:
    return Path(path).read_bytes()


async def decoded(path: str, rate: int = 24_000, *, raw: bool = False) -> np.ndarray:
    source = FileSource(path, rate, raw=raw)
    async with asyncio.timeout(10):
        return np.frombuffer(b"".join([block async for block in source.blocks()]), np.int16)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
async def test_pcm_of_every_sample_width_is_read(tmp_path, width) -> None:
    samples = (np.arange(2_400) % 97 * 300 - 14_000).astype(np.int16)
    samples_read = await decoded(wav(tmp_path / "x.wav", samples, 24_000, width))
    assert len(samples_read) == len(samples)
    assert np.abs(samples_read.astype(int) - samples).max() <= (256 if width == 1 else 1)


async def test_channels_are_mixed_and_rates_converted(tmp_path) -> None:
    left = np.full(48_000, 8_000, np.int16)
    stereo = np.stack([left, np.zeros_like(left)], axis=1).reshape(-1)
    samples_read = await decoded(wav(tmp_path / "x.wav", stereo, 48_000, channels=2))
    assert abs(len(samples_read) - 24_000) <= 2
    assert abs(int(np.median(samples_read)) - 4_000) <= 2


async def test_raw_pcm_is_cut_into_complete_samples(tmp_path) -> None:
    path = tmp_path / "x.raw"
    path.write_bytes(bytes(range(250)) * 41 + b"\1")
    samples_read = await decoded(str(path), raw=True)
    assert samples_read.tobytes() == path.read_bytes()[:-1]


async def test_a_wav_pipe_without_a_length_is_read_to_its_end(tmp_path, monkeypatch) -> None:
    samples = np.arange(4_800, dtype=np.int16)
    raw = bytearray(file_bytes(wav(tmp_path / "x.wav", samples, 24_000)))
    raw[4:8] = raw[40:44] = b"\xff\xff\xff\xff"
    source = FileSource("-", 24_000)
    monkeypatch.setattr(source, "_open", lambda: io.BytesIO(bytes(raw)))
    samples_read = b"".join([block async for block in source.blocks()])
    assert samples_read == samples.tobytes()


async def test_raw_pcm_that_begins_with_riff_is_read(tmp_path) -> None:
    path = tmp_path / "x.raw"
    path.write_bytes(b"RIFF" * 100)
    assert (await decoded(str(path), raw=True)).tobytes() == path.read_bytes()


async def test_a_pipe_with_raw_pcm_is_read(monkeypatch) -> None:
    source = FileSource("-", 24_000)
    monkeypatch.setattr(source, "_open", lambda: io.BytesIO(b"\1\2" * 50))
    assert b"".join([block async for block in source.blocks()]) == b"\1\2" * 50


@pytest.mark.parametrize("name", ["passwd", "x.mp3", "x.raw", "x.wav"])
async def test_a_file_that_is_not_audio_is_not_read_as_raw_pcm(tmp_path, name) -> None:
    path = tmp_path / name
    path.write_text("root:x:0:0:root:/root:/bin/bash\n" * 50)
    with pytest.raises(UsageError, match=r"contains no readable audio: .*\. Convert .* add --raw"):
        await decoded(str(path))


@pytest.mark.parametrize("raw", [False, True])
async def test_an_empty_file_is_an_error(tmp_path, raw) -> None:
    path = tmp_path / "x"
    path.touch()
    with pytest.raises(UsageError, match="x contains no audio"):
        await decoded(str(path), raw=raw)


async def test_empty_audio_is_an_error(tmp_path, monkeypatch) -> None:
    with pytest.raises(UsageError, match=r"x\.wav contains no audio"):
        await decoded(wav(tmp_path / "x.wav", np.zeros(0, np.int16), 24_000))
    source = FileSource("-", 24_000)
    monkeypatch.setattr(source, "_open", lambda: io.BytesIO(b""))
    with pytest.raises(UsageError, match="Standard input contains no audio"):
        _ = [block async for block in source.blocks()]


@pytest.mark.parametrize("content", [b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"no sound"])
async def test_an_invalid_wav_file_is_refused(tmp_path, content) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.wav contains no readable audio"):
        await decoded(str(path))


@pytest.mark.parametrize(("at", "value"), [(24, b"\0" * 4), (24, b"\xff" * 4)])
async def test_a_damaged_header_ends_the_sound(tmp_path, at, value) -> None:
    """A rate of 0 ended the reading thread, and nothing told its reader."""
    path = tmp_path / "x.wav"
    content = bytearray(file_bytes(wav(path, np.arange(4_800, dtype=np.int16), 24_000)))
    content[at : at + len(value)] = value
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.wav (cannot be read|contains no)"):
        await decoded(str(path))


async def test_a_wav_file_that_is_cut_off_is_reported(tmp_path) -> None:
    path = tmp_path / "x.wav"
    content = file_bytes(wav(path, np.ones(24_000 * 4, np.int16), 24_000))
    path.write_bytes(content[: len(content) // 2])
    said: list[str] = []
    source = FileSource(str(path), 24_000, notify=said.append)
    assert sum([len(block) async for block in source.blocks()]) > 90_000
    assert [text.partition("x.wav")[2] for text in said] == [" ends early: 2 s of 4 s can be read."]


def test_a_missing_file_and_a_folder_are_refused(tmp_path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        FileSource(str(tmp_path / "x.wav"), 24_000)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        FileSource(str(tmp_path), 24_000)
