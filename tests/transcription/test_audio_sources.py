"""Where speech to be written down comes from."""

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
from voicechat.transcription.audio_sources import Microphone, Recorded


class Line:
    """Stands in for the audio process."""

    def __init__(self, settings: sound.AudioSettings, on_event: object) -> None:
        self.tell = on_event
        self.commands: list[sound.AudioCommand] = []
        Line.made = self

    def send(self, command: sound.AudioCommand) -> None:
        self.commands.append(command)

    async def close(self) -> None:
        """Nothing was opened."""


def microphone(monkeypatch: pytest.MonkeyPatch) -> tuple[Microphone, Line, list[str]]:
    monkeypatch.setattr("voicechat.session.audio_link.SoundLine", Line)
    told: list[str] = []
    made = Microphone(sound.AudioSettings(block_ms=20), told.append, "Listening.")
    return made, Line.made, told


def opened(name: str | None, problem: str = "") -> sound.Opened:
    return sound.Opened(name, None, problem=problem)


async def test_a_microphone_gives_what_it_hears_until_it_is_stopped(monkeypatch) -> None:
    source, line, told = microphone(monkeypatch)
    line.tell(opened("mic"))
    line.tell(opened("mic"))
    line.tell(inputs.MicBlock(b"\1\1", 0.0))
    line.tell(inputs.MicBlock(b"\2\2", 0.0))
    source.stop()
    assert [block async for block in source.blocks()] == [b"\1\1", b"\2\2"]
    assert told == ["Listening."]
    assert line.commands == [effects.CloseMic(True)]


async def test_sound_that_nobody_takes_is_bounded_and_told_of(monkeypatch) -> None:
    source, line, told = microphone(monkeypatch)
    most = audio_sources.KEPT_MS // 20
    for number in range(most + 150):
        line.tell(inputs.MicBlock(number.to_bytes(2, "little"), 0.0))
    source.stop()
    blocks = [block async for block in source.blocks()]
    assert len(blocks) == most
    assert int.from_bytes(blocks[0], "little") == 150
    assert told == ["3 s of speech were lost meanwhile."]


async def test_no_microphone_is_an_error(monkeypatch) -> None:
    source, line, _ = microphone(monkeypatch)
    line.tell(opened(None, "There is no usable microphone."))
    with pytest.raises(SoundError, match="no usable microphone"):
        await anext(aiter(source.blocks()))


# ------------------------------------------------------------------------------ files


def wav(path: Path, samples: np.ndarray, rate: int, width: int = 2, channels: int = 1) -> str:
    shift = 8 * (width - 2)
    wide = samples.astype(np.int64) << shift if shift >= 0 else samples.astype(np.int64) >> 8
    if width == 1:
        raw = (wide + 128).astype(np.uint8).tobytes()
    else:
        raw = b"".join(int(v).to_bytes(width, "little", signed=True) for v in wide)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(raw)
    return str(path)


def read(path: str) -> bytes:
    return Path(path).read_bytes()


async def heard(path: str, rate: int = 24_000, *, raw: bool = False) -> np.ndarray:
    source = Recorded(path, rate, raw=raw)
    async with asyncio.timeout(10):
        return np.frombuffer(b"".join([block async for block in source.blocks()]), np.int16)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
async def test_every_width_of_pcm(tmp_path, width) -> None:
    samples = (np.arange(2_400) % 97 * 300 - 14_000).astype(np.int16)
    found = await heard(wav(tmp_path / "x.wav", samples, 24_000, width))
    assert len(found) == len(samples)
    assert np.abs(found.astype(int) - samples).max() <= (256 if width == 1 else 1)


async def test_channels_are_mixed_and_rates_converted(tmp_path) -> None:
    left = np.full(48_000, 8_000, np.int16)
    both = np.stack([left, np.zeros_like(left)], axis=1).reshape(-1)
    found = await heard(wav(tmp_path / "x.wav", both, 48_000, channels=2))
    assert abs(len(found) - 24_000) <= 2
    assert abs(int(np.median(found)) - 4_000) <= 2


async def test_raw_sound_in_whole_samples(tmp_path) -> None:
    path = tmp_path / "x.raw"
    path.write_bytes(bytes(range(250)) * 41 + b"\1")
    found = await heard(str(path), raw=True)
    assert found.tobytes() == path.read_bytes()[:-1]


async def test_a_pipe_of_unknown_length(tmp_path, monkeypatch) -> None:
    samples = np.arange(4_800, dtype=np.int16)
    raw = bytearray(read(wav(tmp_path / "x.wav", samples, 24_000)))
    raw[4:8] = raw[40:44] = b"\xff\xff\xff\xff"
    source = Recorded("-", 24_000)
    monkeypatch.setattr(source, "_open", lambda: io.BytesIO(bytes(raw)))
    found = b"".join([block async for block in source.blocks()])
    assert found == samples.tobytes()


async def test_raw_sound_that_begins_like_a_header(tmp_path) -> None:
    path = tmp_path / "x.raw"
    path.write_bytes(b"RIFF" * 100)
    assert (await heard(str(path), raw=True)).tobytes() == path.read_bytes()


async def test_a_pipe_may_carry_raw_sound(monkeypatch) -> None:
    source = Recorded("-", 24_000)
    monkeypatch.setattr(source, "_open", lambda: io.BytesIO(b"\1\2" * 50))
    assert b"".join([block async for block in source.blocks()]) == b"\1\2" * 50


@pytest.mark.parametrize("name", ["passwd", "x.mp3", "x.raw", "x.wav"])
async def test_a_file_that_is_not_audio_is_not_taken_as_raw_sound(tmp_path, name) -> None:
    path = tmp_path / name
    path.write_text("root:x:0:0:root:/root:/bin/bash\n" * 50)
    with pytest.raises(UsageError, match=r"contains no readable audio: .*\. Convert .* add --raw"):
        await heard(str(path))


@pytest.mark.parametrize("raw", [False, True])
async def test_an_empty_file_is_an_error(tmp_path, raw) -> None:
    path = tmp_path / "x"
    path.touch()
    with pytest.raises(UsageError, match="x contains no audio"):
        await heard(str(path), raw=raw)


async def test_empty_audio_is_an_error(tmp_path, monkeypatch) -> None:
    with pytest.raises(UsageError, match=r"x\.wav contains no audio"):
        await heard(wav(tmp_path / "x.wav", np.zeros(0, np.int16), 24_000))
    source = Recorded("-", 24_000)
    monkeypatch.setattr(source, "_open", lambda: io.BytesIO(b""))
    with pytest.raises(UsageError, match="Standard input contains no audio"):
        _ = [block async for block in source.blocks()]


@pytest.mark.parametrize("rubbish", [b"RIFF", b"RIFF\0\0\0\0WAVEfmt ", b"no sound"])
async def test_what_is_no_wav_file(tmp_path, rubbish) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(rubbish)
    with pytest.raises(UsageError, match=r"x\.wav contains no readable audio"):
        await heard(str(path))


def test_a_file_that_is_not_there(tmp_path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        Recorded(str(tmp_path / "x.wav"), 24_000)
    with pytest.raises(UsageError, match="cannot be read: Is a directory"):
        Recorded(str(tmp_path), 24_000)
