"""The stereo file: both sides on one clock, whole wherever it was cut off."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest
from test_recording import RATE, block, where

from voicechat import tracks
from voicechat.errors import UsageError
from voicechat.loudspeaker import frames_of


def test_a_fast_crystal_is_followed(tmp_path: Path) -> None:
    """0.1 % too fast: after a minute the blocks are 60 ms off, their places are not."""
    file = tracks.StereoFile(tmp_path / "a.wav", RATE)
    for number in range(3_000):
        file.speaker(block(1 if number == 2_999 else 0), (number + 1) * 0.02 * 0.999)
    file.close()
    with wave.open(str(tmp_path / "a.wav")) as read:
        frames = memoryview(read.readframes(read.getnframes())).cast("h")
    assert where(frames[1::2].tobytes(), 1)[0] == pytest.approx(2_999 * 0.02 * 0.999, abs=0.01)


def test_a_full_wav_file_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracks, "_LIMIT", RATE * tracks.FRAME)
    file = tracks.StereoFile(tmp_path / "a.wav", RATE)
    for number in range(100):
        file.person(block(1), (number + 1) * 0.02)
    file.close()
    assert file.full
    with wave.open(str(tmp_path / "a.wav")) as read:
        assert read.getnframes() == RATE


# -------------------------------------------------------------------------- reading


SIZES = [(0, 0), (36, 0), (0xFFFF_FFFF, 0xFFFF_FFFF), (0, 0xFFFF_FFFF - 36), (7, 3)]


@pytest.mark.parametrize(("riff", "data"), SIZES)
def test_the_sizes_in_the_header_do_not_matter(tmp_path: Path, riff: int, data: int) -> None:
    start = bytearray(tracks.header(RATE, 0))
    start[4:8], start[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(start) + bytes(10 * tracks.FRAME + 3))
    assert tracks.rate_of(path) == RATE
    assert frames_of(path).shape == (10, 2), "what follows the header, in whole frames"


@pytest.mark.parametrize("place", [0, 8, 12, 16, 20, 22, 25, 28, 32, 34, 36])
def test_any_other_field_makes_it_foreign(tmp_path: Path, place: int) -> None:
    start = bytearray(tracks.header(RATE, 0))
    start[place] ^= 0x41
    (tmp_path / "a.wav").write_bytes(start + bytes(400))
    with pytest.raises(UsageError, match="not the sound of a recording"):
        tracks.rate_of(tmp_path / "a.wav")
