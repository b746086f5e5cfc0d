"""Sample-rate conversion in chunks: quality, delay and length."""

from __future__ import annotations

import numpy as np
import pytest

from voicechat.speech.pcm import Resampler, dbfs


def sine(rate: int, seconds: float = 1.0, pitch: float = 440.0) -> np.ndarray:
    return (20_000 * np.sin(2 * np.pi * pitch * np.arange(int(rate * seconds)) / rate)).astype(
        np.int16
    )


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


def test_a_resampler_restarts_after_finish() -> None:
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


def test_frequencies_above_the_lower_rate_are_removed() -> None:
    mover = Resampler(48_000, 16_000)
    left = np.concatenate((mover.convert(sine(48_000, pitch=9_000)), mover.finish()))
    assert dbfs(left[200:-200]) < -70


def test_resampling_in_pieces_loses_nothing() -> None:
    samples = (np.sin(np.arange(22_050) / 10) * 9_000).astype(np.int16)
    resampler = Resampler(22_050, 24_000)
    pieces = [resampler.convert(piece) for piece in np.array_split(samples, 37)]
    pieces.append(resampler.finish())
    assert abs(sum(map(len, pieces)) - 24_000) <= 1
    whole = Resampler(22_050, 24_000).convert(samples)
    assert np.abs(np.concatenate(pieces)[: len(whole)].astype(int) - whole).max() <= 4


def test_equal_rates_pass_through() -> None:
    samples = np.arange(10, dtype=np.int16)
    assert Resampler(24_000, 24_000).convert(samples) is samples
    assert not len(Resampler(24_000, 24_000).finish())
