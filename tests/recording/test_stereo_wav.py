"""The stereo file: both sides on one clock, valid after a truncation."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from recorded import RATE, block, span

from voicechat.errors import UsageError
from voicechat.recording import stereo_wav
from voicechat.recording.player import read_frames


def test_a_fast_sample_clock_is_corrected(tmp_path: Path) -> None:
    """A clock that runs 0.1 % too fast is off by 60 ms after a minute; the sound is not."""
    wav = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    for index in range(3_000):
        wav.add_speaker(block(1 if index == 2_999 else 0), (index + 1) * 0.02 * 0.999)
    wav.close()
    with wave.open(str(tmp_path / "a.wav")) as read:
        frames = memoryview(read.readframes(read.getnframes())).cast("h")
    assert span(frames[1::2].tobytes(), 1)[0] == pytest.approx(2_999 * 0.02 * 0.999, abs=0.01)


def test_a_wav_file_at_its_size_limit_stays_valid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stereo_wav, "_MAX_BYTES", RATE * stereo_wav.FRAME)
    wav = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    for index in range(100):
        wav.add_microphone(block(1), (index + 1) * 0.02)
    wav.close()
    assert wav.is_full
    with wave.open(str(tmp_path / "a.wav")) as read:
        assert read.getnframes() == RATE


def channels(path: Path) -> tuple[bytes, bytes]:
    with wave.open(str(path)) as read:
        frames = memoryview(read.readframes(read.getnframes())).cast("h")
    return frames[0::2].tobytes(), frames[1::2].tobytes()


def test_a_late_side_does_not_truncate_the_other(tmp_path: Path) -> None:
    wav = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    for index in range(150):
        wav.add_speaker(block(2), (index + 1) * 0.02)
    wav.add_microphone(block(1), 2.4)
    wav.close()
    left, right = channels(tmp_path / "a.wav")
    assert span(left, 1) == pytest.approx([2.38, 2.4])
    assert span(right, 2) == pytest.approx([0, 3])


def test_blocks_for_written_time_are_dropped(tmp_path: Path) -> None:
    """A stalled device delivers old blocks late; later blocks keep their position."""
    wav = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    for index in range(250):
        wav.add_speaker(block(2), (index + 1) * 0.02)
    wav.add_microphone(block(3), 1.0)
    wav.add_microphone(block(4, RATE), 4.3)
    wav.add_microphone(block(5), 4.8)
    wav.close()
    left, right = channels(tmp_path / "a.wav")
    assert span(left, 3) == []
    first, last = span(left, 4)
    assert last == pytest.approx(4.3)
    assert first > 3.3, "only the part that was not written yet"
    assert span(left, 5) == pytest.approx([4.78, 4.8])
    assert span(right, 2) == pytest.approx([0, 5])


@pytest.mark.parametrize("parts_per_million", [-300, -100, 100, 300])
def test_two_sample_clocks_stay_synchronized(tmp_path: Path, parts_per_million: int) -> None:
    """The sample clocks drift apart for three minutes; marks of the same time stay aligned."""
    wav = stereo_wav.StereoFile(tmp_path / "a.wav", RATE)
    drift = 1 + parts_per_million / 1e6
    for index in range(9_000):
        marked = 1 + index // 500 if index % 500 == 499 else 0
        end = (index + 1) * 0.02
        wav.add_microphone(block(marked), end)
        wav.add_speaker(block(marked), end * drift)
    wav.close()
    left, right = (np.frombuffer(side, np.int16) for side in channels(tmp_path / "a.wav"))
    for mark in range(1, 19):
        spoken_at = mark * 500 * 0.02
        on_left, on_right = (np.flatnonzero(side == mark)[-1] / RATE for side in (left, right))
        assert on_left == pytest.approx(spoken_at, abs=0.001)
        assert on_right == pytest.approx(spoken_at * drift, abs=stereo_wav.MAX_DRIFT_S)


# -------------------------------------------------------------------------- reading


SIZES = [(0, 0), (36, 0), (0xFFFF_FFFF, 0xFFFF_FFFF), (0, 0xFFFF_FFFF - 36), (7, 3)]


@pytest.mark.parametrize(("riff", "data"), SIZES)
def test_the_sizes_in_the_header_are_ignored(tmp_path: Path, riff: int, data: int) -> None:
    start = bytearray(stereo_wav.header(RATE, 0))
    start[4:8], start[40:44] = struct.pack("<I", riff), struct.pack("<I", data)
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(start) + bytes(10 * stereo_wav.FRAME + 3))
    assert stereo_wav.read_rate(path) == RATE
    assert read_frames(path).shape == (10, 2), "complete frames after the header"


@pytest.mark.parametrize("offset", [0, 8, 12, 16, 20, 22, 25, 28, 32, 34, 36])
def test_any_other_changed_field_is_refused(tmp_path: Path, offset: int) -> None:
    start = bytearray(stereo_wav.header(RATE, 0))
    start[offset] ^= 0x41
    (tmp_path / "a.wav").write_bytes(start + bytes(400))
    with pytest.raises(UsageError, match="not the audio of a recording"):
        stereo_wav.read_rate(tmp_path / "a.wav")
