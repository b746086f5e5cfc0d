"""The stereo file: both sides on one clock, whole wherever it was cut off."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from recorded import RATE, block, where

from voicechat.errors import UsageError
from voicechat.recording import stereo_wav
from voicechat.recording.player import frames_of


def test_a_fast_crystal_is_followed(tmp_path: Path) -> None:
    """0.1 % too fast: after a minute the blocks are 60 ms off, their places are not."""
    file = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    for number in range(3_000):
        file.speaker(block(1 if number == 2_999 else 0), (number + 1) * 0.02 * 0.999)
    file.close()
    with wave.open(str(tmp_path / "a.wav")) as read:
        frames = memoryview(read.readframes(read.getnframes())).cast("h")
    assert where(frames[1::2].tobytes(), 1)[0] == pytest.approx(2_999 * 0.02 * 0.999, abs=0.01)


def test_a_full_wav_file_stays_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stereo_wav, "_LIMIT", RATE * stereo_wav.FRAME)
    file = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    for number in range(100):
        file.person(block(1), (number + 1) * 0.02)
    file.close()
    assert file.full
    with wave.open(str(tmp_path / "a.wav")) as read:
        assert read.getnframes() == RATE


def channels(path: Path) -> tuple[bytes, bytes]:
    with wave.open(str(path)) as read:
        frames = memoryview(read.readframes(read.getnframes())).cast("h")
    return frames[0::2].tobytes(), frames[1::2].tobytes()


def test_the_side_that_is_told_last_does_not_end_the_other(tmp_path: Path) -> None:
    file = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    for number in range(150):
        file.speaker(block(2), (number + 1) * 0.02)
    file.person(block(1), 2.4)
    file.close()
    left, right = channels(tmp_path / "a.wav")
    assert where(left, 1) == pytest.approx([2.38, 2.4])
    assert where(right, 2) == pytest.approx([0, 3])


def test_what_comes_when_its_place_is_written_is_left_out(tmp_path: Path) -> None:
    """A device that was stalled for seconds tells of long ago; the rest keeps its place."""
    file = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    for number in range(250):
        file.speaker(block(2), (number + 1) * 0.02)
    file.person(block(3), 1.0)
    file.person(block(4, RATE), 4.3)
    file.person(block(5), 4.8)
    file.close()
    left, right = channels(tmp_path / "a.wav")
    assert where(left, 3) == []
    begun, ended = where(left, 4)
    assert ended == pytest.approx(4.3)
    assert begun > 3.3, "as much of it as was not written yet"
    assert where(left, 5) == pytest.approx([4.78, 4.8])
    assert where(right, 2) == pytest.approx([0, 5])


@pytest.mark.parametrize("parts_per_million", [-300, -100, 100, 300])
def test_two_crystals_stay_on_one_clock(tmp_path: Path, parts_per_million: int) -> None:
    """For three minutes the sides run apart; what is said at one time stands at one time."""
    file = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    drift = 1 + parts_per_million / 1e6
    for number in range(9_000):
        marked = 1 + number // 500 if number % 500 == 499 else 0
        end = (number + 1) * 0.02
        file.person(block(marked), end)
        file.speaker(block(marked), end * drift)
    file.close()
    left, right = (np.frombuffer(side, np.int16) for side in channels(tmp_path / "a.wav"))
    for mark in range(1, 19):
        said = mark * 500 * 0.02
        on_left, on_right = (np.flatnonzero(side == mark)[-1] / RATE for side in (left, right))
        assert on_left == pytest.approx(said, abs=0.001)
        assert on_right == pytest.approx(said * drift, abs=stereo_wav.HURRY_S)


# -------------------------------------------------------------------------- reading


SIZES = [(0, 0), (36, 0), (0xFFFF_FFFF, 0xFFFF_FFFF), (0, 0xFFFF_FFFF - 36), (7, 3)]


@pytest.mark.parametrize(("riff", "data"), SIZES)
def test_the_sizes_in_the_header_do_not_matter(tmp_path: Path, riff: int, data: int) -> None:
    start = bytearray(stereo_wav.header(RATE, 0))
    start[4:8], start[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(start) + bytes(10 * stereo_wav.FRAME + 3))
    assert stereo_wav.rate_of(path) == RATE
    assert frames_of(path).shape == (10, 2), "what follows the header, in whole frames"


@pytest.mark.parametrize("place", [0, 8, 12, 16, 20, 22, 25, 28, 32, 34, 36])
def test_any_other_field_makes_it_foreign(tmp_path: Path, place: int) -> None:
    start = bytearray(stereo_wav.header(RATE, 0))
    start[place] ^= 0x41
    (tmp_path / "a.wav").write_bytes(start + bytes(400))
    with pytest.raises(UsageError, match="not the audio of a recording"):
        stereo_wav.rate_of(tmp_path / "a.wav")
