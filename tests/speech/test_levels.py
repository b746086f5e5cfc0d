from __future__ import annotations

import numpy as np
import pytest

from voicechat.audio.playback import cue_sounds
from voicechat.speech.levels import (
    Law,
    Resampler,
    amplitude,
    dbfs,
    g711_decode,
    g711_encode,
    peak_dbfs,
    rising,
)


def sine(rate: int, seconds: float = 1.0, pitch: float = 440.0) -> np.ndarray:
    return (20_000 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)).astype(
        np.int16
    )


def test_levels() -> None:
    assert dbfs(np.zeros(100, np.int16)) == -100
    assert dbfs(np.empty(0, np.int16)) == peak_dbfs(np.empty(0, np.int16)) == -100
    assert peak_dbfs(np.array([-32768], np.int16)) == pytest.approx(0, abs=0.01)
    assert dbfs(sine(16_000)) == pytest.approx(-7.3, abs=0.1)
    assert amplitude(-6.0206) == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("target", [8_000, 16_000, 44_100, 48_000])
def test_chunks_resample_to_the_clean_whole(target: int) -> None:
    mover = Resampler(24_000, target)
    sound = sine(24_000)
    parts = [mover.convert(sound[at : at + 333]) for at in range(0, len(sound), 333)]
    got = np.concatenate([*parts, mover.finish()]).astype(np.float64)
    assert len(got) == pytest.approx(target, abs=2)
    want = sine(target)[: len(got)].astype(np.float64)
    middle = slice(target // 10, -target // 10)
    error = got[: len(want)][middle] - want[middle]
    assert 20 * np.log10(np.std(want[middle]) / np.std(error)) > 60


def test_a_resampler_starts_anew_after_the_end() -> None:
    mover = Resampler(24_000, 48_000)
    first = np.concatenate((mover.convert(sine(24_000, 0.1)), mover.finish()))
    again = np.concatenate((mover.convert(sine(24_000, 0.1)), mover.finish()))
    assert np.abs(first.astype(int) - again).max() <= 2


@pytest.mark.parametrize("source", [24_000, 44_100, 48_000])
def test_a_short_piece_comes_out_at_once(source: int) -> None:
    mover = Resampler(source, 16_000)
    sizes = [len(mover.convert(np.zeros(source // 100, np.int16))) for _ in range(20)]
    assert sizes[0] >= 130
    assert sizes[1:] == [160] * 19


def test_what_the_lower_rate_cannot_carry_is_gone() -> None:
    mover = Resampler(48_000, 16_000)
    left = np.concatenate((mover.convert(sine(48_000, pitch=9_000)), mover.finish()))
    assert dbfs(left[200:-200]) < -70


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_g711_codes_survive_and_samples_come_near(law: Law) -> None:
    codes = bytes(range(256))
    values = g711_decode(law, codes)
    assert np.array_equal(g711_decode(law, g711_encode(law, values)), values)
    sound = sine(8_000)
    error = g711_decode(law, g711_encode(law, sound)).astype(np.float64) - sound
    assert 20 * np.log10(np.std(sound) / np.std(error)) > 35


def test_g711_known_values() -> None:
    assert g711_decode("pcmu", b"\xff\x7f\x00\x80").tolist() == [0, 0, -32124, 32124]
    assert g711_decode("pcma", b"\xd5\x55\xaa\x2a").tolist() == [8, -8, 32256, -32256]


def test_the_fade_rises_from_nothing_to_all() -> None:
    curve = rising(192)
    assert curve[0] < 0.001
    assert curve[-1] > 0.999
    assert (np.diff(curve) > 0).all()


@pytest.mark.parametrize("name", sorted(cue_sounds.NAMES))
def test_cues_are_short_soft_and_without_clicks(name: str) -> None:
    cue = cue_sounds.synthesise(name, 24_000)
    assert cue is not None
    assert 0.05 < len(cue) / 24_000 < 2.5
    assert np.abs(cue).max() < 12_000
    assert abs(cue[0]) < 1
    assert abs(cue[-1]) < 50


def test_an_unknown_cue_is_none() -> None:
    assert cue_sounds.synthesise("fanfare", 24_000) is None
